package scale

import (
	"fmt"
	"net/netip"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/test/cloudsim/scenario"
)

// Bounds of the cloud, and how objects are spread within them.
const (
	sessionsPerFilter = 10
	rulesPerFilter    = 5
	sessionsPerTarget = 10 // the most that the cloud lets an interface be the target of
	targetsPerNode    = 20
	// How many the manager asks for in a page: answers stay within its bounds whatever is in them.
	objectPage = 1000 // sessions and interfaces
	filterPage = 200
	serverPage = 400
)

// layout is a network with so many sessions. Each has a source of its own; what is numbered n has
// the same name and address everywhere.
type layout struct {
	sessions int
	// nodes is how many nodes the cluster has; those with targets come first.
	nodes int
	// byNode: targets are named by their node and not by their interface. There is one target on
	// each node then.
	byNode bool
}

func newLayout(sessions int) layout {
	l := layout{sessions: sessions}
	l.nodes = ceil(l.targets(), targetsPerNode)
	return l
}

func (l layout) filters() int { return ceil(l.sessions, sessionsPerFilter) }
func (l layout) targets() int { return ceil(l.sessions, sessionsPerTarget) }

// hosts is how many servers have targets.
func (l layout) hosts() int {
	if l.byNode {
		return l.targets()
	}
	return ceil(l.targets(), targetsPerNode)
}

// hostOf is the number of the server of a target.
func (l layout) hostOf(target int) int {
	if l.byNode {
		return target
	}
	return target / targetsPerNode
}

func ceil(n, by int) int { return (n + by - 1) / by }

// Kinds of numbered things.
const (
	kindSource = 1
	kindTarget = 2
	kindServer = 3
	kindHost   = 4
)

func id(kind, n int) string { return fmt.Sprintf("5a1f0c7e-0000-4000-800%d-%012x", kind, n) }

// address is 10.kind.n, so that sources are in 10.16.0.0/12 and targets in 10.32.0.0/12.
func address(kind, n int) netip.Addr {
	return netip.AddrFrom4([4]byte{10, byte(kind<<4 | n>>16), byte(n >> 8), byte(n)})
}

func sourceAddress(n int) netip.Addr { return address(kindSource, n+256) }
func targetAddress(n int) netip.Addr { return address(kindTarget, n+256) }

func nodeName(n int) string { return fmt.Sprintf("node-%d", n) }

// head is a network of two VPCs, joined by a peering, with groups and ACLs that let pass what is to
// be copied and the copies, so that all that diagnosis reads is there and answers something.
const head = `
region: cn-north-4
accounts:
  - name: scale
    domain_id: d0000000000000000000000000000001
    access_key: %s
    secret_key: %s
    projects: [{id: %s, name: cn-north-4}]
flavors:
  - {name: c7t.large.2, mirroring: true}
vpcs:
  - name: sources
    cidr: 10.16.0.0/12
    subnets: [{name: sources, cidr: 10.16.0.0/12, gateway: 10.16.0.1, gateway_mac: "fa:16:3e:00:00:01"}]
  - name: tools
    cidr: 10.32.0.0/12
    subnets: [{name: tools, cidr: 10.32.0.0/12, gateway: 10.32.0.1, gateway_mac: "fa:16:3e:00:00:02"}]
peerings:
  - {name: tools, requester: sources, accepter: tools}
route_tables:
  - {name: sources, vpc: sources, default: true, routes: [{type: peering, destination: 10.32.0.0/12, nexthop: tools}]}
  - {name: tools, vpc: tools, default: true, routes: [{type: peering, destination: 10.16.0.0/12, nexthop: tools}]}
security_groups:
  - name: sources
    rules:
      - {direction: ingress, protocol: tcp, multiport: "1-65535", remote_ip_prefix: 10.16.0.0/12}
      - {direction: egress, remote_ip_prefix: 0.0.0.0/0}
  - name: tools
    rules:
      - {direction: ingress, protocol: udp, multiport: "4789", remote_ip_prefix: 10.16.0.0/12}
      - {direction: egress, remote_ip_prefix: 0.0.0.0/0}
network_acls:
  - name: tools
    subnets: [tools]
    ingress_rules: [{action: allow, protocol: udp, source_ip_address: 10.16.0.0/12, destination_port: "4789"}]
    egress_rules: [{action: allow, protocol: any}]
hosts:
`

// scenario is the file that the simulated cloud begins with.
func (l layout) scenario() string {
	var b strings.Builder
	fmt.Fprintf(&b, strings.TrimPrefix(head, "\n"), scenario.WalkthroughAccessKey, scenario.WalkthroughSecretKey, scenario.WalkthroughProject)
	for n := range l.sessions {
		fmt.Fprintf(&b, "  - {name: source-%d, id: %s, flavor: c7t.large.2, interfaces: [", n, id(kindServer, n))
		l.port(&b, kindSource, n, sourceAddress(n), "sources")
		b.WriteString("]}\n")
	}
	for host := range l.hosts() {
		fmt.Fprintf(&b, "  - {name: %s, id: %s, flavor: c7t.large.2, interfaces: [", nodeName(host), id(kindHost, host))
		for target := range l.targets() {
			if l.hostOf(target) == host {
				l.port(&b, kindTarget, target, targetAddress(target), "tools")
			}
		}
		b.WriteString("]}\n")
	}
	return b.String()
}

func (l layout) port(b *strings.Builder, kind, n int, address netip.Addr, network string) {
	fmt.Fprintf(b, "{id: %s, mac: \"fa:16:3f:%02x:%02x:%02x\", subnet: %s, addresses: [%s], security_groups: [%s]}, ",
		id(kind, n), kind<<4|n>>16, n>>8&0xff, n&0xff, network, address, network)
}

// Where the objects are.
const (
	namespace  = "scale"
	secretName = "huawei-cloud"
)

func (l layout) filter(n int) *v1alpha1.MirrorFilter {
	f := &v1alpha1.MirrorFilter{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: fmt.Sprintf("filter-%d", n)},
		Spec:       v1alpha1.MirrorFilterSpec{CloudSpec: v1alpha1.CloudSpec{CredentialsRef: &v1alpha1.SecretReference{Name: secretName}}},
	}
	for rule := range int32(rulesPerFilter) {
		f.Spec.Rules = append(f.Spec.Rules, v1alpha1.FilterRule{
			Direction: v1alpha1.DirectionIngress, Priority: rule + 1, Action: v1alpha1.ActionAccept,
			EtherType: v1alpha1.EtherTypeIPv4, Protocol: v1alpha1.ProtocolTCP,
			Source:      &v1alpha1.RulePeer{CIDR: "10.16.0.0/12"},
			Destination: &v1alpha1.RulePeer{CIDR: "10.16.0.0/12", Port: new(1000 + rule)},
		})
	}
	return f
}

func (l layout) session(n int) *v1alpha1.MirrorSession {
	target := n / sessionsPerTarget
	at := v1alpha1.InterfaceSelector{InterfaceID: id(kindTarget, target)}
	if l.byNode {
		at = v1alpha1.InterfaceSelector{NodeName: nodeName(l.hostOf(target))}
	}
	return &v1alpha1.MirrorSession{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: fmt.Sprintf("session-%d", n)},
		Spec: v1alpha1.MirrorSessionSpec{
			CloudSpec: v1alpha1.CloudSpec{CredentialsRef: &v1alpha1.SecretReference{Name: secretName}},
			FilterRef: v1alpha1.FilterReference{Name: l.filter(n / sessionsPerFilter).Name},
			Sources:   []v1alpha1.SourceSelector{{InterfaceSelector: v1alpha1.InterfaceSelector{InterfaceID: id(kindSource, n)}}},
			Target:    v1alpha1.TargetSelector{InterfaceSelector: at},
		},
	}
}

// node is one of the cluster's nodes, about as large as they are.
func (l layout) node(n int) *corev1.Node {
	at := address(8, n+256) // of no interface of the cloud
	if n < l.hosts() {
		for target := range l.targets() {
			if l.hostOf(target) == n {
				at = targetAddress(target)
				break
			}
		}
	}
	node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: nodeName(n), Labels: map[string]string{}, Annotations: map[string]string{}}}
	for i := range 20 {
		node.Labels[fmt.Sprintf("node.example.com/label-%d", i)] = "a-value-that-says-something"
		node.Annotations[fmt.Sprintf("node.example.com/annotation-%d", i)] = "some value that says something of this node"
		node.Status.Images = append(node.Status.Images, corev1.ContainerImage{SizeBytes: 1 << 27, Names: []string{
			fmt.Sprintf("registry.example.com/team/image-%d@sha256:%064x", i, i), fmt.Sprintf("registry.example.com/team/image-%d:v1.2.3", i),
		}})
	}
	node.Status.Addresses = []corev1.NodeAddress{{Type: corev1.NodeInternalIP, Address: at.String()}, {Type: corev1.NodeHostName, Address: node.Name}}
	return node
}
