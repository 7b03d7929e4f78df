package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Direction of a packet as the mirror source sees it.
type Direction string

const (
	// DirectionIngress is what the mirror source receives.
	DirectionIngress Direction = "Ingress"
	// DirectionEgress is what the mirror source sends.
	DirectionEgress Direction = "Egress"
)

// Action of a rule.
type Action string

const (
	// ActionAccept copies the packet.
	ActionAccept Action = "Accept"
	// ActionReject does not copy the packet, and no later session that shares the
	// source may copy it either.
	ActionReject Action = "Reject"
)

// EtherType is the IP version a rule is for.
type EtherType string

const (
	// EtherTypeIPv4 matches IPv4 packets.
	EtherTypeIPv4 EtherType = "IPv4"
	// EtherTypeIPv6 matches IPv6 packets.
	EtherTypeIPv6 EtherType = "IPv6"
)

// Protocol a rule is for.
type Protocol string

const (
	// ProtocolTCP matches TCP; ports may be given.
	ProtocolTCP Protocol = "TCP"
	// ProtocolUDP matches UDP; ports may be given.
	ProtocolUDP Protocol = "UDP"
	// ProtocolICMP matches ICMP over IPv4.
	ProtocolICMP Protocol = "ICMP"
	// ProtocolICMPv6 matches ICMPv6 over IPv6.
	ProtocolICMPv6 Protocol = "ICMPv6"
	// ProtocolAll matches every protocol of the rule's IP version.
	ProtocolAll Protocol = "All"
)

// RulePeer is one end of the packets that a rule matches.
// +kubebuilder:validation:XValidation:rule="!has(self.endPort) || has(self.port)",message="endPort needs port: set port to the first port of the range",messageExpression="'endPort %d has no port: set port to the first port of the range'.format([self.endPort])",fieldPath=".endPort"
// +kubebuilder:validation:XValidation:rule="!has(self.endPort) || !has(self.port) || self.endPort >= self.port || self.endPort < 1",message="endPort is below port: swap the two",messageExpression="'endPort %d is below port %d: swap the two'.format([self.endPort, self.port])",fieldPath=".endPort"
type RulePeer struct {
	// cidr of the addresses, such as 192.168.0.0/24; one address is written with
	// /32 or /128. Without it every address matches.
	// +kubebuilder:validation:XValidation:rule="isCIDR(self)",message="cidr must be an address with a prefix length, such as 192.168.0.161/32 or 2001:db8::/64",messageExpression="isIP(self) ? 'cidr ' + self + ' has no prefix length: write ' + self + (ip(self).family() == 4 ? '/32' : '/128') + ' for this one address' : self.size() == 0 ? 'cidr is empty: write an address with a prefix length, such as 192.168.0.161/32 or 2001:db8::/64, or leave cidr out' : self.matches('^[0-9A-Fa-f:]*:[0-9]+[.][0-9.]+(/[0-9]+)?$') ? 'cidr ' + self + ' is an IPv4 address written as IPv6: write it as IPv4, such as 192.168.0.161/32, in a rule with etherType IPv4' : 'cidr is \"' + self + (self.matches('^[0-9A-Fa-f.:/]*$') ? '\": write an address with a prefix length, such as 192.168.0.161/32 or 2001:db8::/64' : '\": rules match addresses and no names, write the address with a prefix length, such as 192.168.0.161/32')"
	// +kubebuilder:validation:XValidation:rule="!isCIDR(self) || cidr(self).masked() == cidr(self)",message="cidr has bits set behind its prefix length: write the network's own address, such as 10.0.0.0/8 in place of 10.0.0.1/8, or /32 (IPv6: /128) for one address",messageExpression="'cidr %s has bits set behind its prefix length: write %s for the network, or %s/%d for the one address'.format([self, string(cidr(self).masked()), string(cidr(self).ip()), cidr(self).ip().family() == 4 ? 32 : 128])"
	// +kubebuilder:validation:MaxLength=256
	// +optional
	CIDR string `json:"cidr,omitempty"`

	// port is a number from 1 to 65535; with endPort the first of a range. Without it every port
	// matches. Only with protocol TCP or UDP.
	// +kubebuilder:validation:XValidation:rule="self >= 1 && self <= 65535",message="a port is a number from 1 to 65535; leave it out to match every port",messageExpression="'port is %d: a port is a number from 1 to 65535; leave it out to match every port'.format([self])"
	// +optional
	Port *int32 `json:"port,omitempty"`

	// endPort is the last port of the range that begins with port.
	// +kubebuilder:validation:XValidation:rule="self >= 1 && self <= 65535",message="a port is a number from 1 to 65535",messageExpression="'endPort is %d: a port is a number from 1 to 65535'.format([self])"
	// +optional
	EndPort *int32 `json:"endPort,omitempty"`
}

// FilterRule decides about the packets it matches. Rules are tried by priority
// within their direction; the first that matches decides.
// +kubebuilder:validation:XValidation:rule="!has(self.source) || has(self.source.cidr) || has(self.source.port) || has(self.source.endPort)",message="source says nothing: set cidr, port or both, or leave source out to match every packet",messageExpression="'source says nothing: set cidr, port or both, or leave source out to match every packet'",fieldPath=".source"
// +kubebuilder:validation:XValidation:rule="!has(self.destination) || has(self.destination.cidr) || has(self.destination.port) || has(self.destination.endPort)",message="destination says nothing: set cidr, port or both, or leave destination out to match every packet",messageExpression="'destination says nothing: set cidr, port or both, or leave destination out to match every packet'",fieldPath=".destination"
// +kubebuilder:validation:XValidation:rule="!has(self.source) || !has(self.source.port) || !(self.protocol in ['All', 'ICMP', 'ICMPv6'])",message="ports go with protocol TCP or UDP only: remove the ports or change the protocol",messageExpression="'port %d needs a protocol that has ports, and the rule\\'s protocol is %s protocol: TCP or protocol: UDP, or leave the port out'.format([self.source.port, self.protocol == 'All' ? 'All, as of every rule that names none: add' : self.protocol + ': write'])",fieldPath=".source.port"
// +kubebuilder:validation:XValidation:rule="!has(self.destination) || !has(self.destination.port) || !(self.protocol in ['All', 'ICMP', 'ICMPv6'])",message="ports go with protocol TCP or UDP only: remove the ports or change the protocol",messageExpression="'port %d needs a protocol that has ports, and the rule\\'s protocol is %s protocol: TCP or protocol: UDP, or leave the port out'.format([self.destination.port, self.protocol == 'All' ? 'All, as of every rule that names none: add' : self.protocol + ': write'])",fieldPath=".destination.port"
// +kubebuilder:validation:XValidation:rule="self.protocol != 'ICMP' || self.etherType != 'IPv6'",message="protocol ICMP goes with etherType IPv4: write ICMPv6 for IPv6",messageExpression="'protocol ICMP goes with etherType IPv4, and the rule\\'s is IPv6: write protocol: ICMPv6'",fieldPath=".protocol"
// +kubebuilder:validation:XValidation:rule="self.protocol != 'ICMPv6' || self.etherType != 'IPv4'",message="protocol ICMPv6 goes with etherType IPv6: write ICMP for IPv4",messageExpression="'protocol ICMPv6 goes with etherType IPv6, and the rule\\'s is IPv4, as of every rule that names none: add etherType: IPv6, or write protocol: ICMP'",fieldPath=".protocol"
// +kubebuilder:validation:XValidation:rule="!has(self.source) || !has(self.source.cidr) || !isCIDR(self.source.cidr) || !(self.etherType in ['IPv4', 'IPv6']) || cidr(self.source.cidr).ip().family() == (self.etherType == 'IPv4' ? 4 : 6)",message="source.cidr is not of the family of etherType: change one of the two",messageExpression="'cidr ' + self.source.cidr + (self.etherType == 'IPv4' ? ' is IPv6, and the rule is for IPv4, as every rule without etherType: add etherType: IPv6' : ' is IPv4, and the rule is for IPv6: write etherType: IPv4')",fieldPath=".source.cidr"
// +kubebuilder:validation:XValidation:rule="!has(self.destination) || !has(self.destination.cidr) || !isCIDR(self.destination.cidr) || !(self.etherType in ['IPv4', 'IPv6']) || cidr(self.destination.cidr).ip().family() == (self.etherType == 'IPv4' ? 4 : 6)",message="destination.cidr is not of the family of etherType: change one of the two",messageExpression="'cidr ' + self.destination.cidr + (self.etherType == 'IPv4' ? ' is IPv6, and the rule is for IPv4, as every rule without etherType: add etherType: IPv6' : ' is IPv4, and the rule is for IPv6: write etherType: IPv4')",fieldPath=".destination.cidr"
type FilterRule struct {
	// direction as the mirror source sees it: Ingress is received, Egress is sent.
	// +kubebuilder:validation:XValidation:rule="self in ['Ingress', 'Egress']",message="direction is Ingress or Egress",messageExpression="'direction is \"' + self + '\": write Ingress for what the mirror source receives, or Egress for what it sends; both need two rules'"
	// +kubebuilder:validation:MaxLength=256
	// +required
	Direction Direction `json:"direction"`

	// priority is 1 to 65535, unique within the direction; the smallest is tried first.
	// +kubebuilder:validation:XValidation:rule="self >= 1 && self <= 65535",message="a rule's priority is a number from 1 to 65535",messageExpression="'priority is %d: a rule\\'s priority is a number from 1 to 65535, the smallest is tried first'.format([self])"
	// +required
	Priority int32 `json:"priority"`

	// action is Accept, which copies the packet, or Reject, which does not and keeps later sessions of
	// the same source from copying it.
	// +kubebuilder:validation:XValidation:rule="self in ['Accept', 'Reject']",message="action is Accept or Reject",messageExpression="'action is \"' + self + '\": write Accept to have the packets copied, or Reject to have them left out'"
	// +kubebuilder:validation:MaxLength=256
	// +required
	Action Action `json:"action"`

	// etherType is the IP version that the rule matches: IPv4 or IPv6.
	// +kubebuilder:validation:XValidation:rule="self in ['IPv4', 'IPv6']",message="etherType is IPv4 or IPv6",messageExpression="'etherType is \"' + self + '\": write IPv4 or IPv6; a rule without etherType is for IPv4'"
	// +kubebuilder:validation:MaxLength=256
	// +kubebuilder:default=IPv4
	// +optional
	EtherType EtherType `json:"etherType,omitempty"`

	// protocol that the rule matches: TCP, UDP, ICMP, ICMPv6 or All.
	// +kubebuilder:validation:XValidation:rule="self in ['TCP', 'UDP', 'ICMP', 'ICMPv6', 'All']",message="protocol is TCP, UDP, ICMP, ICMPv6 or All",messageExpression="'protocol is \"' + self + '\": write TCP, UDP, ICMP, ICMPv6 or All; a rule without protocol is for all of them'"
	// +kubebuilder:validation:MaxLength=256
	// +kubebuilder:default=All
	// +optional
	Protocol Protocol `json:"protocol,omitempty"`

	// source of the packets. For Ingress that is the peer, for Egress the mirror source.
	// +optional
	Source *RulePeer `json:"source,omitempty"`

	// destination of the packets. For Ingress that is the mirror source, for Egress the peer.
	// +optional
	Destination *RulePeer `json:"destination,omitempty"`

	// description of the rule, at most 255 characters without < and >. White space at its
	// ends, and what is beyond 255 bytes, does not reach the cloud.
	// +kubebuilder:validation:XValidation:rule="!self.contains('<') && !self.contains('>')",message="the cloud refuses < and > in a description: leave them out"
	// +kubebuilder:validation:XValidation:rule="self.size() <= 255",message="a rule's description has at most 255 characters",messageExpression="'description has %d characters and the cloud takes 255: shorten it'.format([self.size()])"
	// +kubebuilder:validation:MaxLength=4096
	// +optional
	Description string `json:"description,omitempty"`
}

// MirrorFilterSpec says which packets of a mirror source are copied.
type MirrorFilterSpec struct {
	CloudSpec `json:",inline"`

	// rules are at most 10 for each direction (a fixed limit of the cloud). A filter
	// without rules copies nothing. The list is one unit: whoever applies it owns
	// all of it.
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:XValidation:rule="self.all(r, self.exists_one(o, o.direction == r.direction && o.priority == r.priority))",message="two rules of one direction have the same priority: give each rule of a direction a priority of its own",messageExpression="'two %s rules have the priority %d: give each rule of a direction a priority of its own'.format(self.filter(r, !self.exists_one(o, o.direction == r.direction && o.priority == r.priority)).map(r, [dyn(r.direction), dyn(r.priority)])[0])"
	// +kubebuilder:validation:XValidation:rule="self.filter(r, r.direction == 'Ingress').size() <= 10",message="the cloud takes at most 10 Ingress rules in a filter: join CIDRs or port ranges, or use a second filter and session",messageExpression="'there are %d Ingress rules and the cloud takes 10 in a filter: join CIDRs or port ranges, or use a second filter and session'.format([self.filter(r, r.direction == 'Ingress').size()])"
	// +kubebuilder:validation:XValidation:rule="self.filter(r, r.direction == 'Egress').size() <= 10",message="the cloud takes at most 10 Egress rules in a filter: join CIDRs or port ranges, or use a second filter and session",messageExpression="'there are %d Egress rules and the cloud takes 10 in a filter: join CIDRs or port ranges, or use a second filter and session'.format([self.filter(r, r.direction == 'Egress').size()])"
	// +optional
	Rules []FilterRule `json:"rules,omitempty"`
}

// FilterRuleStatus says which rule of the cloud stands for a rule of the spec.
type FilterRuleStatus struct {
	// direction of the rule.
	// +kubebuilder:validation:Enum=Ingress;Egress
	// +kubebuilder:validation:MaxLength=7
	// +required
	Direction Direction `json:"direction,omitempty"`
	// priority of the rule; with direction it names one rule of the spec.
	// +required
	Priority int32 `json:"priority"`
	// id of the rule in the cloud.
	// +kubebuilder:validation:MaxLength=64
	// +required
	ID string `json:"id"`
}

// MirrorFilterStatus is what the manager found and did.
type MirrorFilterStatus struct {
	CommonStatus `json:",inline"`

	// id of the filter in the cloud.
	// +kubebuilder:validation:MaxLength=64
	// +optional
	ID string `json:"id,omitempty"`

	// ruleCount is the number of rules that the cloud's filter has.
	// +optional
	RuleCount int32 `json:"ruleCount"`

	// rules of the cloud's filter.
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=40
	// +optional
	Rules []FilterRuleStatus `json:"rules,omitempty"`

	// epoch is raised whenever the rules have changed in the cloud, whoever changed them.
	// +kubebuilder:validation:Minimum=0
	// +optional
	Epoch int64 `json:"epoch,omitempty"`

	// epochBasis is a hash of what the epoch stands for, by which the manager sees that
	// it has changed.
	// +kubebuilder:validation:MaxLength=64
	// +optional
	EpochBasis string `json:"epochBasis,omitempty"`
}

// MirrorFilter says which packets of a mirror source are copied. A MirrorSession
// uses it by name.
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:shortName=mirf,categories=mirror
// +kubebuilder:printcolumn:name="Ready",type=string,description="whether the cloud matches the spec",JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Rules",type=integer,description="how many rules the cloud's filter has",JSONPath=`.status.ruleCount`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:printcolumn:name="ID",type=string,priority=1,description="ID of the filter in the cloud",JSONPath=`.status.id`
// +kubebuilder:printcolumn:name="Reason",type=string,priority=1,description="reason of the Ready condition",JSONPath=`.status.conditions[?(@.type=="Ready")].reason`
// +kubebuilder:printcolumn:name="Message",type=string,priority=1,description="message of the Ready condition",JSONPath=`.status.conditions[?(@.type=="Ready")].message`
type MirrorFilter struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is that of every object.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// spec says which packets are copied.
	// +optional
	Spec MirrorFilterSpec `json:"spec,omitempty"`
	// status is what the manager found and did.
	// +kubebuilder:default={"observedGeneration":-1}
	// +optional
	Status MirrorFilterStatus `json:"status,omitempty"`
}

// MirrorFilterList is a list of MirrorFilters.
// +kubebuilder:object:root=true
type MirrorFilterList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []MirrorFilter `json:"items"`
}
