package main

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/test/cloudsim/scenario"
	"vpcmirror.io/operator/test/demo/kernel"
)

// goodMarks are what the kernels count where all is well: 10 packets while open, 6 while
// closed, 5 when open again, and some of each other kind.
func goodMarks() marks {
	target := func(n uint64) kernel.Counts {
		return kernel.Counts{requests: n, all4789: n, fromSource: n, ofSession: n, otherPorts: 0, otherClient: 0, datagrams: 0, replies: 0}
	}
	source := func(n, more uint64) kernel.Counts {
		return kernel.Counts{requests: n, otherPorts: more, otherClient: more + 1, datagrams: more + 2, replies: more + 3}
	}
	return marks{
		// Counters need not begin at 0.
		began:    mark{source(2, 3), target(1)},
		opened:   mark{source(12, 9), target(11)},
		closed:   mark{source(18, 10), target(11)},
		reopened: mark{source(23, 11), target(16)},
	}
}

func goodCounts() v1alpha1.Counts { return v1alpha1.Counts{Packets: 15, Bytes: 1000} }

func TestTheTableHoldsWhereKernelsAndVerifierAgree(t *testing.T) {
	rows := judge(goodMarks(), goodCounts())
	want := []row{
		{ID: "requests", SourceKernel: 15, ExpectedCopies: 15, TargetKernel: 15, Verifier: 15, OK: true},
		{ID: "closed", SourceKernel: 6, OK: true},
		{ID: "otherPort", SourceKernel: 8, OK: true},
		{ID: "otherClient", SourceKernel: 8, OK: true},
		{ID: "udp", SourceKernel: 8, OK: true},
		{ID: "replies", SourceKernel: 8, OK: true},
	}
	if diff := cmp.Diff(want, rows, cmpopts.IgnoreFields(row{}, "Sent")); diff != "" {
		t.Errorf("rows (-want +got):\n%s", diff)
	}
	if wrong := faults(goodMarks(), rows, goodCounts()); len(wrong) > 0 {
		t.Errorf("faults where there is none: %q", wrong)
	}
}

func TestEveryDifferenceIsAFault(t *testing.T) {
	tests := []struct {
		name   string
		change func(*marks, *v1alpha1.Counts)
		// bad are the rows that must not be ok, fault is a part of what is said.
		bad   []string
		fault string
	}{
		{
			name:   "the verifier counted one packet too few",
			change: func(_ *marks, c *v1alpha1.Counts) { c.Packets-- },
			bad:    []string{"requests"}, fault: "15 copies had to arrive, the kernel of ecs-target received 15, the verifier counted 14",
		},
		{
			name:   "the verifier counted what did not arrive",
			change: func(_ *marks, c *v1alpha1.Counts) { c.Packets += 6 },
			bad:    []string{"requests", "closed"}, fault: "the verifier counted 6",
		},
		{
			name:   "a copy of a request was lost",
			change: func(m *marks, _ *v1alpha1.Counts) { m.reopened.target[requests]-- },
			bad:    []string{"requests"}, fault: "the kernel of ecs-target received 14",
		},
		{
			name: "copies arrived although UDP 4789 was closed",
			change: func(m *marks, _ *v1alpha1.Counts) {
				for _, at := range []*mark{&m.closed, &m.reopened} {
					at.target[requests] += 6
				}
			},
			bad: []string{"closed"}, fault: "0 copies had to arrive, the kernel of ecs-target received 6",
		},
		{
			name: "another port was copied and the verifier called it unexpected",
			change: func(m *marks, c *v1alpha1.Counts) {
				m.reopened.target[otherPorts], c.Unexpected = 8, 8
			},
			bad: []string{"otherPort"}, fault: "the verifier counted 8 packets as unexpected",
		},
		{
			name:   "unexpected packets that no kernel saw are nobody's, so they are everybody's",
			change: func(_ *marks, c *v1alpha1.Counts) { c.Undecided = 1 },
			bad:    []string{"otherPort", "otherClient", "udp", "replies"}, fault: "the verifier counted 1 packets as undecided",
		},
		{
			name:   "nothing of a kind reached ecs-source, so nothing is proved",
			change: func(m *marks, _ *v1alpha1.Counts) { m.reopened.source[datagrams] = m.began.source[datagrams] },
			bad:    []string{"udp"}, fault: "nothing of it passed the kernel of ecs-source",
		},
		{
			name:   "a datagram to UDP 4789 came from elsewhere",
			change: func(m *marks, _ *v1alpha1.Counts) { m.reopened.target[all4789]++ },
			fault:  "received 16 datagrams to UDP 4789, but only 15 copies",
		},
		{
			name:   "a copy had another VNI",
			change: func(m *marks, _ *v1alpha1.Counts) { m.reopened.target[ofSession]-- },
			fault:  "received 14 of these with the session's VNI, but only 15",
		},
		{
			name:   "the verifier saw a foreign source where there was none",
			change: func(_ *marks, c *v1alpha1.Counts) { c.ForeignSource = 1 },
			fault:  "as of a foreign source",
		},
		{
			name:   "a copy was cut",
			change: func(_ *marks, c *v1alpha1.Counts) { c.Truncated = 1 },
			fault:  "as cut",
		},
		{
			name:   "a copy could not be read",
			change: func(_ *marks, c *v1alpha1.Counts) { c.Unreadable = 1 },
			fault:  "as unreadable",
		},
		{
			name:   "the verifier dropped a frame",
			change: func(_ *marks, c *v1alpha1.Counts) { c.Dropped = 1 },
			fault:  "as dropped",
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			m, counts := goodMarks(), goodCounts()
			test.change(&m, &counts)
			rows := judge(m, counts)
			var bad []string
			for _, r := range rows {
				if !r.OK {
					bad = append(bad, r.ID)
				}
			}
			if diff := cmp.Diff(test.bad, bad); diff != "" {
				t.Errorf("rows that are not ok (-want +got):\n%s", diff)
			}
			if said := strings.Join(faults(m, rows, counts), "\n"); !strings.Contains(said, test.fault) {
				t.Errorf("the faults %q don't say %q", said, test.fault)
			}
		})
	}
}

// goodStatus is one whose parts are the whole.
func goodStatus() (v1alpha1.MirrorSessionStatus, v1alpha1.Verification) {
	counts := goodCounts()
	sources := []v1alpha1.SourceCounts{{InterfaceID: scenario.WalkthroughSource, Address: "192.168.0.230", Packets: 15, Bytes: 1000}}
	rules := []v1alpha1.RuleCounts{{Direction: v1alpha1.DirectionIngress, Priority: 1, Packets: 15}}
	entry := v1alpha1.Verification{Counts: counts, Epoch: 1, InEpoch: &counts, Sources: sources, Rules: rules}
	return v1alpha1.MirrorSessionStatus{
		Epoch:   1,
		Traffic: &v1alpha1.Traffic{Counts: counts, InEpoch: &counts, Sources: sources, Rules: rules},
	}, entry
}

func TestTheCountsOfSourceAndRuleMustBeTheWhole(t *testing.T) {
	if wrong := partFaults(goodStatus()); len(wrong) > 0 {
		t.Errorf("faults where there is none: %q", wrong)
	}
	for name, change := range map[string]func(*v1alpha1.MirrorSessionStatus, *v1alpha1.Verification){
		"traffic.sources": func(s *v1alpha1.MirrorSessionStatus, _ *v1alpha1.Verification) { s.Traffic.Sources = nil },
		"traffic.rules":   func(s *v1alpha1.MirrorSessionStatus, _ *v1alpha1.Verification) { s.Traffic.Rules = nil },
		"traffic.inEpoch": func(s *v1alpha1.MirrorSessionStatus, _ *v1alpha1.Verification) { s.Traffic.InEpoch = nil },
		"verification[0].sources": func(_ *v1alpha1.MirrorSessionStatus, e *v1alpha1.Verification) {
			e.Sources = append(e.Sources, e.Sources...)
		},
		"verification[0].rules": func(_ *v1alpha1.MirrorSessionStatus, e *v1alpha1.Verification) { e.Rules = append(e.Rules, e.Rules...) },
		"verification[0].epoch": func(s *v1alpha1.MirrorSessionStatus, _ *v1alpha1.Verification) { s.Epoch = 2 },
		"verification[0].inEpoch": func(_ *v1alpha1.MirrorSessionStatus, e *v1alpha1.Verification) {
			e.InEpoch = &v1alpha1.Counts{Packets: 14, Bytes: 1000}
		},
	} {
		s, e := goodStatus()
		change(&s, &e)
		if wrong := partFaults(s, e); len(wrong) != 1 || !strings.Contains(wrong[0], name) {
			t.Errorf("one fault about %s is wanted, got %q", name, wrong)
		}
	}
	s, e := goodStatus()
	s.Traffic = nil
	if wrong := partFaults(s, e); len(wrong) != 3 {
		t.Errorf("without traffic: %q", wrong)
	}
}

func TestTheConditionHasToBeAboutThePresentSpec(t *testing.T) {
	session := func(observed int64, status metav1.ConditionStatus, reason string) *v1alpha1.MirrorSession {
		s := &v1alpha1.MirrorSession{ObjectMeta: metav1.ObjectMeta{Generation: 2}}
		s.Status.Conditions = []metav1.Condition{{
			Type: v1alpha1.ConditionTrafficObserved, Status: status, Reason: reason, ObservedGeneration: observed, Message: "why",
		}}
		return s
	}
	for _, test := range []struct {
		name  string
		s     *v1alpha1.MirrorSession
		fault string
	}{
		{"as it is wanted", session(2, metav1.ConditionFalse, v1alpha1.ReasonSilent), ""},
		{"for the spec before", session(1, metav1.ConditionFalse, v1alpha1.ReasonSilent), "generation 1, the spec is 2"},
		{"for another reason", session(2, metav1.ConditionFalse, v1alpha1.ReasonForeignSource), "TrafficObserved is False, ForeignSource: why"},
		{"with another status", session(2, metav1.ConditionTrue, v1alpha1.ReasonSilent), "TrafficObserved is True"},
		{"not there", &v1alpha1.MirrorSession{}, "no condition"},
	} {
		err := observed(test.s, metav1.ConditionFalse, v1alpha1.ReasonSilent)
		if (err == nil) != (test.fault == "") || (err != nil && !strings.Contains(err.Error(), test.fault)) {
			t.Errorf("%s: %v, want %q", test.name, err, test.fault)
		}
	}
}

func TestTheCopyMustBeTheGuides(t *testing.T) {
	good := func() copyFacts {
		return copyFacts{
			OuterLength: 122, OuterSourceMAC: "fa:16:3e:d1:6b:5d", OuterDestinationMAC: "fa:16:3e:7e:d6:7a",
			OuterSource: "192.168.0.230:32838", OuterDestination: "192.168.0.164:4789", VXLANFlags: 8, VNI: 1,
			InnerLength: 72, InnerSourceMAC: "fa:16:3e:7e:d6:77", InnerDestinationMAC: "fa:16:3e:7e:d6:bc",
			InnerSource: "192.168.0.161:38944", InnerDestination: "192.168.0.230:1234", Flags: "PSH+ACK", PayloadBytes: 6,
		}
	}
	if wrong := good().differences(); wrong != nil {
		t.Errorf("the guide's own copy has differences: %q", wrong)
	}
	for name, change := range map[string]func(*copyFacts){
		"outer length":          func(f *copyFacts) { f.OuterLength = 118 },
		"outer source MAC":      func(f *copyFacts) { f.OuterSourceMAC = ecsSource.mac },
		"outer destination MAC": func(f *copyFacts) { f.OuterDestinationMAC = gatewayMAC },
		"outer source address":  func(f *copyFacts) { f.OuterSource = "192.168.0.161:32838" },
		"outer destination":     func(f *copyFacts) { f.OuterDestination = "192.168.0.164:8472" },
		"VXLAN flags":           func(f *copyFacts) { f.VXLANFlags = 0 },
		"VNI":                   func(f *copyFacts) { f.VNI = 2 },
		"inner length":          func(f *copyFacts) { f.InnerLength = 60 },
		"inner source MAC":      func(f *copyFacts) { f.InnerSourceMAC = gatewayMAC },
		"inner destination MAC": func(f *copyFacts) { f.InnerDestinationMAC = gatewayMAC },
		"inner source address":  func(f *copyFacts) { f.InnerSource = "192.168.0.164:38944" },
		"inner destination":     func(f *copyFacts) { f.InnerDestination = "192.168.0.230:4321" },
		"TCP flags":             func(f *copyFacts) { f.Flags = "" },
		"payload":               func(f *copyFacts) { f.PayloadBytes = 5 },
	} {
		t.Run("another "+name+" is a difference", func(t *testing.T) {
			f := good()
			change(&f)
			wrong := f.differences()
			if len(wrong) != 1 || !strings.Contains(wrong[0], name) {
				t.Errorf("one difference about the %s is wanted, got %q", name, wrong)
			}
		})
	}
}

func TestForgeriesAddUpToWhatTheVerifierHasToCount(t *testing.T) {
	got := expected(v1alpha1.Counts{Packets: 15, Bytes: 1000}, forgeries())
	want := v1alpha1.Counts{Packets: 15, Bytes: 1000, Unexpected: 10, ForeignSource: 23}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("counts (-want +got):\n%s", diff)
	}
}
