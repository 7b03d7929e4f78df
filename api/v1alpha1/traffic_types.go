package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Counts are totals of mirrored packets. They never fall.
type Counts struct {
	// packets that came from a source of the session and that the filter accepts.
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=2000000000000000000
	// +required
	Packets int64 `json:"packets"`
	// bytes of the inner frames of those packets, as they were on the wire of the
	// copies.
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=2000000000000000000
	// +required
	Bytes int64 `json:"bytes"`
	// unexpected packets came from a source of the session, but the filter does
	// not accept them: it rejects them, no rule matches, or they are not IP.
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=2000000000000000000
	// +required
	Unexpected int64 `json:"unexpected"`
	// undecided packets came from a source of the session, but whether the filter
	// accepts them can't be told: cut or fragmented before the needed field,
	// malformed, neither to nor from the source, or not accepted by the old rules
	// while the filter was being changed.
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=2000000000000000000
	// +required
	Undecided int64 `json:"undecided"`
	// foreignSource packets carried the session's VNI, but came from an address
	// that is no source of it.
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=2000000000000000000
	// +required
	ForeignSource int64 `json:"foreignSource"`
	// dropped frames reached the node while the capture could not keep up; they are
	// of any session, because nobody looked at them.
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=2000000000000000000
	// +required
	Dropped int64 `json:"dropped"`
	// truncated packets came from a source of the session and are shorter than their own
	// IP header says: the copy was cut, and an IDS does not look into what it can't read
	// whole. Each is in packets, unexpected or undecided as well.
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=2000000000000000000
	// +optional
	Truncated int64 `json:"truncated,omitempty"`
	// unreadable frames came from a source of the session to the port of the copies, but
	// none could read them as its copy: the VXLAN header is not valid or another protocol's
	// (GPE), or the headers around it are cut or contradict each other.
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=2000000000000000000
	// +optional
	Unreadable int64 `json:"unreadable,omitempty"`
}

// SourceCounts are the counts of one source, since it is a source of the session.
type SourceCounts struct {
	// interfaceID of the source.
	// +kubebuilder:validation:MaxLength=36
	// +kubebuilder:validation:Pattern=`^[ -~]*$`
	// +required
	InterfaceID string `json:"interfaceID"`
	// address is the primary address of the source.
	// +kubebuilder:validation:MaxLength=45
	// +kubebuilder:validation:Pattern=`^[ -~]*$`
	// +optional
	Address string `json:"address,omitempty"`
	// packets that the filter accepts.
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=2000000000000000000
	// +required
	Packets int64 `json:"packets"`
	// bytes of the inner frames of those packets.
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=2000000000000000000
	// +required
	Bytes int64 `json:"bytes"`
	// unexpected packets are not accepted by the filter.
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=2000000000000000000
	// +optional
	Unexpected int64 `json:"unexpected,omitempty"`
	// truncated packets are shorter than their own IP header says.
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=2000000000000000000
	// +optional
	Truncated int64 `json:"truncated,omitempty"`
	// lastPacketAt is when the last packet of the source came.
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=27
	// +kubebuilder:validation:Pattern=`^[0-9-]{10}T[0-9:]{8}[.][0-9]{6}Z$`
	// +optional
	LastPacketAt *metav1.MicroTime `json:"lastPacketAt,omitempty"`
}

// RuleCounts are the packets that one rule of the filter decided about in the present epoch.
type RuleCounts struct {
	// direction of the rule.
	// +kubebuilder:validation:Enum=Ingress;Egress
	// +kubebuilder:validation:MaxLength=7
	// +required
	Direction Direction `json:"direction,omitempty"`
	// priority of the rule; with direction it names one rule of the filter.
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=65535
	// +required
	Priority int32 `json:"priority"`
	// packets that the rule decided about: copies that it accepts, or unexpected ones that it
	// rejects.
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=2000000000000000000
	// +required
	Packets int64 `json:"packets"`
}

// Verification is what the verifier of one node has seen of the session. Only that
// verifier writes it. Its texts are printable ASCII, and its times have the one form that
// every reader understands.
type Verification struct {
	Counts `json:",inline"`

	// node on which the verifier runs.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:Pattern=`^[ -~]*$`
	// +required
	Node string `json:"node,omitempty"`
	// interface of the node on which the copies are expected.
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:Pattern=`^[ -~]*$`
	// +optional
	Interface string `json:"interface,omitempty"`
	// observedAt is when the counts were read; they are exact as of then.
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=27
	// +kubebuilder:validation:Pattern=`^[0-9-]{10}T[0-9:]{8}[.][0-9]{6}Z$`
	// +required
	ObservedAt metav1.MicroTime `json:"observedAt"`
	// startedAt is when this verifier began to watch for the session.
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=27
	// +kubebuilder:validation:Pattern=`^[0-9-]{10}T[0-9:]{8}[.][0-9]{6}Z$`
	// +optional
	StartedAt *metav1.MicroTime `json:"startedAt,omitempty"`
	// firstPacketAt is when the first packet of the session came.
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=27
	// +kubebuilder:validation:Pattern=`^[0-9-]{10}T[0-9:]{8}[.][0-9]{6}Z$`
	// +optional
	FirstPacketAt *metav1.MicroTime `json:"firstPacketAt,omitempty"`
	// lastPacketAt is when the last packet of the session came.
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=27
	// +kubebuilder:validation:Pattern=`^[0-9-]{10}T[0-9:]{8}[.][0-9]{6}Z$`
	// +optional
	LastPacketAt *metav1.MicroTime `json:"lastPacketAt,omitempty"`
	// lastPacket is the last packet as tcpdump would show it, without payload. There is
	// none while a session of another namespace claims the same copies, see shared.
	// +kubebuilder:validation:MaxLength=512
	// +kubebuilder:validation:Pattern=`^[ -~]*$`
	// +optional
	LastPacket string `json:"lastPacket,omitempty"`
	// epoch is the epoch of the session in which inEpoch and rules were counted.
	// +kubebuilder:validation:Minimum=0
	// +optional
	Epoch int64 `json:"epoch,omitempty"`
	// inEpoch is what of the counts was counted in that epoch.
	// +optional
	InEpoch *Counts `json:"inEpoch,omitempty"`
	// sources are the counts of each source. There are none while a session of another
	// namespace claims the same copies, see shared.
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=200
	// +optional
	Sources []SourceCounts `json:"sources,omitempty"`
	// rules are the counts of each rule in that epoch. There are none while a session of
	// another namespace claims the same copies, see shared.
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=20
	// +optional
	Rules []RuleCounts `json:"rules,omitempty"`
	// foreignSender is the address that sent the most of the foreignSource packets that no
	// session claims.
	// +kubebuilder:validation:MaxLength=45
	// +kubebuilder:validation:Pattern=`^[ -~]*$`
	// +optional
	ForeignSender string `json:"foreignSender,omitempty"`
	// imbalance is by how many frames the books of the interface's capture are off: above 0
	// more were read than came, below some that came were never found. Either is an error of a
	// program, and the counts are not to be trusted.
	// +kubebuilder:validation:Minimum=-2000000000000000000
	// +kubebuilder:validation:Maximum=2000000000000000000
	// +optional
	Imbalance int64 `json:"imbalance,omitempty"`
	// ended says that this verifier counts the session no more, because the target is
	// no longer on its node. The manager then adds the entry to traffic.retired and
	// removes it.
	// +optional
	Ended bool `json:"ended,omitempty"`
	// consumer says what on the node takes the copies, as the verifier sees it from outside.
	// +optional
	Consumer *Consumer `json:"consumer,omitempty"`
	// message says what keeps the verifier from counting, when something does.
	// +kubebuilder:validation:MaxLength=512
	// +kubebuilder:validation:Pattern=`^[ -~]*$`
	// +optional
	Message string `json:"message,omitempty"`
	// shared says which other sessions claim the same copies, when some do: they have a
	// source address and the VNI in common with this one, at the same target. Nothing in a
	// copy tells whose it is, so it is counted for each of them.
	// +kubebuilder:validation:MaxLength=512
	// +kubebuilder:validation:Pattern=`^[ -~]*$`
	// +optional
	Shared string `json:"shared,omitempty"`
}

// Traffic is the sum over all verifiers, those that have gone included.
type Traffic struct {
	Counts `json:",inline"`

	// since is when the present epoch began: sources, target, VNI, enabled or the content
	// of the filter last changed in the cloud.
	// +optional
	Since *metav1.Time `json:"since,omitempty"`
	// inEpoch is what was counted in the present epoch.
	// +optional
	InEpoch *Counts `json:"inEpoch,omitempty"`
	// sources are the counts of each source, since it is one.
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=200
	// +optional
	Sources []SourceCounts `json:"sources,omitempty"`
	// rules are the counts of each rule of the filter, in the present epoch.
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=20
	// +optional
	Rules []RuleCounts `json:"rules,omitempty"`

	// retired is what entries had counted whose node is gone or no longer has the
	// target. It is part of the sum.
	// +optional
	Retired *Retired `json:"retired,omitempty"`

	// firstPacketAt is when the first packet was seen on any node.
	// +optional
	FirstPacketAt *metav1.Time `json:"firstPacketAt,omitempty"`
	// lastPacketAt is when the last packet was seen on any node.
	// +optional
	LastPacketAt *metav1.Time `json:"lastPacketAt,omitempty"`
}

// Retired is what entries had counted that are gone.
type Retired struct {
	Counts `json:",inline"`

	// sources are the counts of each source.
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=200
	// +optional
	Sources []SourceCounts `json:"sources,omitempty"`
}

// Consumer says whether something on the target's node takes the copies.
type Consumer struct {
	// status is True when something does, False when nothing can get them whole, Unknown
	// when that can't be told from outside.
	// +kubebuilder:validation:Enum=True;False;Unknown
	// +required
	Status metav1.ConditionStatus `json:"status,omitempty"`
	// reason names what was found, see the reference of reasons.
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:Pattern=`^[ -~]*$`
	// +required
	Reason string `json:"reason"`
	// message says what was found, in a sentence.
	// +kubebuilder:validation:MaxLength=512
	// +kubebuilder:validation:Pattern=`^[ -~]*$`
	// +required
	Message string `json:"message"`
	// remedy says what to do, in a sentence.
	// +kubebuilder:validation:MaxLength=512
	// +kubebuilder:validation:Pattern=`^[ -~]*$`
	// +optional
	Remedy string `json:"remedy,omitempty"`
	// partial says of False that some of the copies are taken all the same.
	// +optional
	Partial bool `json:"partial,omitempty"`
}

// ChangedBy says who made a change.
// +kubebuilder:validation:Enum=Spec;Operator;Cloud
type ChangedBy string

// Who changes what decides about copies.
const (
	// ChangedBySpec: an edit of the object, or of its filter.
	ChangedBySpec ChangedBy = "Spec"
	// ChangedByOperator: the operator, in the cloud.
	ChangedByOperator ChangedBy = "Operator"
	// ChangedByCloud: somebody else, in the cloud.
	ChangedByCloud ChangedBy = "Cloud"
)

// Change is a change of what decides whether copies come.
type Change struct {
	// at is when it was made, or else when it was seen: what others do in the cloud is seen at
	// the next look.
	// +required
	At metav1.Time `json:"at"`
	// by says who made it: Spec, Operator or Cloud.
	// +required
	By ChangedBy `json:"by,omitempty"`
	// what was changed, in a sentence.
	// +kubebuilder:validation:MaxLength=512
	// +required
	What string `json:"what"`
}

// Severity says how much a finding matters.
// +kubebuilder:validation:Enum=Error;Warning;Info
type Severity string

// Severities, the worst first.
const (
	// SeverityError: no copy that the filter accepts arrives, or none can, or nothing on the
	// target's node takes them.
	SeverityError Severity = "Error"
	// SeverityWarning: copies arrive, but not all, not whole, or not only those of the
	// session; or what is counted can't be trusted.
	SeverityWarning Severity = "Warning"
	// SeverityInfo: nobody has to do anything, or it goes on by itself.
	SeverityInfo Severity = "Info"
)

// DecidedBy says by what a finding was told.
// +kubebuilder:validation:Enum=Spec;Read;Count;Node;Probe
type DecidedBy string

// Ways to tell what stands in the way.
const (
	// DecidedBySpec: by what the object itself says.
	DecidedBySpec DecidedBy = "Spec"
	// DecidedByRead: by what the cloud's or Kubernetes' API said when it was read.
	DecidedByRead DecidedBy = "Read"
	// DecidedByCount: by what the verifiers counted.
	DecidedByCount DecidedBy = "Count"
	// DecidedByNode: by what is known of the target's node and its verifier.
	DecidedByNode DecidedBy = "Node"
	// DecidedByProbe: by a packet that was sent to find out.
	DecidedByProbe DecidedBy = "Probe"
)

// Finding is one thing that stands in the way of the copies, or of believing the counts.
type Finding struct {
	// reason names the cause, see the reference of reasons.
	// +kubebuilder:validation:MaxLength=64
	// +required
	Reason string `json:"reason"`
	// severity is Error, Warning or Info.
	// +required
	Severity Severity `json:"severity,omitempty"`
	// subject is what it is about: a source, the target, a node, a rule.
	// +kubebuilder:validation:MaxLength=256
	// +optional
	Subject string `json:"subject,omitempty"`
	// message says what was found, in a sentence.
	// +kubebuilder:validation:MaxLength=1024
	// +required
	Message string `json:"message"`
	// remedy says what to do, in a sentence.
	// +kubebuilder:validation:MaxLength=512
	// +optional
	Remedy string `json:"remedy,omitempty"`
	// decidedBy says by what it was told: Spec, Read, Count, Node or Probe.
	// +required
	DecidedBy DecidedBy `json:"decidedBy,omitempty"`
	// since is when it was found first; of silence, when that began.
	// +required
	Since metav1.Time `json:"since"`
}
