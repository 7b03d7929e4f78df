package manifests_test

import (
	"fmt"
	"strings"
)

const (
	portID  = "4d5a2b4c-1f63-4d6a-9d4e-0d0a1b2c3d4e"
	otherID = "5e6b3c5d-2a74-4e7b-8e5f-1e1b2c3d4e5f"
)

// session has a target by node, one source, and says this too.
func session(more string) string {
	return "{filterRef: {name: f}, sources: [{nodeName: one}], target: {nodeName: two}, " + more + "}"
}

// from has these sources.
func from(sources string) string {
	return "{filterRef: {name: f}, sources: [" + sources + "], target: {nodeName: target}}"
}

// to has this target.
func to(target string) string { return "{filterRef: {name: f}, target: " + target + "}" }

// addresses are as many sources.
func addresses(count int) string {
	all := make([]string, count)
	for i := range all {
		all[i] = fmt.Sprintf("{address: {ip: 10.0.0.%d}}", i+1)
	}
	return strings.Join(all, ", ")
}

// listed are as many of something, each with its number.
func listed(count int, format string) string {
	all := make([]string, count)
	for i := range all {
		all[i] = fmt.Sprintf(format, i)
	}
	return strings.Join(all, ", ")
}

// labelsOf are as many labels of a selector, valuesOf values, and requirements requirements.
func labelsOf(count int) string     { return "{" + listed(count, "l%d: a") + "}" }
func valuesOf(count int) string     { return listed(count, "v%d") }
func requirements(count int) string { return listed(count, "{key: l%d, operator: Exists}") }

var sessionRows = []row{
	// References.
	{
		"without a filter", "{target: {nodeName: a}}",
		"spec.filterRef: Required value\n" + noise, "{filterRef: {name: f}, target: {nodeName: a}}",
	},
	{
		"with a filter that is a text", "{filterRef: f, target: {nodeName: a}}",
		`spec.filterRef: spec.filterRef in body must be of type object: "string"` + "\n" + noise, "{filterRef: {name: f}, target: {nodeName: a}}",
	},
	{
		"with a filter without a name", "{filterRef: {}, target: {nodeName: a}}",
		"spec.filterRef.name: Required value\n" + noise, "{filterRef: {name: f}, target: {nodeName: a}}",
	},
	{
		"with a filter with an empty name", "{filterRef: {name: ''}, target: {nodeName: a}}",
		`spec.filterRef.name: name is "": write the name of a MirrorFilter in this namespace, lower-case letters, digits, - and . as in my-filter`,
		"{filterRef: {name: f}, target: {nodeName: a}}",
	},
	{
		"with a filter whose name is none", "{filterRef: {name: Web_Traffic}, target: {nodeName: a}}",
		`spec.filterRef.name: name is "Web_Traffic": write the name of a MirrorFilter in this namespace, lower-case letters, digits, - and . as in my-filter`,
		"{filterRef: {name: web-traffic}, target: {nodeName: a}}",
	},
	{
		"with a Secret's name of 254 characters", session("credentialsRef: {name: " + strings.Repeat("a", 254) + "}"),
		`spec.credentialsRef.name: name is "` + strings.Repeat("a", 254) + `": write the name of a Secret in this namespace, lower-case letters, digits, - and . as in my-secret`,
		session("credentialsRef: {name: " + strings.Repeat("a", 253) + "}"),
	},

	// Targets.
	{
		"without a target", "{filterRef: {name: f}}",
		"spec.target: Required value\n" + noise, to("{nodeName: a}"),
	},
	{
		"with a target that says nothing", to("{}"),
		"spec.target: target names nothing: set one of interfaceID, address, nodeName and loadBalancerID", to("{nodeName: a}"),
	},
	{
		"with a target that says two things", to("{nodeName: a, address: {ip: 10.0.0.1}}"),
		"spec.target: target has address and nodeName: keep one of interfaceID, address, nodeName and loadBalancerID", to("{address: {ip: 10.0.0.1}}"),
	},
	{
		"with a target that says all four things", to("{nodeName: a, address: {ip: 10.0.0.1}, interfaceID: " + portID + ", loadBalancerID: " + portID + "}"),
		"spec.target: target has interfaceID and address and nodeName and loadBalancerID: keep one of interfaceID, address, nodeName and loadBalancerID",
		to("{interfaceID: " + portID + "}"),
	},
	{
		"with a target that is a node and a load balancer", to("{nodeName: a, loadBalancerID: " + portID + "}"),
		"spec.target: target has nodeName and loadBalancerID: keep one of interfaceID, address, nodeName and loadBalancerID", to("{loadBalancerID: " + portID + "}"),
	},
	{
		"with a load balancer that is a name", to("{loadBalancerID: ids}"),
		`spec.target.loadBalancerID: loadBalancerID is "ids": write the UUID of a load balancer in lower case, as the console shows it`,
		to("{loadBalancerID: " + portID + "}"),
	},
	{
		"with several targets", to("[one, two]"),
		`spec.target: spec.target in body must be of type object: "array"` + "\n" + noise, to("{nodeName: a}"),
	},
	{
		"whose target is a source by node", "{filterRef: {name: f}, sources: [{nodeName: b}, {nodeName: a}], target: {nodeName: a}}",
		"spec.target: the target, nodeName a, is one of the sources: the cloud takes no interface as both, so choose another target or take it out of the sources",
		"{filterRef: {name: f}, sources: [{nodeName: b}, {nodeName: a}], target: {nodeName: c}}",
	},
	{
		"whose target is a source by ID", "{filterRef: {name: f}, sources: [{interfaceID: " + portID + "}], target: {interfaceID: " + portID + "}}",
		"spec.target: the target, interfaceID " + portID + ", is one of the sources: the cloud takes no interface as both, so choose another target or take it out of the sources",
		"{filterRef: {name: f}, sources: [{interfaceID: " + portID + "}], target: {interfaceID: " + otherID + "}}",
	},
	{
		"whose target is a source by address", "{filterRef: {name: f}, sources: [{address: {ip: 10.0.0.1}}], target: {address: {ip: 10.0.0.1}}}",
		"spec.target: the target, address 10.0.0.1, is one of the sources: the cloud takes no interface as both, so choose another target or take it out of the sources",
		"{filterRef: {name: f}, sources: [{address: {ip: 10.0.0.1}}], target: {address: {ip: 10.0.0.1, vpcID: " + portID + "}}}",
	},

	// Sources.
	{
		"with a source that says nothing", from("{}"),
		"spec.sources[0]: the source names no interface: set one of interfaceID, address, nodeName and nodeSelector", from("{nodeName: a}"),
	},
	{
		"with a source that says two things", from("{nodeName: a}, {nodeName: b, interfaceID: " + portID + "}"),
		"spec.sources[1]: the source has interfaceID and nodeName: keep one of interfaceID, address, nodeName and nodeSelector",
		from("{nodeName: a}, {interfaceID: " + portID + "}"),
	},
	{
		"with sources that are texts", from("10.0.0.1"),
		`spec.sources[0]: spec.sources[0] in body must be of type object: "string"` + "\n" + noise, from("{address: {ip: 10.0.0.1}}"),
	},
	{
		"with a source twice by address", from(addresses(2) + ", {address: {ip: 10.0.0.1}}"),
		"spec.sources: address 10.0.0.1 is named twice: remove one of the two sources", from(addresses(2)),
	},
	{
		"with a source twice by node", from("{nodeName: a}, {nodeName: b}, {nodeName: b}"),
		"spec.sources: nodeName b is named twice: remove one of the two sources", from("{nodeName: a}, {nodeName: b}"),
	},
	{
		"with a source twice by ID", from("{interfaceID: " + portID + "}, {interfaceID: " + portID + "}"),
		"spec.sources: interfaceID " + portID + " is named twice: remove one of the two sources", from("{interfaceID: " + portID + "}"),
	},
	{
		"with a hundred and one sources", from(addresses(101)),
		"spec.sources: there are 101 sources and a target takes at most 100, ten sessions of ten, a load balancer 200: move some of them to a MirrorSession with another target", from(addresses(100)),
	},

	// Nodes by their labels.
	{
		"with a source that says a node and labels", from("{nodeName: a, nodeSelector: {matchLabels: {pool: web}}}"),
		"spec.sources[0]: the source has nodeName and nodeSelector: keep one of interfaceID, address, nodeName and nodeSelector",
		from("{nodeSelector: {matchLabels: {pool: web}}}, {nodeName: a}"),
	},
	{
		"with a selector twice", from("{nodeSelector: {matchLabels: {pool: web}}}, {nodeSelector: {matchLabels: {pool: web}}}"),
		"spec.sources: one nodeSelector is named twice: remove one of the two sources",
		from("{nodeSelector: {matchLabels: {pool: web}}}, {nodeSelector: {matchLabels: {pool: db}}}"),
	},
	{
		"with a selector of every node", from("{nodeSelector: {}}"),
		"spec.sources[0].nodeSelector: nodeSelector is empty, which would be every node of the cluster: name a label in matchLabels or matchExpressions; " +
			"where every node is meant, write matchExpressions: [{key: kubernetes.io/hostname, operator: Exists}]",
		from("{nodeSelector: {matchExpressions: [{key: kubernetes.io/hostname, operator: Exists}]}}"),
	},
	{
		"with a selector that was left empty", from("{nodeSelector: {matchLabels: {}, matchExpressions: []}}"),
		"spec.sources[0].nodeSelector: nodeSelector is empty, which would be every node of the cluster: name a label in matchLabels or matchExpressions; " +
			"where every node is meant, write matchExpressions: [{key: kubernetes.io/hostname, operator: Exists}]",
		from("{nodeSelector: {matchLabels: {pool: ''}}}"),
	},
	{
		"with a label's key with a blank", from("{nodeSelector: {matchLabels: {pool: web, 'my pool': web}}}"),
		`spec.sources[0].nodeSelector.matchLabels: matchLabels has the key "my pool", which no label can have: write it as kubectl describe node shows it`,
		from("{nodeSelector: {matchLabels: {pool: web, my-pool: web}}}"),
	},
	{
		"with a label's value with a blank", from("{nodeSelector: {matchLabels: {pool: web, node.kubernetes.io/pool: 'a b'}}}"),
		`spec.sources[0].nodeSelector.matchLabels: matchLabels has the value "a b", which no label can have: write it as kubectl describe node shows it`,
		from("{nodeSelector: {matchLabels: {pool: web, node.kubernetes.io/pool: a-b}}}"),
	},
	{
		"with a label's value that is a number", from("{nodeSelector: {matchLabels: {pool: 1}}}"),
		`spec.sources[0].nodeSelector.matchLabels.pool: spec.sources[0].nodeSelector.matchLabels.pool in body must be of type string: "integer"` + "\n" + noise,
		from("{nodeSelector: {matchLabels: {pool: '1'}}}"),
	},
	{
		"with nine labels", from("{nodeSelector: {matchLabels: " + labelsOf(9) + "}}"),
		"spec.sources[0].nodeSelector.matchLabels: matchLabels has 9 labels and takes 8: a few select the same nodes, so keep those",
		from("{nodeSelector: {matchLabels: " + labelsOf(8) + "}}"),
	},
	{
		"with an operator that is none", from("{nodeSelector: {matchExpressions: [{key: pool, operator: Equals, values: [web]}]}}"),
		`spec.sources[0].nodeSelector.matchExpressions[0].operator: operator is "Equals": write In, NotIn, Exists or DoesNotExist`,
		from("{nodeSelector: {matchExpressions: [{key: pool, operator: In, values: [web]}]}}"),
	},
	{
		"with a requirement without values", from("{nodeSelector: {matchExpressions: [{key: pool, operator: NotIn}]}}"),
		"spec.sources[0].nodeSelector.matchExpressions[0]: operator NotIn needs values: name at least one",
		from("{nodeSelector: {matchExpressions: [{key: pool, operator: NotIn, values: [web]}]}}"),
	},
	{
		"with a requirement with values too many", from("{nodeSelector: {matchExpressions: [{key: pool, operator: Exists, values: [web]}]}}"),
		"spec.sources[0].nodeSelector.matchExpressions[0]: operator Exists takes no values: leave values out, or write In or NotIn",
		from("{nodeSelector: {matchExpressions: [{key: pool, operator: Exists, values: []}]}}"),
	},
	{
		"with a requirement with a key that is none", from("{nodeSelector: {matchExpressions: [{key: '-pool', operator: Exists}]}}"),
		`spec.sources[0].nodeSelector.matchExpressions[0].key: key is "-pool", which no label can have: write it as kubectl describe node shows it`,
		from("{nodeSelector: {matchExpressions: [{key: pool, operator: Exists}]}}"),
	},
	{
		"with a requirement with a value that is none", from("{nodeSelector: {matchExpressions: [{key: pool, operator: In, values: [web, '" + strings.Repeat("a", 64) + "']}]}}"),
		`spec.sources[0].nodeSelector.matchExpressions[0].values: values has "` + strings.Repeat("a", 64) + `", which no label can have: write it as kubectl describe node shows it`,
		from("{nodeSelector: {matchExpressions: [{key: pool, operator: In, values: [web, " + strings.Repeat("a", 63) + "]}]}}"),
	},
	{
		"with thirteen values", from("{nodeSelector: {matchExpressions: [{key: pool, operator: In, values: [" + valuesOf(13) + "]}]}}"),
		"spec.sources[0].nodeSelector.matchExpressions[0].values: values has 13 values and takes 12: give the nodes that are meant a label of their own",
		from("{nodeSelector: {matchExpressions: [{key: pool, operator: In, values: [" + valuesOf(12) + "]}]}}"),
	},
	{
		"with seven requirements", from("{nodeSelector: {matchExpressions: [" + requirements(7) + "]}}"),
		"spec.sources[0].nodeSelector.matchExpressions: matchExpressions has 7 requirements and takes 6: name several values in one requirement",
		from("{nodeSelector: {matchExpressions: [" + requirements(6) + "]}}"),
	},

	// Ways to name an interface.
	{
		"with a node's name with a blank", from("{nodeName: 'Node A'}"),
		`spec.sources[0].nodeName: nodeName is "Node A": write the name of a node as kubectl get nodes shows it, lower-case letters, digits, - and .`,
		from("{nodeName: node-a}"),
	},
	{
		"with an empty name of a node", to("{nodeName: ''}"),
		`spec.target.nodeName: nodeName is "": write the name of a node as kubectl get nodes shows it, lower-case letters, digits, - and .`,
		to("{nodeName: node-a}"),
	},
	{
		"with a node's name of 254 characters", to("{nodeName: " + strings.Repeat("a", 254) + "}"),
		`spec.target.nodeName: nodeName is "` + strings.Repeat("a", 254) + `": write the name of a node as kubectl get nodes shows it, lower-case letters, digits, - and .`,
		to("{nodeName: " + strings.Repeat("a", 253) + "}"),
	},
	{
		"with an interface ID that is a path", from("{interfaceID: ../filters}"),
		`spec.sources[0].interfaceID: interfaceID is "../filters": write the UUID of an elastic network interface in lower case, as the console shows it under the server's network interfaces`,
		from("{interfaceID: " + portID + "}"),
	},
	{
		"with an interface ID in large letters", from("{interfaceID: " + strings.ToUpper(portID) + "}"),
		`spec.sources[0].interfaceID: interfaceID is "` + strings.ToUpper(portID) + `": write the UUID of an elastic network interface in lower case, as the console shows it under the server's network interfaces`,
		from("{interfaceID: " + portID + "}"),
	},
	{
		"with an address without an IP", from("{address: {vpcID: " + portID + "}}"),
		"spec.sources[0].address.ip: Required value\n" + noise, from("{address: {ip: 10.0.0.1, vpcID: " + portID + "}}"),
	},
	{
		"with an address that is a text", from("{address: 10.0.0.1}"),
		`spec.sources[0].address: spec.sources[0].address in body must be of type object: "string"` + "\n" + noise, from("{address: {ip: 10.0.0.1}}"),
	},
	{
		"with an address that has a prefix length", from("{address: {ip: 10.0.0.1/32}}"),
		"spec.sources[0].address.ip: ip 10.0.0.1/32 has a prefix length: write 10.0.0.1, the one address of the interface", from("{address: {ip: 10.0.0.1}}"),
	},
	{
		"with an address that is a name", from("{address: {ip: ecs-source.example.com}}"),
		`spec.sources[0].address.ip: ip is "ecs-source.example.com": write one private address of the interface, such as 192.168.0.230`,
		from("{address: {ip: '2001:db8::1'}}"),
	},
	{
		"with an IPv4 address written as IPv6", to("{address: {ip: '::ffff:10.0.0.1'}}"),
		"spec.target.address.ip: ip ::ffff:10.0.0.1 is an IPv4 address written as IPv6: write it as IPv4, such as 192.168.0.230", to("{address: {ip: 10.0.0.1}}"),
	},
	{
		"with an empty address", to("{address: {ip: ''}}"),
		`spec.target.address.ip: ip is "": write one private address of the interface, such as 192.168.0.230`, to("{address: {ip: 10.0.0.1}}"),
	},
	{
		"with a VPC's name", from("{address: {ip: 10.0.0.1, vpcID: vpc-1}}"),
		`spec.sources[0].address.vpcID: vpcID is "vpc-1": write the VPC's UUID in lower case, as the console shows it`,
		from("{address: {ip: 10.0.0.1, vpcID: " + portID + "}}"),
	},

	// Numbers.
	{
		"with a VNI of 25 bits", session("vni: 16777216"),
		"spec.vni: vni is 16777216: a VNI has 24 bits, choose a number from 0 to 16777215, or leave vni out to have one allocated", session("vni: 16777215"),
	},
	{
		"with a negative VNI", session("vni: -1"),
		"spec.vni: vni is -1: a VNI has 24 bits, choose a number from 0 to 16777215, or leave vni out to have one allocated", session("vni: 0"),
	},
	{
		"with a VNI that is a text", session("vni: '7'"),
		`spec.vni: spec.vni in body must be of type integer: "string"` + "\n" + noise, session("vni: 7"),
	},
	{
		"with a VNI that is no whole number", session("vni: 1.5"),
		`spec.vni: spec.vni in body must be of type int32: "float64"` + "\n" + noise, session("vni: 1"),
	},
	{
		"with the priority 0", session("priority: 0"),
		"spec.priority: priority is 0: a session's priority is a number from 1 to 32766; leave it out to have a free one allocated", session("priority: 1"),
	},
	{
		"with a priority of 32767", session("priority: 32767"),
		"spec.priority: priority is 32767: a session's priority is a number from 1 to 32766; leave it out to have a free one allocated", session("priority: 32766"),
	},
	{
		"with the packet length 0", session("packetLength: 0"),
		"spec.packetLength: packetLength is 0: a copy keeps 1 to 1460 bytes of a packet; leave it out for 1460, as longer ones would not fit the network's MTU",
		session("packetLength: 1"),
	},
	{
		"with a packet length of 1461", session("packetLength: 1461"),
		"spec.packetLength: packetLength is 1461: a copy keeps 1 to 1460 bytes of a packet; leave it out for 1460, as longer ones would not fit the network's MTU",
		session("packetLength: 1460"),
	},
	{
		"that says in words whether it is enabled", session("enabled: 'yes'"),
		`spec.enabled: spec.enabled in body must be of type boolean: "string"` + "\n" + noise, session("enabled: true"),
	},

	// Times.
	{
		"with a silence of days", session("silenceAfter: 1d"),
		`spec.silenceAfter: silenceAfter is "1d": write a time from 10s to 720h, such as 90s, 15m or 24h; leave it out to have silence never judged`,
		session("silenceAfter: 24h"),
	},
	{
		"with a silence that is too short", session("silenceAfter: 9s"),
		`spec.silenceAfter: silenceAfter is "9s": write a time from 10s to 720h, such as 90s, 15m or 24h; leave it out to have silence never judged`,
		session("silenceAfter: 10s"),
	},
	{
		"with a silence that is too long", session("silenceAfter: 721h"),
		`spec.silenceAfter: silenceAfter is "721h": write a time from 10s to 720h, such as 90s, 15m or 24h; leave it out to have silence never judged`,
		session("silenceAfter: 720h"),
	},
	{
		"with a silence that is a number", session("silenceAfter: 90"),
		`spec.silenceAfter: spec.silenceAfter in body must be of type string: "integer"` + "\n" + noise, session("silenceAfter: 90s"),
	},

	// What a filter says too, and misspelt.
	{
		"with a management policy that is none", session("managementPolicy: ObserveOnly"),
		`spec.managementPolicy: managementPolicy is "ObserveOnly": write Managed to have the cloud brought in line with the spec, or Observe to have it only compared`,
		session("managementPolicy: Observe"),
	},
	{
		"with an import by name", session("import: {id: tf-mirror}"),
		`spec.import.id: id is "tf-mirror": write the UUID of the filter or the session in lower case, as the console shows it`,
		session("import: {id: " + portID + "}"),
	},
	{
		"with an import of nothing", session("import: {}"),
		"spec.import.id: Required value\n" + noise, session("import: {id: " + portID + "}"),
	},
	{
		"with a deletion policy in small letters", session("deletionPolicy: retain"),
		`spec.deletionPolicy: deletionPolicy is "retain": write Delete to have the cloud's object deleted with this one, or Retain to have it left`,
		session("deletionPolicy: Retain"),
	},
	{
		"with a misspelt field", session("silencAfter: 90s"),
		`MirrorSession in version "v1alpha1" cannot be handled as a MirrorSession: strict decoding error: unknown field "spec.silencAfter"`,
		session("silenceAfter: 90s"),
	},
	{
		"with rules of its own", session("rules: []"),
		`MirrorSession in version "v1alpha1" cannot be handled as a MirrorSession: strict decoding error: unknown field "spec.rules"`, "",
	},
}
