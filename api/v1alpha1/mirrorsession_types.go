package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// FilterReference names a MirrorFilter in the namespace of the session.
type FilterReference struct {
	// name of the MirrorFilter.
	// +kubebuilder:validation:XValidation:rule="!format.dns1123Subdomain().validate(self).hasValue()",message="a MirrorFilter's name has lower-case letters, digits, - and .",messageExpression="'name is \"' + self + '\": write the name of a MirrorFilter in this namespace, lower-case letters, digits, - and . as in my-filter'"
	// +kubebuilder:validation:MaxLength=1024
	// +required
	Name string `json:"name"`
}

// InterfaceAddress finds an elastic network interface by a private address of it.
type InterfaceAddress struct {
	// ip is a private IPv4 or IPv6 address of the interface.
	// +kubebuilder:validation:XValidation:rule="isIP(self)",message="ip must be one address, such as 192.168.0.230, without a prefix length",messageExpression="isCIDR(self) ? 'ip %s has a prefix length: write %s, the one address of the interface'.format([self, string(cidr(self).ip())]) : self.matches('^[0-9A-Fa-f:]*:[0-9]+[.][0-9.]+$') ? 'ip ' + self + ' is an IPv4 address written as IPv6: write it as IPv4, such as 192.168.0.230' : 'ip is \"' + self + '\": write one private address of the interface, such as 192.168.0.230'"
	// +kubebuilder:validation:MaxLength=256
	// +required
	IP string `json:"ip"`

	// vpcID says which VPC is meant when two VPCs of the project use the address.
	// +kubebuilder:validation:XValidation:rule="self.matches('^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$')",message="vpcID must be a UUID in lower case, as the console shows it",messageExpression="'vpcID is \"' + self + '\": write the VPC\\'s UUID in lower case, as the console shows it'"
	// +kubebuilder:validation:MaxLength=256
	// +optional
	VPCID string `json:"vpcID,omitempty"`
}

// SourceSelector names an elastic network interface that is mirrored, or those of several nodes.
// +kubebuilder:validation:XValidation:rule="has(self.interfaceID) || has(self.address) || has(self.nodeName) || has(self.nodeSelector)",message="set one of interfaceID, address, nodeName and nodeSelector",messageExpression="'the source names no interface: set one of interfaceID, address, nodeName and nodeSelector'"
// +kubebuilder:validation:XValidation:rule="[has(self.interfaceID), has(self.address), has(self.nodeName), has(self.nodeSelector)].filter(set, set).size() <= 1",message="keep one of interfaceID, address, nodeName and nodeSelector",messageExpression="'the source has ' + (has(self.interfaceID) ? 'interfaceID and ' : \"\") + (has(self.address) ? (has(self.nodeName) || has(self.nodeSelector) ? 'address and ' : 'address') : \"\") + (has(self.nodeName) ? (has(self.nodeSelector) ? 'nodeName and ' : 'nodeName') : \"\") + (has(self.nodeSelector) ? 'nodeSelector' : \"\") + ': keep one of interfaceID, address, nodeName and nodeSelector'"
type SourceSelector struct {
	InterfaceSelector `json:",inline"`

	// nodeSelector selects nodes of this cluster by their labels: the primary interface of
	// each is a source while the node has these labels, whether it is Ready or not. The
	// session's own target is left out. Where more are selected than fit, those that are
	// mirrored stay, and of the others the oldest come first.
	// +optional
	NodeSelector *NodeSelector `json:"nodeSelector,omitempty"`
}

// TargetSelector names what receives the copies.
// +kubebuilder:validation:XValidation:rule="has(self.interfaceID) || has(self.address) || has(self.nodeName) || has(self.loadBalancerID)",message="set one of interfaceID, address, nodeName and loadBalancerID",messageExpression="'target names nothing: set one of interfaceID, address, nodeName and loadBalancerID'"
// +kubebuilder:validation:XValidation:rule="[has(self.interfaceID), has(self.address), has(self.nodeName), has(self.loadBalancerID)].filter(set, set).size() <= 1",message="keep one of interfaceID, address, nodeName and loadBalancerID",messageExpression="'target has ' + (has(self.interfaceID) ? 'interfaceID and ' : \"\") + (has(self.address) ? (has(self.nodeName) || has(self.loadBalancerID) ? 'address and ' : 'address') : \"\") + (has(self.nodeName) ? (has(self.loadBalancerID) ? 'nodeName and ' : 'nodeName') : \"\") + (has(self.loadBalancerID) ? 'loadBalancerID' : \"\") + ': keep one of interfaceID, address, nodeName and loadBalancerID'"
type TargetSelector struct {
	InterfaceSelector `json:",inline"`

	// loadBalancerID is the ID of a private load balancer, a UUID. It gives each flow of copies to
	// one of the members behind its listener on UDP port 4789.
	// +kubebuilder:validation:XValidation:rule="self.matches('^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$')",message="loadBalancerID must be the UUID of a load balancer in lower case, as the console shows it",messageExpression="'loadBalancerID is \"' + self + '\": write the UUID of a load balancer in lower case, as the console shows it'"
	// +kubebuilder:validation:MaxLength=256
	// +optional
	LoadBalancerID string `json:"loadBalancerID,omitempty"`
}

// InterfaceSelector is what sources and target have alike: the ways to name one elastic
// network interface. At most one is set.
type InterfaceSelector struct {
	// interfaceID is the ID of the elastic network interface (the port ID), a UUID.
	// +kubebuilder:validation:XValidation:rule="self.matches('^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$')",message="interfaceID must be the UUID of an elastic network interface in lower case, as the console shows it under the server's network interfaces",messageExpression="'interfaceID is \"' + self + '\": write the UUID of an elastic network interface in lower case, as the console shows it under the server\\'s network interfaces'"
	// +kubebuilder:validation:MaxLength=256
	// +optional
	InterfaceID string `json:"interfaceID,omitempty"`

	// address finds the interface by a private address.
	// +optional
	Address *InterfaceAddress `json:"address,omitempty"`

	// nodeName finds the primary interface of a node of this cluster: by the server that
	// the node's spec.providerID names, else by any of its InternalIPs, of either family.
	// +kubebuilder:validation:XValidation:rule="!format.dns1123Subdomain().validate(self).hasValue()",message="a node's name has lower-case letters, digits, - and .",messageExpression="'nodeName is \"' + self + '\": write the name of a node as kubectl get nodes shows it, lower-case letters, digits, - and .'"
	// +kubebuilder:validation:MaxLength=1024
	// +optional
	NodeName string `json:"nodeName,omitempty"`
}

const (
	// MaxVNI is the largest VXLAN network identifier: it has 24 bits (RFC 7348 section 5).
	MaxVNI = 1<<24 - 1
	// MaxSessionPriority is the largest priority of a session in the cloud; the smallest
	// is 1.
	MaxSessionPriority = 32766
)

// MirrorSessionSpec says which interfaces are mirrored to where.
// +kubebuilder:validation:XValidation:rule="!has(self.sources) || self.sources.size() <= 100 || has(self.target.loadBalancerID)",message="a target takes at most 100 sources, ten sessions of ten, a load balancer 200: move some of them to a MirrorSession with another target",messageExpression="'there are %d sources and a target takes at most 100, ten sessions of ten, a load balancer 200: move some of them to a MirrorSession with another target'.format([self.sources.size()])",fieldPath=".sources"
// +kubebuilder:validation:XValidation:rule="!has(self.sources) || !self.sources.exists(s, (has(s.interfaceID) && has(self.target.interfaceID) && s.interfaceID == self.target.interfaceID) || (has(s.nodeName) && has(self.target.nodeName) && s.nodeName == self.target.nodeName) || (has(s.address) && has(self.target.address) && s.address.ip == self.target.address.ip && (has(s.address.vpcID) ? s.address.vpcID : \"\") == (has(self.target.address.vpcID) ? self.target.address.vpcID : \"\"))) || (oldSelf.hasValue() && oldSelf.value().target == self.target && has(self.target.nodeName) && has(oldSelf.value().sources) && oldSelf.value().sources.exists(s, has(s.nodeName) && s.nodeName == self.target.nodeName))",optionalOldSelf=true,message="the target is one of the sources: the cloud takes no interface as both, so choose another target",messageExpression="'the target, ' + (has(self.target.interfaceID) ? 'interfaceID ' + self.target.interfaceID : has(self.target.nodeName) ? 'nodeName ' + self.target.nodeName : 'address ' + self.target.address.ip) + ', is one of the sources: the cloud takes no interface as both, so choose another target or take it out of the sources'",fieldPath=".target"
type MirrorSessionSpec struct {
	CloudSpec `json:",inline"`

	// filterRef names the MirrorFilter, in the same namespace, that decides which
	// packets are copied.
	// +required
	FilterRef FilterReference `json:"filterRef"`

	// sources are the elastic network interfaces whose packets are copied, at most
	// 100, and 200 to a load balancer. The cloud takes 10 in a session: of more, several sessions are made, with the same
	// VNI, and the sources of all are counted together. Without a source no session is made in the cloud. The list is one unit:
	// whoever applies it owns all of it.
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=200
	// +kubebuilder:validation:XValidation:rule="self.all(s, self.exists_one(o, o == s))",message="a source is named twice: remove one",messageExpression="'%s %s is named twice: remove one of the two sources'.format(self.filter(s, !self.exists_one(o, o == s)).map(s, has(s.interfaceID) ? ['interfaceID', s.interfaceID] : has(s.nodeName) ? ['nodeName', s.nodeName] : has(s.nodeSelector) ? ['one', 'nodeSelector'] : ['address', s.address.ip])[0])"
	// +optional
	Sources []SourceSelector `json:"sources,omitempty"`

	// target is the elastic network interface, or the load balancer, that receives the copies, as
	// VXLAN on UDP port 4789. Its security group, or those of the load balancer's members, must
	// allow that port from the sources' addresses.
	// +required
	Target TargetSelector `json:"target"`

	// vni is the VXLAN network identifier of the copies, 0 to 16777215. Without it
	// one is allocated that no other session to this target has.
	// +kubebuilder:validation:XValidation:rule="self >= 0 && self <= 16777215",message="a VNI has 24 bits: choose a number from 0 to 16777215, or leave vni out to have one allocated",messageExpression="'vni is %d: a VNI has 24 bits, choose a number from 0 to 16777215, or leave vni out to have one allocated'.format([self])"
	// +optional
	VNI *int32 `json:"vni,omitempty"`

	// priority of the session, 1 to 32766; of the sessions that share a source the
	// one with the smallest is tried first. It is unique in account and region,
	// foreign sessions included. Without it the smallest free one from 10000 up is
	// allocated that comes after every session with a source in common, so that a
	// newcomer takes no packets from an older session; numbers below are for people.
	// +kubebuilder:validation:XValidation:rule="self >= 1 && self <= 32766",message="a session's priority is a number from 1 to 32766; leave priority out to have a free one allocated",messageExpression="'priority is %d: a session\\'s priority is a number from 1 to 32766; leave it out to have a free one allocated'.format([self])"
	// +optional
	Priority *int32 `json:"priority,omitempty"`

	// packetLength is how many bytes of a packet are kept in its copy, 1 to 1460.
	// The cloud's own default of 96 would keep little more than the headers: 30 to
	// 42 bytes of a TCP payload. A full Ethernet frame of 1514 bytes never fits: see the
	// reason PayloadTruncated.
	// +kubebuilder:validation:XValidation:rule="self >= 1 && self <= 1460",message="packetLength is a number of bytes from 1 to 1460: longer copies would not fit the network's MTU",messageExpression="'packetLength is %d: a copy keeps 1 to 1460 bytes of a packet; leave it out for 1460, as longer ones would not fit the network\\'s MTU'.format([self])"
	// +kubebuilder:default=1460
	// +optional
	PacketLength *int32 `json:"packetLength,omitempty"`

	// enabled switches the copying on and off; the session stays in the cloud.
	// +kubebuilder:default=true
	// +optional
	Enabled *bool `json:"enabled,omitempty"`

	// silenceAfter is for how long no copy that the filter accepts may come, from all
	// sources together or from one of them, until TrafficObserved is False: 10s to 720h, such
	// as 90s, 15m or 24h. Without it silence is never judged. The manager measures it by its
	// own clock, anew after it was restarted; a time that is shorter than the counts' way into
	// the status (about 20 s, more where a host or the cluster has very many sessions) counts
	// as long as that way.
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=256
	// +kubebuilder:validation:XValidation:rule="self.matches('^([0-9]{1,6}(h|m|s|ms))+$') && duration(self) >= duration('10s') && duration(self) <= duration('720h')",message="silenceAfter is a time from 10s to 720h, such as 90s, 15m or 24h; leave it out to have silence never judged",messageExpression="'silenceAfter is \"' + self + '\": write a time from 10s to 720h, such as 90s, 15m or 24h; leave it out to have silence never judged'"
	// +optional
	SilenceAfter *metav1.Duration `json:"silenceAfter,omitempty"`
}

// ResolvedInterface is an elastic network interface as the cloud knows it.
type ResolvedInterface struct {
	// interfaceID of the elastic network interface.
	// +kubebuilder:validation:MaxLength=64
	// +required
	InterfaceID string `json:"interfaceID"`
	// addresses are all private addresses of the interface, the primary one first.
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MaxLength=45
	// +optional
	Addresses []string `json:"addresses,omitempty"`
	// mac address of the interface, in lower case with colons.
	// +kubebuilder:validation:MaxLength=17
	// +optional
	MAC string `json:"mac,omitempty"`
	// nodeName is the node of this cluster that has one of the addresses as its
	// InternalIP, if there is one.
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:Pattern=`^[ -~]*$`
	// +optional
	NodeName string `json:"nodeName,omitempty"`
}

// ResolvedTarget is what receives the copies: an elastic network interface, or a load balancer with
// its members.
type ResolvedTarget struct {
	// ResolvedInterface is, of a load balancer, the interface that has its address.
	ResolvedInterface `json:",inline"`
	// loadBalancerID of the load balancer, if the target is one; addresses are its own then, and the
	// node is that of a member.
	// +kubebuilder:validation:MaxLength=64
	// +optional
	LoadBalancerID string `json:"loadBalancerID,omitempty"`
	// members are those of the load balancer's pool for copies, in the order of their addresses, at
	// most 32; each of them that is not offline gets a share of the copies. The verifiers of others
	// don't count.
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=32
	// +optional
	Members []TargetMember `json:"members,omitempty"`
}

// TargetMember is a server behind a load balancer.
type TargetMember struct {
	// address at which it gets copies.
	// +kubebuilder:validation:MaxLength=45
	// +required
	Address string `json:"address"`
	// interfaceID of the elastic network interface that has the address, if there is one.
	// +kubebuilder:validation:MaxLength=64
	// +optional
	InterfaceID string `json:"interfaceID,omitempty"`
	// mac address of that interface, in lower case with colons.
	// +kubebuilder:validation:MaxLength=17
	// +optional
	MAC string `json:"mac,omitempty"`
	// nodeName is the node of this cluster that has the address as its InternalIP, if there is one.
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:Pattern=`^[ -~]*$`
	// +optional
	NodeName string `json:"nodeName,omitempty"`
	// health is what the load balancer's checks say of it: Online, Offline, which gets no copies, or
	// Unchecked.
	// +kubebuilder:validation:MaxLength=16
	// +optional
	Health string `json:"health,omitempty"`
}

// CloudSession is one mirror session in the cloud.
type CloudSession struct {
	// id of the session in the cloud.
	// +kubebuilder:validation:MaxLength=64
	// +required
	ID string `json:"id"`
	// part is the number of the session among those that stand for the object, as it is in the
	// mark at the end of its description: 2 and more, absent for the one without a number there.
	// +kubebuilder:validation:Minimum=2
	// +optional
	Part int32 `json:"part,omitempty"`
	// priority of the session in the cloud.
	// +required
	Priority int32 `json:"priority"`
	// sources are the interface IDs that the session copies from.
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MaxLength=64
	// +optional
	Sources []string `json:"sources,omitempty"`
}

// MirrorSessionStatus is what the manager found and did, and what the verifiers saw.
type MirrorSessionStatus struct {
	CommonStatus `json:",inline"`

	// vni of the session in the cloud.
	// +optional
	VNI *int32 `json:"vni,omitempty"`

	// sessions in the cloud that stand for this object: one for every ten sources, as the
	// cloud takes no more in a session. The first has the priority that the spec names.
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=32
	// +optional
	Sessions []CloudSession `json:"sessions,omitempty"`

	// sources are the interfaces that the cloud copies from.
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=200
	// +optional
	Sources []ResolvedInterface `json:"sources,omitempty"`

	// target as resolved.
	// +optional
	Target *ResolvedTarget `json:"target,omitempty"`

	// epoch is raised whenever sources, target, VNI, enabled or the content of the filter
	// have changed in the cloud. What was counted before proves nothing about what is copied
	// now: TrafficObserved goes by the counts of this epoch alone.
	// +kubebuilder:validation:Minimum=0
	// +optional
	Epoch int64 `json:"epoch,omitempty"`

	// epochBasis is a hash of what the epoch stands for, by which the manager sees that
	// it has changed.
	// +kubebuilder:validation:MaxLength=64
	// +optional
	EpochBasis string `json:"epochBasis,omitempty"`

	// verification has one entry for each node that counts copies of the
	// session. Each is written by the verifier of that node alone.
	// +listType=map
	// +listMapKey=node
	// +kubebuilder:validation:MaxItems=16
	// +optional
	Verification []Verification `json:"verification,omitempty"`

	// traffic is the sum of the entries of verification.
	// +optional
	Traffic *Traffic `json:"traffic,omitempty"`

	// findings are what stands in the way of the copies, or of believing what is counted;
	// the worst first. There is none when all is well.
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=16
	// +optional
	Findings []Finding `json:"findings,omitempty"`

	// changes are the last changes of what decides whether copies come, the newest first: of
	// the spec, by the operator in the cloud, and by others in the cloud, security groups and
	// network ACLs included.
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=5
	// +optional
	Changes []Change `json:"changes,omitempty"`

	// probe is the last probe that the annotation vpcmirror.io/probe-requested-at asked for: packets were sent
	// to see whether their copies arrive. There is none that nobody asked for.
	// +optional
	Probe *Probe `json:"probe,omitempty"`

	// probeReports has what each verifier that had a part in that probe did. Each is written by the verifier of
	// that node alone.
	// +listType=map
	// +listMapKey=node
	// +kubebuilder:validation:MaxItems=32
	// +optional
	ProbeReports []ProbeReport `json:"probeReports,omitempty"`
}

// MirrorSession copies the packets that a filter accepts from its sources to its
// target, and reports whether they arrive.
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:shortName=mirs,categories=mirror
// +kubebuilder:printcolumn:name="Ready",type=string,description="whether the cloud matches the spec; it says nothing about traffic",JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Path",type=string,description="whether a copy can get to the target, by what the cloud says of the way",JSONPath=`.status.conditions[?(@.type=="PathClear")].status`
// +kubebuilder:printcolumn:name="Traffic",type=string,description="True when copies that the filter accepts were counted since the last change in the cloud, False when only wrong ones were or there is silence, Unknown otherwise",JSONPath=`.status.conditions[?(@.type=="TrafficObserved")].status`
// +kubebuilder:printcolumn:name="Target",type=string,description="address that the copies are sent to",JSONPath=`.status.target.addresses[0]`
// +kubebuilder:printcolumn:name="Packets",type=integer,description="packets that the filter accepts, counted by the verifiers; written within 15 s or so of the last packet, later where one host has more than 15 sessions with traffic or the cluster more than 750",JSONPath=`.status.traffic.packets`
// +kubebuilder:printcolumn:name="Last-Seen",type=date,description="how long ago the last packet came",JSONPath=`.status.traffic.lastPacketAt`
// +kubebuilder:printcolumn:name="Why",type=string,description="reason of the worst finding, empty when all is well",JSONPath=`.status.findings[0].reason`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:printcolumn:name="VNI",type=integer,priority=1,description="VXLAN network identifier of the copies",JSONPath=`.status.vni`
// +kubebuilder:printcolumn:name="Priority",type=integer,priority=1,description="priority of the session in the cloud; of sessions that share a source the smallest is tried first",JSONPath=`.status.sessions[0].priority`
// +kubebuilder:printcolumn:name="ID",type=string,priority=1,description="ID of the session in the cloud",JSONPath=`.status.sessions[0].id`
// +kubebuilder:printcolumn:name="Message",type=string,priority=1,description="message of the worst finding",JSONPath=`.status.findings[0].message`
type MirrorSession struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is that of every object.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// spec says which interfaces are mirrored to where.
	// +required
	Spec MirrorSessionSpec `json:"spec"`
	// status is what the manager found and did.
	// +kubebuilder:default={"observedGeneration":-1}
	// +optional
	Status MirrorSessionStatus `json:"status,omitempty"`
}

// MirrorSessionList is a list of MirrorSessions.
// +kubebuilder:object:root=true
type MirrorSessionList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []MirrorSession `json:"items"`
}
