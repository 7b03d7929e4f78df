package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// ProbeRequestedAnnotation, of a session, asks for one probe: packets that its filter copies are sent, and whether
// their copies arrive is told in status.probe. The value is the time of the request (RFC 3339), such as
// 2026-01-02T15:04:05Z; any new one asks once, and one that is older than five minutes asks for nothing.
const ProbeRequestedAnnotation = "vpcmirror.io/probe-requested-at"

const (
	// MaxProbePackets is how many packets a probe sends for one source at most.
	MaxProbePackets = 3
	// MaxProbeSources is of how many sources a probe tells.
	MaxProbeSources = 32
)

// ProbeKind is what kind of packets a probe sends.
// +kubebuilder:validation:Enum=TCP;UDP;ICMP;All
type ProbeKind string

// Kinds of packets. Those of TCP and UDP have a wrong checksum unless an answer is to be copied: the receiver's kernel
// throws them away, and no service sees them.
const (
	// ProbeTCP is a SYN.
	ProbeTCP ProbeKind = "TCP"
	// ProbeUDP is a datagram.
	ProbeUDP ProbeKind = "UDP"
	// ProbeICMP is an echo request.
	ProbeICMP ProbeKind = "ICMP"
	// ProbeAll is one of each.
	ProbeAll ProbeKind = "All"
)

// ProbeOutcome is what a probe tells of a source.
// +kubebuilder:validation:Enum=Arrived;NotArrived;CannotSend
type ProbeOutcome string

// Outcomes of a probe.
const (
	// ProbeArrived: a copy of one of the packets arrived at the target.
	ProbeArrived ProbeOutcome = "Arrived"
	// ProbeNotArrived: packets were sent, and no copy arrived.
	ProbeNotArrived ProbeOutcome = "NotArrived"
	// ProbeCannotSend: no packet was sent; reason and message say why, and command what to run instead.
	ProbeCannotSend ProbeOutcome = "CannotSend"
)

// ProbeSend says which packets the verifier of a node is to send for a source.
type ProbeSend struct {
	// interfaceID of the source.
	// +kubebuilder:validation:MaxLength=64
	// +required
	InterfaceID string `json:"interfaceID"`
	// node whose verifier sends.
	// +kubebuilder:validation:MaxLength=253
	// +required
	Node string `json:"node"`
	// kind of the packets.
	// +required
	Kind ProbeKind `json:"kind,omitempty"`
	// from is the address of the node that they are sent from.
	// +kubebuilder:validation:MaxLength=45
	// +required
	From string `json:"from"`
	// to is the address that they are sent to: the source's, or where it sends itself, another node's.
	// +kubebuilder:validation:MaxLength=45
	// +required
	To string `json:"to"`
	// sourcePort is the first port that they may come from; without it any free one.
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=65535
	// +optional
	SourcePort int32 `json:"sourcePort,omitempty"`
	// sourceEndPort is the last port that they may come from.
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=65535
	// +optional
	SourceEndPort int32 `json:"sourceEndPort,omitempty"`
	// destinationPort is the port that they go to, of TCP and UDP.
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=65535
	// +optional
	DestinationPort int32 `json:"destinationPort,omitempty"`
	// answer says that not the packet is to be copied but the answer to it.
	// +optional
	Answer bool `json:"answer,omitempty"`
	// hopLimit is the TTL of the packets: 1 keeps what the source itself sends in its subnet.
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=64
	// +required
	HopLimit int32 `json:"hopLimit,omitempty"`
	// nonce is in each of the packets, and tells their copies from all others.
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=4294967295
	// +required
	Nonce int64 `json:"nonce"`
}

// ProbeRule names a rule of the filter.
type ProbeRule struct {
	// direction of the rule.
	// +kubebuilder:validation:Enum=Ingress;Egress
	// +required
	Direction Direction `json:"direction,omitempty"`
	// priority of the rule.
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=65535
	// +required
	Priority int32 `json:"priority"`
}

// ProbeResult is what a probe told of one source.
type ProbeResult struct {
	// interfaceID of the source.
	// +kubebuilder:validation:MaxLength=64
	// +required
	InterfaceID string `json:"interfaceID"`
	// address is the primary address of the source.
	// +kubebuilder:validation:MaxLength=45
	// +optional
	Address string `json:"address,omitempty"`
	// rule of the filter that the packets were to match.
	// +optional
	Rule *ProbeRule `json:"rule,omitempty"`
	// outcome is empty as long as the probe goes on, then Arrived, NotArrived or CannotSend.
	// +optional
	Outcome ProbeOutcome `json:"outcome,omitempty"`
	// latencyMicroseconds is how long it took from the first packet to its first copy, in millionths of a second.
	// It is as exact as the clocks of the two nodes agree, and left out where these contradict each other.
	// +kubebuilder:validation:Minimum=0
	// +optional
	LatencyMicroseconds *int64 `json:"latencyMicroseconds,omitempty"`
	// reason names why nothing was sent, see the reference of reasons.
	// +kubebuilder:validation:MaxLength=64
	// +optional
	Reason string `json:"reason,omitempty"`
	// message says what was sent, or why nothing was, in a sentence.
	// +kubebuilder:validation:MaxLength=256
	// +kubebuilder:validation:Pattern=`^[ -~]*$`
	// +optional
	Message string `json:"message,omitempty"`
	// command is what to run where nothing could be sent; the message says where.
	// +kubebuilder:validation:MaxLength=128
	// +optional
	Command string `json:"command,omitempty"`
}

// Probe is the last probe that was asked for. The manager writes it; what the verifiers do of it is in probeReports.
type Probe struct {
	// requestedAt is the request that the probe answers, as the annotation has it.
	// +kubebuilder:validation:MaxLength=64
	// +required
	RequestedAt string `json:"requestedAt"`
	// id of the probe, by which its reports are known.
	// +kubebuilder:validation:MaxLength=16
	// +optional
	ID string `json:"id,omitempty"`
	// startedAt is when the manager began with it.
	// +required
	StartedAt metav1.Time `json:"startedAt"`
	// sendingAt is when the watchers were ready, so that packets may be sent.
	// +optional
	SendingAt *metav1.Time `json:"sendingAt,omitempty"`
	// finishedAt is when the results were complete.
	// +optional
	FinishedAt *metav1.Time `json:"finishedAt,omitempty"`
	// watchers are the nodes whose verifiers look for the copies.
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:items:MaxLength=253
	// +optional
	Watchers []string `json:"watchers,omitempty"`
	// sends are what is to be sent, at most one entry for each source. There is none once the probe is over.
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=32
	// +optional
	Sends []ProbeSend `json:"sends,omitempty"`
	// results has one entry for each source, of more than 32 for the first ones.
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=32
	// +optional
	Results []ProbeResult `json:"results,omitempty"`
	// reason names why the request was refused, see the reference of reasons.
	// +kubebuilder:validation:MaxLength=64
	// +optional
	Reason string `json:"reason,omitempty"`
	// message says why the request was refused, or which sources were left out, in a sentence.
	// +kubebuilder:validation:MaxLength=512
	// +optional
	Message string `json:"message,omitempty"`
}

// Active reports whether verifiers have something to do for the probe, which may be nil.
func (p *Probe) Active() bool { return p != nil && p.FinishedAt == nil && len(p.Sends) > 0 }

// ProbeReport is what the verifier of one node did of a probe. Only that verifier writes it.
type ProbeReport struct {
	// node of the verifier.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:Pattern=`^[ -~]*$`
	// +required
	Node string `json:"node,omitempty"`
	// probe is the ID of the probe that it is about.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=16
	// +kubebuilder:validation:Pattern=`^[ -~]*$`
	// +required
	Probe string `json:"probe,omitempty"`
	// watching says that copies of its packets are looked for, and counted apart.
	// +optional
	Watching bool `json:"watching,omitempty"`
	// claimed says that the verifier has begun to send. It is stored before the first packet, so that nothing
	// is ever sent twice.
	// +optional
	Claimed bool `json:"claimed,omitempty"`
	// sent is what was sent, and when.
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=32
	// +optional
	Sent []ProbeSent `json:"sent,omitempty"`
	// arrived are the copies that came.
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=32
	// +optional
	Arrived []ProbeCopies `json:"arrived,omitempty"`
}

// ProbeSent is what a verifier sent for a source.
type ProbeSent struct {
	// interfaceID of the source.
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:Pattern=`^[ -~]*$`
	// +required
	InterfaceID string `json:"interfaceID"`
	// packets that were sent.
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=3
	// +required
	Packets int32 `json:"packets"`
	// at is when the first one was.
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=27
	// +kubebuilder:validation:Pattern=`^[0-9-]{10}T[0-9:]{8}[.][0-9]{6}Z$`
	// +optional
	At *metav1.MicroTime `json:"at,omitempty"`
	// message says what kept packets from being sent, when something did.
	// +kubebuilder:validation:MaxLength=128
	// +kubebuilder:validation:Pattern=`^[ -~]*$`
	// +optional
	Message string `json:"message,omitempty"`
}

// ProbeCopies are the copies of a probe's packets for a source that came to a node.
type ProbeCopies struct {
	// interfaceID of the source.
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:Pattern=`^[ -~]*$`
	// +required
	InterfaceID string `json:"interfaceID"`
	// packets that came.
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=2000000000000000000
	// +required
	Packets int64 `json:"packets"`
	// at is when the first one did.
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=27
	// +kubebuilder:validation:Pattern=`^[0-9-]{10}T[0-9:]{8}[.][0-9]{6}Z$`
	// +required
	At metav1.MicroTime `json:"at"`
}
