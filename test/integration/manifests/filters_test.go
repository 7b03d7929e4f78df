package manifests_test

import (
	"fmt"
	"strings"
)

// with is a filter of one rule that says this too.
func with(more string) string {
	return "{rules: [{direction: Ingress, priority: 1, action: Accept, " + more + "}]}"
}

// numbered is a filter with as many rules of a direction.
func numbered(direction string, count int) string {
	all := make([]string, count)
	for i := range all {
		all[i] = fmt.Sprintf("{direction: %s, priority: %d, action: Accept}", direction, i+1)
	}
	return "{rules: [" + strings.Join(all, ", ") + "]}"
}

// long is a text of so many characters.
func long(count int) string { return strings.Repeat("字", count) }

const ports = "the rule's protocol is All, as of every rule that names none: add protocol: TCP or protocol: UDP, or leave the port out"

var filterRows = []row{
	// Directions, actions, priorities.
	{
		"with a direction that is none", "{rules: [{direction: Both, priority: 1, action: Accept}]}",
		`spec.rules[0].direction: direction is "Both": write Ingress for what the mirror source receives, or Egress for what it sends; both need two rules`,
		"{rules: [{direction: Egress, priority: 1, action: Accept}]}",
	},
	{
		"with a direction in small letters", "{rules: [{direction: ingress, priority: 1, action: Accept}]}",
		`spec.rules[0].direction: direction is "ingress": write Ingress for what the mirror source receives, or Egress for what it sends; both need two rules`,
		"{rules: [{direction: Ingress, priority: 1, action: Accept}]}",
	},
	{
		"without a direction", "{rules: [{priority: 1, action: Accept}]}",
		"spec.rules[0].direction: Required value\n" + noise, "",
	},
	{
		"with an action that is none", "{rules: [{direction: Ingress, priority: 1, action: Drop}]}",
		`spec.rules[0].action: action is "Drop": write Accept to have the packets copied, or Reject to have them left out`,
		"{rules: [{direction: Ingress, priority: 1, action: Reject}]}",
	},
	{
		"without an action", "{rules: [{direction: Ingress, priority: 1}]}",
		"spec.rules[0].action: Required value\n" + noise, "",
	},
	{
		"without a priority", "{rules: [{direction: Ingress, action: Accept}]}",
		"spec.rules[0].priority: Required value\n" + noise, "",
	},
	{
		"with the priority 0", "{rules: [{direction: Ingress, priority: 0, action: Accept}]}",
		"spec.rules[0].priority: priority is 0: a rule's priority is a number from 1 to 65535, the smallest is tried first",
		"{rules: [{direction: Ingress, priority: 1, action: Accept}]}",
	},
	{
		"with a priority of 65536", "{rules: [{direction: Ingress, priority: 65536, action: Accept}]}",
		"spec.rules[0].priority: priority is 65536: a rule's priority is a number from 1 to 65535, the smallest is tried first",
		"{rules: [{direction: Ingress, priority: 65535, action: Accept}]}",
	},
	{
		"with a priority that no program could read", "{rules: [{direction: Ingress, priority: 99999999999, action: Accept}]}",
		"spec.rules[0].priority: priority is 99999999999: a rule's priority is a number from 1 to 65535, the smallest is tried first", "",
	},
	{
		"with a priority that is a text", `{rules: [{direction: Ingress, priority: "1", action: Accept}]}`,
		`spec.rules[0].priority: spec.rules[0].priority in body must be of type integer: "string"` + "\n" + noise, "",
	},
	{
		"with two rules of one priority", "{rules: [{direction: Ingress, priority: 7, action: Accept}, {direction: Ingress, priority: 7, action: Reject}]}",
		"spec.rules: two Ingress rules have the priority 7: give each rule of a direction a priority of its own",
		"{rules: [{direction: Ingress, priority: 7, action: Accept}, {direction: Egress, priority: 7, action: Reject}]}",
	},
	{
		"with eleven Ingress rules", numbered("Ingress", 11),
		"spec.rules: there are 11 Ingress rules and the cloud takes 10 in a filter: join CIDRs or port ranges, or use a second filter and session",
		numbered("Ingress", 10),
	},
	{
		"with twenty-one Egress rules", numbered("Egress", 21),
		"spec.rules: there are 21 Egress rules and the cloud takes 10 in a filter: join CIDRs or port ranges, or use a second filter and session",
		numbered("Egress", 10),
	},
	{
		"with rules that are no list", "{rules: Ingress}",
		`spec.rules: spec.rules in body must be of type array: "string"` + "\n" + noise, "",
	},

	// Families and protocols.
	{
		"with a family that is none", with("etherType: IPv5"),
		`spec.rules[0].etherType: etherType is "IPv5": write IPv4 or IPv6; a rule without etherType is for IPv4`, with("etherType: IPv6"),
	},
	{
		"with a protocol that is none", with("protocol: SCTP"),
		`spec.rules[0].protocol: protocol is "SCTP": write TCP, UDP, ICMP, ICMPv6 or All; a rule without protocol is for all of them`,
		with("protocol: UDP"),
	},
	{
		"with a protocol in small letters, and a port", with("protocol: tcp, destination: {port: 80}"),
		`spec.rules[0].protocol: protocol is "tcp": write TCP, UDP, ICMP, ICMPv6 or All; a rule without protocol is for all of them`,
		with("protocol: TCP, destination: {port: 80}"),
	},
	{
		"with a protocol that is a number", with("protocol: 6"),
		`spec.rules[0].protocol: spec.rules[0].protocol in body must be of type string: "integer"` + "\n" + noise, with("protocol: TCP"),
	},
	{
		"with ICMP over IPv6", with("protocol: ICMP, etherType: IPv6"),
		"spec.rules[0].protocol: protocol ICMP goes with etherType IPv4, and the rule's is IPv6: write protocol: ICMPv6", with("protocol: ICMPv6, etherType: IPv6"),
	},
	{
		"with ICMPv6, and no family", with("protocol: ICMPv6"),
		"spec.rules[0].protocol: protocol ICMPv6 goes with etherType IPv6, and the rule's is IPv4, as of every rule that names none: add etherType: IPv6, or write protocol: ICMP",
		with("protocol: ICMP"),
	},

	// Addresses.
	{
		"with an address for a CIDR", with("source: {cidr: 192.168.0.161}"),
		"spec.rules[0].source.cidr: cidr 192.168.0.161 has no prefix length: write 192.168.0.161/32 for this one address",
		with("source: {cidr: 192.168.0.161/32}"),
	},
	{
		"with an IPv6 address for a CIDR", with("etherType: IPv6, destination: {cidr: '2001:db8::1'}"),
		"spec.rules[0].destination.cidr: cidr 2001:db8::1 has no prefix length: write 2001:db8::1/128 for this one address",
		with("etherType: IPv6, destination: {cidr: '2001:db8::1/128'}"),
	},
	{
		"with bits behind the prefix", with("source: {cidr: 10.0.0.1/8}"),
		"spec.rules[0].source.cidr: cidr 10.0.0.1/8 has bits set behind its prefix length: write 10.0.0.0/8 for the network, or 10.0.0.1/32 for the one address",
		with("source: {cidr: 10.0.0.0/8}"),
	},
	{
		"with bits behind an IPv6 prefix", with("etherType: IPv6, source: {cidr: '2001:db8::1/64'}"),
		"spec.rules[0].source.cidr: cidr 2001:db8::1/64 has bits set behind its prefix length: write 2001:db8::/64 for the network, or 2001:db8::1/128 for the one address",
		with("etherType: IPv6, source: {cidr: '2001:db8::/64'}"),
	},
	{
		"with a prefix that is too long", with("source: {cidr: 10.0.0.0/33}"),
		`spec.rules[0].source.cidr: cidr is "10.0.0.0/33": write an address with a prefix length, such as 192.168.0.161/32 or 2001:db8::/64`,
		with("source: {cidr: 10.0.0.0/32}"),
	},
	{
		"with a mask for a prefix", with("source: {cidr: 10.0.0.0/255.0.0.0}"),
		`spec.rules[0].source.cidr: cidr is "10.0.0.0/255.0.0.0": write an address with a prefix length, such as 192.168.0.161/32 or 2001:db8::/64`,
		with("source: {cidr: 10.0.0.0/8}"),
	},
	{
		"with an empty CIDR", with("source: {cidr: ''}"),
		`spec.rules[0].source.cidr: cidr is empty: write an address with a prefix length, such as 192.168.0.161/32 or 2001:db8::/64, or leave cidr out`,
		with("protocol: All"),
	},
	{
		"with a host name for a CIDR", with("source: {cidr: www.example.com}"),
		`spec.rules[0].source.cidr: cidr is "www.example.com": rules match addresses and no names, write the address with a prefix length, such as 192.168.0.161/32`,
		with("source: {cidr: 192.168.0.161/32}"),
	},
	{
		"with an IPv4 CIDR written as IPv6", with("source: {cidr: '::ffff:1.2.3.4/128'}"),
		"spec.rules[0].source.cidr: cidr ::ffff:1.2.3.4/128 is an IPv4 address written as IPv6: write it as IPv4, such as 192.168.0.161/32, in a rule with etherType IPv4",
		with("source: {cidr: 1.2.3.4/32}"),
	},
	{
		"with an IPv4 address written as IPv6", with("etherType: IPv6, source: {cidr: '::FFFF:1.2.3.4'}"),
		"spec.rules[0].source.cidr: cidr ::FFFF:1.2.3.4 is an IPv4 address written as IPv6: write it as IPv4, such as 192.168.0.161/32, in a rule with etherType IPv4",
		with("source: {cidr: 1.2.3.4/32}"),
	},
	{
		"with an IPv6 CIDR, and no family", with("source: {cidr: '2001:db8::/64'}"),
		"spec.rules[0].source.cidr: cidr 2001:db8::/64 is IPv6, and the rule is for IPv4, as every rule without etherType: add etherType: IPv6",
		with("etherType: IPv6, source: {cidr: '2001:db8::/64'}"),
	},
	{
		"with an IPv4 CIDR in an IPv6 rule", with("etherType: IPv6, destination: {cidr: 192.168.0.0/24}"),
		"spec.rules[0].destination.cidr: cidr 192.168.0.0/24 is IPv4, and the rule is for IPv6: write etherType: IPv4",
		with("etherType: IPv4, destination: {cidr: 192.168.0.0/24}"),
	},
	{
		"with CIDRs of two families", with("source: {cidr: 192.168.0.0/24}, destination: {cidr: '2001:db8::/64'}"),
		"spec.rules[0].destination.cidr: cidr 2001:db8::/64 is IPv6, and the rule is for IPv4, as every rule without etherType: add etherType: IPv6",
		with("source: {cidr: 192.168.0.0/24}, destination: {cidr: 192.168.1.0/24}"),
	},
	{
		"with several CIDRs", with("source: {cidr: [10.0.0.0/8, 192.168.0.0/16]}"),
		`spec.rules[0].source.cidr: spec.rules[0].source.cidr in body must be of type string: "array"` + "\n" + noise, "",
	},
	{
		"with an end that says nothing", with("source: {}"),
		"spec.rules[0].source: source says nothing: set cidr, port or both, or leave source out to match every packet",
		with("source: {cidr: 0.0.0.0/0}"),
	},
	{
		"with an end that says null", with("destination: {port: null}"),
		"spec.rules[0].destination: destination says nothing: set cidr, port or both, or leave destination out to match every packet",
		with("destination: null"),
	},

	// Ports.
	{
		"with a port, and no protocol", with("destination: {port: 443}"),
		"spec.rules[0].destination.port: port 443 needs a protocol that has ports, and " + ports, with("protocol: TCP, destination: {port: 443}"),
	},
	{
		"with a source's port, and no protocol", with("source: {port: 53}"),
		"spec.rules[0].source.port: port 53 needs a protocol that has ports, and " + ports, with("protocol: UDP, source: {port: 53}"),
	},
	{
		"with a port of ICMP", with("protocol: ICMP, destination: {port: 8}"),
		"spec.rules[0].destination.port: port 8 needs a protocol that has ports, and the rule's protocol is ICMP: write protocol: TCP or protocol: UDP, or leave the port out",
		with("protocol: ICMP"),
	},
	{
		"with the port 0", with("protocol: TCP, destination: {port: 0}"),
		"spec.rules[0].destination.port: port is 0: a port is a number from 1 to 65535; leave it out to match every port",
		with("protocol: TCP, destination: {port: 1}"),
	},
	{
		"with the port 65536", with("protocol: TCP, source: {port: 65536}"),
		"spec.rules[0].source.port: port is 65536: a port is a number from 1 to 65535; leave it out to match every port",
		with("protocol: TCP, source: {port: 65535}"),
	},
	{
		"with a port's name", with("protocol: TCP, destination: {port: https}"),
		`spec.rules[0].destination.port: spec.rules[0].destination.port in body must be of type integer: "string"` + "\n" + noise, "",
	},
	{
		"with a range in one field", with("protocol: TCP, destination: {port: 80-90}"),
		`spec.rules[0].destination.port: spec.rules[0].destination.port in body must be of type integer: "string"` + "\n" + noise,
		with("protocol: TCP, destination: {port: 80, endPort: 90}"),
	},
	{
		"with a range without its begin", with("protocol: TCP, destination: {endPort: 90}"),
		"spec.rules[0].destination.endPort: endPort 90 has no port: set port to the first port of the range",
		with("protocol: TCP, destination: {port: 90, endPort: 90}"),
	},
	{
		"with a range that runs backwards", with("protocol: TCP, destination: {port: 90, endPort: 80}"),
		"spec.rules[0].destination.endPort: endPort 80 is below port 90: swap the two",
		with("protocol: TCP, destination: {port: 80, endPort: 90}"),
	},
	{
		"with a range that ends at 65536", with("protocol: TCP, destination: {port: 80, endPort: 65536}"),
		"spec.rules[0].destination.endPort: endPort is 65536: a port is a number from 1 to 65535",
		with("protocol: TCP, destination: {port: 80, endPort: 65535}"),
	},

	// Texts.
	{
		"with a rule's description that has a tag", with("description: <b>"),
		"spec.rules[0].description: the cloud refuses < and > in a description: leave them out", with("description: " + long(255)),
	},
	{
		"with a rule's description of 256 characters", with("description: " + long(256)),
		"spec.rules[0].description: description has 256 characters and the cloud takes 255: shorten it", with("description: " + long(255)),
	},
	{
		"with a description that has a tag", "{description: a > b}",
		"spec.description: the cloud refuses < and > in a description: leave them out", "{description: 'a, b'}",
	},
	{
		"with a description of 161 characters", "{description: " + long(161) + "}",
		"spec.description: description has 161 characters and 160 is the most, as the operator's mark goes with it: shorten it",
		"{description: " + long(160) + "}",
	},

	// Where it lives in the cloud.
	{
		"with a region's title", "{region: CN North-Beijing4}",
		`spec.region: region is "CN North-Beijing4": write the region's ID, such as cn-north-4: lower-case letters, digits and hyphens, at most 40`,
		"{region: cn-north-4}",
	},
	{
		"with a region of 41 letters", "{region: " + strings.Repeat("a", 41) + "}",
		`spec.region: region is "` + strings.Repeat("a", 41) + `": write the region's ID, such as cn-north-4: lower-case letters, digits and hyphens, at most 40`,
		"{region: " + strings.Repeat("a", 40) + "}",
	},
	{
		"with an empty region", "{region: ''}",
		`spec.region: region is "": write the region's ID, such as cn-north-4: lower-case letters, digits and hyphens, at most 40`,
		"{}",
	},
	{
		"with a project's name", "{projectID: cn-north-4}",
		`spec.projectID: projectID is "cn-north-4": write the project's ID, 32 lower-case hexadecimal digits, which the console shows under My Credentials`,
		"{projectID: 0123456789abcdef0123456789abcdef}",
	},
	{
		"with a project ID of 33 digits", "{projectID: 0123456789abcdef0123456789abcdef0}",
		`spec.projectID: projectID is "0123456789abcdef0123456789abcdef0": write the project's ID, 32 lower-case hexadecimal digits, which the console shows under My Credentials`,
		"{projectID: 0123456789abcdef0123456789abcdef}",
	},
	{
		"with a name in the cloud that has a blank", "{cloudName: my filter}",
		`spec.cloudName: cloudName is "my filter": the cloud takes 1 to 64 letters, digits, Chinese characters and the signs _ - . in a name; leave it out to have one made`,
		"{cloudName: my_filter-1.镜像}",
	},
	{
		"with a name in the cloud of 65 characters", "{cloudName: " + strings.Repeat("a", 65) + "}",
		`spec.cloudName: cloudName is "` + strings.Repeat("a", 65) + `": the cloud takes 1 to 64 letters, digits, Chinese characters and the signs _ - . in a name; leave it out to have one made`,
		"{cloudName: " + strings.Repeat("a", 64) + "}",
	},
	{
		"with a deletion policy that is none", "{deletionPolicy: Orphan}",
		`spec.deletionPolicy: deletionPolicy is "Orphan": write Delete to have the cloud's object deleted with this one, or Retain to have it left`,
		"{deletionPolicy: Retain}",
	},
	{
		"with a Secret without a name", "{credentialsRef: {name: ''}}",
		`spec.credentialsRef.name: name is "": write the name of a Secret in this namespace, lower-case letters, digits, - and . as in my-secret`,
		"{credentialsRef: {name: huawei-cloud}}",
	},
	{
		"with a Secret in another namespace", "{credentialsRef: {name: other/huawei-cloud}}",
		`spec.credentialsRef.name: name is "other/huawei-cloud": write the name of a Secret in this namespace, lower-case letters, digits, - and . as in my-secret`,
		"{credentialsRef: {name: huawei-cloud}}",
	},
	{
		"with a Secret that is a text", "{credentialsRef: huawei-cloud}",
		`spec.credentialsRef: spec.credentialsRef in body must be of type object: "string"` + "\n" + noise, "{credentialsRef: {name: huawei-cloud}}",
	},
	{
		"that says no of suspending in words", "{suspend: 'no'}",
		`spec.suspend: spec.suspend in body must be of type boolean: "string"` + "\n" + noise, "{suspend: false}",
	},

	// Misspelt.
	{
		"with a misspelt end", with("src: {cidr: 10.0.0.0/8}"),
		`MirrorFilter in version "v1alpha1" cannot be handled as a MirrorFilter: strict decoding error: unknown field "spec.rules[0].src"`,
		with("source: {cidr: 10.0.0.0/8}"),
	},
	{
		"with a field twice", "{suspend: true, suspend: false}",
		`MirrorFilter in version "v1alpha1" cannot be handled as a MirrorFilter: strict decoding error: yaml: unmarshal errors:` +
			`   line 4: key "suspend" already set in map`, "{suspend: false}",
	},
}
