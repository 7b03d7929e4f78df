package node

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/verifier/report"
	"vpcmirror.io/operator/test/bench/seed"
)

const (
	perTarget = 10
	perFilter = 10
	ownMost   = 300
	// others and own are the namespaces of the sessions whose targets are elsewhere, and here.
	others, own = "others", "own"
	ownNode     = "node-own"
)

func ownTarget(target int) netip.Addr { return netip.AddrFrom4([4]byte{10, 32, 1, byte(target + 1)}) }
func ownSource(n int) netip.Addr      { return netip.AddrFrom4([4]byte{10, 17, byte(n >> 8), byte(n)}) }
func ownVNI(n int) int                { return 5000 + n }
func ownMAC(n int) net.HardwareAddr {
	return net.HardwareAddr{0xfa, 0x16, 0x3d, 0, byte(n >> 8), byte(n)}
}

func interfaceID(kind, n int) string { return fmt.Sprintf("5a1f0c7e-0000-4000-800%d-%012x", kind, n) }

// What differs from one object to the next, as it stands in the models. Each is long enough to
// stand nowhere else.
const (
	modelName    = "model-0000000"
	modelSource  = "10.250.1.1"
	modelTarget  = "10.250.2.2"
	modelVNI     = 7654321
	modelNode    = "node-model-000"
	modelKind    = 7
	modelPackets = 7_000_000_007
)

var modelMAC, modelTargetMAC = net.HardwareAddr{0xfa, 0x16, 0x3d, 7, 7, 7}, net.HardwareAddr{0xfa, 0x16, 0x3d, 8, 8, 8}

// models are objects as the API server has stored them, of which all others are copies.
type models struct {
	filter, session, reported seed.Object
	uid, filterUID            string // of session and filter
}

// learn has the API server store a filter and sessions with all that the manager and, of one of
// them, a verifier say.
func (b *bench) learn(ctx context.Context) error {
	for _, name := range []string{others, own} {
		if err := b.API.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}); err != nil {
			return fmt.Errorf("make the namespace %s: %w", name, err)
		}
	}
	ready := func(generation int64) []metav1.Condition {
		return []metav1.Condition{{
			Type: v1alpha1.ConditionReady, Status: metav1.ConditionTrue, Reason: "Synced", Message: "the cloud matches the spec",
			ObservedGeneration: generation, LastTransitionTime: metav1.Now(),
		}}
	}
	f := modelFilter()
	if err := b.API.Create(ctx, f); err != nil {
		return fmt.Errorf("make the model of a filter: %w", err)
	}
	f.Status.Conditions, f.Status.ObservedGeneration = ready(f.Generation), f.Generation
	f.Status.ID, f.Status.RuleCount, f.Status.Epoch = interfaceID(modelKind, 1), int32(len(f.Spec.Rules)), 1
	for i, rule := range f.Spec.Rules {
		f.Status.Rules = append(f.Status.Rules, v1alpha1.FilterRuleStatus{Direction: rule.Direction, Priority: rule.Priority, ID: interfaceID(modelKind, 10+i)})
	}
	if err := b.API.Status().Update(ctx, f); err != nil {
		return fmt.Errorf("store the status of the model of a filter: %w", err)
	}
	var err error
	if b.models.filter, err = b.store.Get(ctx, seed.Key("mirrorfilters", others, modelName)); err != nil {
		return err
	}
	b.models.filterUID = string(f.UID)
	s := modelSession()
	if err := b.API.Create(ctx, s); err != nil {
		return fmt.Errorf("make the model of a session: %w", err)
	}
	fillStatus(s, ready(s.Generation))
	if err := b.API.Status().Update(ctx, s, client.FieldOwner("vpcmirror-manager")); err != nil {
		return fmt.Errorf("store the status of the model of a session: %w", err)
	}
	key := seed.Key("mirrorsessions", others, modelName)
	if b.models.session, err = b.store.Get(ctx, key); err != nil {
		return err
	}
	if err := report.Write(ctx, b.API, s, modelEntry(s)); err != nil {
		return err
	}
	b.models.uid = string(s.UID)
	b.models.reported, err = b.store.Get(ctx, key)
	return err
}

func modelFilter() *v1alpha1.MirrorFilter {
	f := &v1alpha1.MirrorFilter{ObjectMeta: metav1.ObjectMeta{Namespace: others, Name: modelName}}
	for rule := range int32(10) {
		f.Spec.Rules = append(f.Spec.Rules, v1alpha1.FilterRule{
			Direction: v1alpha1.DirectionIngress, Priority: rule + 1, Action: v1alpha1.ActionAccept,
			EtherType: v1alpha1.EtherTypeIPv4, Protocol: v1alpha1.ProtocolTCP,
			Source: &v1alpha1.RulePeer{CIDR: "10.16.0.0/12"}, Destination: &v1alpha1.RulePeer{CIDR: "10.16.0.0/12", Port: new(1000 + rule)},
		})
	}
	return f
}

func modelSession() *v1alpha1.MirrorSession {
	return &v1alpha1.MirrorSession{
		ObjectMeta: metav1.ObjectMeta{Namespace: others, Name: modelName},
		Spec: v1alpha1.MirrorSessionSpec{
			FilterRef: v1alpha1.FilterReference{Name: modelName},
			Sources:   []v1alpha1.SourceSelector{{InterfaceSelector: v1alpha1.InterfaceSelector{InterfaceID: interfaceID(modelKind, 2)}}},
			Target:    v1alpha1.TargetSelector{InterfaceSelector: v1alpha1.InterfaceSelector{InterfaceID: interfaceID(modelKind, 3)}},
		},
	}
}

func fillStatus(s *v1alpha1.MirrorSession, conditions []metav1.Condition) {
	s.Status.Conditions, s.Status.ObservedGeneration, s.Status.Epoch = conditions, s.Generation, 1
	for _, kind := range []string{v1alpha1.ConditionPathClear, v1alpha1.ConditionTrafficObserved, v1alpha1.ConditionConsumerReady} {
		more := conditions[0]
		more.Type = kind
		s.Status.Conditions = append(s.Status.Conditions, more)
	}
	s.Status.Account = &v1alpha1.Account{Region: "cn-north-4", ProjectID: "0123456789abcdef0123456789abcdef", Endpoint: "https://vpc.cn-north-4.example.com"}
	s.Status.VNI = new(int32(modelVNI))
	s.Status.Sessions = []v1alpha1.CloudSession{{ID: interfaceID(modelKind, 4), Priority: 10000, Sources: []string{interfaceID(modelKind, 2)}}}
	s.Status.Sources = []v1alpha1.ResolvedInterface{{InterfaceID: interfaceID(modelKind, 2), Addresses: []string{modelSource}, MAC: modelMAC.String()}}
	s.Status.Target = &v1alpha1.ResolvedTarget{ResolvedInterface: v1alpha1.ResolvedInterface{
		InterfaceID: interfaceID(modelKind, 3), Addresses: []string{modelTarget}, MAC: modelTargetMAC.String(), NodeName: modelNode,
	}}
}

func modelEntry(s *v1alpha1.MirrorSession) v1alpha1.Verification {
	now := new(metav1.NewMicroTime(time.Now()))
	counts := v1alpha1.Counts{Packets: modelPackets, Bytes: 100 * modelPackets}
	return v1alpha1.Verification{
		Counts: counts, Node: modelNode, Interface: "eth0", ObservedAt: *now, StartedAt: now, FirstPacketAt: now, LastPacketAt: now,
		LastPacket: "IP 10.16.7.1.38944 > 10.16.1.1.1000: Flags [S], length 0", Epoch: s.Status.Epoch, InEpoch: &counts,
		Sources: []v1alpha1.SourceCounts{{
			InterfaceID: s.Status.Sources[0].InterfaceID, Address: modelSource, Packets: counts.Packets, Bytes: counts.Bytes, LastPacketAt: now,
		}},
		Rules:    []v1alpha1.RuleCounts{{Direction: v1alpha1.DirectionIngress, Priority: 1, Packets: counts.Packets}},
		Consumer: &v1alpha1.Consumer{Status: "True", Reason: v1alpha1.ReasonConsumerSeen, Message: "a packet socket reads what arrives"},
	}
}

func uid(kind, n int) string { return fmt.Sprintf("00000000-0000-4000-900%d-%012x", kind, n) }

// filterName is that of the filter of a session.
func filterName(n int) string { return fmt.Sprintf("filter-%d", n/perFilter) }

// filters are those of so many sessions.
func (b *bench) filters(namespace string, sessions int) []seed.Object {
	var all []seed.Object
	for n := 0; n < sessions; n += perFilter {
		all = append(all, b.models.filter.Copy(
			"/"+others+"/", "/"+namespace+"/", strconv.Quote(others), strconv.Quote(namespace),
			modelName, filterName(n), b.models.filterUID, uid(3+len(namespace)%2, n), interfaceID(modelKind, 1), interfaceID(5, n)))
	}
	return all
}

// other is a session whose target is on another node; packets is what that node says.
func (b *bench) other(n, packets int) seed.Object {
	source, target := netip.AddrFrom4([4]byte{10, 18, byte(n >> 8), byte(n)}), n/perTarget
	return b.models.reported.Copy(
		`"filterRef":{"name":"`+modelName, `"filterRef":{"name":"`+filterName(n),
		modelName, fmt.Sprintf("session-%d", n), b.models.uid, uid(1, n),
		interfaceID(modelKind, 2), interfaceID(1, n), interfaceID(modelKind, 3), interfaceID(2, target), interfaceID(modelKind, 4), interfaceID(3, n),
		modelSource, source.String(), modelTarget, netip.AddrFrom4([4]byte{10, 33, byte(target >> 8), byte(target)}).String(),
		modelMAC.String(), net.HardwareAddr{0xfa, 0x16, 0x3e, 0, byte(n >> 8), byte(n)}.String(),
		modelTargetMAC.String(), net.HardwareAddr{0xfa, 0x16, 0x3f, 0, byte(target >> 8), byte(target)}.String(),
		modelNode, fmt.Sprintf("node-%d", target/20), strconv.Itoa(modelVNI), strconv.Itoa(n%perTarget+1), strconv.Itoa(modelPackets), strconv.Itoa(packets))
}

// ownOne is a session whose target is on the node.
func (b *bench) ownOne(n int) seed.Object {
	return b.models.session.Copy(
		"/"+others+"/", "/"+own+"/", strconv.Quote(others), strconv.Quote(own),
		`"filterRef":{"name":"`+modelName, `"filterRef":{"name":"`+filterName(n),
		modelName, fmt.Sprintf("session-%d", n), b.models.uid, uid(2, n),
		interfaceID(modelKind, 2), interfaceID(1, 1<<20+n), interfaceID(modelKind, 3), interfaceID(2, 1<<20+n/perTarget), interfaceID(modelKind, 4), interfaceID(3, 1<<20+n),
		modelSource, ownSource(n).String(), modelTarget, ownTarget(n/perTarget).String(), modelMAC.String(), ownMAC(n).String(),
		modelTargetMAC.String(), nodeMAC.String(), modelNode, ownNode, strconv.Itoa(modelVNI), strconv.Itoa(ownVNI(n)))
}
