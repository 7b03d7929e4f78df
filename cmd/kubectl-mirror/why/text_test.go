package why

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"vpcmirror.io/operator/api/v1alpha1"
)

// none is TrafficObserved of a session of which no copy was counted.
var none = is(v1alpha1.ConditionTrafficObserved, metav1.ConditionUnknown, v1alpha1.ReasonNoPackets, "no packet has arrived on tgt (eth5) yet")

// unconsumed is ConsumerReady of a session of which no copy was counted.
var unconsumed = is(v1alpha1.ConditionConsumerReady, metav1.ConditionUnknown, v1alpha1.ReasonNoCopies, "no copies arrived lately")

// away is a lease that was not renewed for two minutes.
func away(held bool) edit {
	return func(f *Facts) {
		f.Lease = &Lease{Namespace: "vpcmirror-system", Held: held, RenewedAt: now.Add(-125 * time.Second), Duration: 15 * time.Second}
	}
}

// probe is one that was asked for with the answer.
func probe(results ...v1alpha1.ProbeResult) edit {
	return func(f *Facts) { f.Probe = &v1alpha1.Probe{ID: "1", Results: results, FinishedAt: at("19:55:05")} }
}

// answers are whole answers by what is the case.
var answers = map[string]struct {
	facts   Facts
	verdict Verdict
	text    string
}{
	"copies arrive": {facts(changed("19:53:54", v1alpha1.ChangedBySpec, "the rules of the filter")), Flowing, `
MirrorSession default/c23: COPIES ARRIVE (38 copies, the last 2 s ago, usually one each 2.0 s; looked at 19:55:07Z, 3 s ago)
  ok    cloud      session ac98946d, filter "to-service" with 1 rule, priority 10000, VNI 7
  ok    source     192.168.0.33: can be mirrored, and a rule can match
  ok    order      no session that comes before this one takes its packets
  ok    path       nothing that was read stands in the way
  ok    target     verifier on tgt (eth5): 38 copies since the last change at 19:53:54Z, the last 2 s ago
  ok    consumer   on tgt the vxlan device mirror0 takes them
`},
	"copies of a session arrive that is several in the cloud": {facts(session(func(s *v1alpha1.MirrorSession) {
		s.Status.Sessions = append(s.Status.Sessions, v1alpha1.CloudSession{ID: "b3a1", Priority: 10002, Part: 2}, v1alpha1.CloudSession{ID: "c4b2", Priority: 10001, Part: 3})
		s.Status.Sources = append(s.Status.Sources, v1alpha1.ResolvedInterface{InterfaceID: "s-2", Addresses: []string{"192.168.0.34"}})
	})), Flowing, `
MirrorSession default/c23: COPIES ARRIVE (38 copies, the last 2 s ago, usually one each 2.0 s; looked at 19:55:07Z, 3 s ago)
  ok    cloud      3 sessions, which divide 2 sources (the first is ac98946d), filter "to-service" with 1 rule, priorities from 10000 to 10002, VNI 7
  ok    source     192.168.0.33, 192.168.0.34: can be mirrored, and a rule can match
  ok    order      no session that comes before this one takes its packets
  ok    path       nothing that was read stands in the way
  ok    target     verifier on tgt (eth5): 38 copies since the last change at 19:53:54Z, the last 2 s ago
  ok    consumer   on tgt the vxlan device mirror0 takes them
`},
	"the target's group was closed, and silence is not judged": {facts(
		counted(38, at("19:53:56")), groupDenies("19:54:17"),
		changed("19:53:57", v1alpha1.ChangedByCloud, "a rule (ingress udp 4789 from 192.168.0.0/24) is gone from sg-closable"),
		changed("19:53:54", v1alpha1.ChangedByOperator, "the session was switched on"),
		changed("19:51:55", v1alpha1.ChangedBySpec, "spec.enabled is true"),
	), CauseFound, `
MirrorSession default/c23: SILENT for 74 s (38 copies before, the last at 19:53:56Z, usually 18 a second; looked at 19:55:07Z, 3 s ago)
  ok    cloud      session ac98946d, filter "to-service" with 1 rule, priority 10000, VNI 7
  ok    source     192.168.0.33
  ok    order      no session that comes before this one takes its packets
  FAIL  path       security group "sg-closable" of 192.168.0.108 has no rule for UDP 4789 from 192.168.0.33
  ok    target     verifier on tgt (eth5): 38 copies since the last change at 19:53:54Z, the last 74 s ago
  ok    consumer   on tgt the vxlan device mirror0 takes them
  seen  change     19:53:54Z the session was switched on (by vpcmirror)
  seen  change     19:53:57Z a rule (ingress udp 4789 from 192.168.0.0/24) is gone from sg-closable (not by vpcmirror)
Cause: TargetGroupDenies (target 192.168.0.108), since about 19:54:17Z
Do:    restore the rule: allow UDP 4789 from 192.168.0.33/32 in sg-closable
`},
	"it is silent as long as the spec allows, and the group is why": {facts(
		counted(38, at("19:53:56")),
		is(v1alpha1.ConditionTrafficObserved, metav1.ConditionFalse, v1alpha1.ReasonSilent, "no copy since"),
		finds(v1alpha1.SeverityError, v1alpha1.DecidedByCount, v1alpha1.ReasonSilent, "", "no copy since 19:53:56", "ask what has changed", "19:53:56"),
		groupDenies("19:54:17"),
	), CauseFound, `
MirrorSession default/c23: SILENT for 74 s (38 copies before, the last at 19:53:56Z, usually 18 a second; looked at 19:55:07Z, 3 s ago)
  ok    cloud      session ac98946d, filter "to-service" with 1 rule, priority 10000, VNI 7
  ok    source     192.168.0.33
  ok    order      no session that comes before this one takes its packets
  FAIL  path       security group "sg-closable" of 192.168.0.108 has no rule for UDP 4789 from 192.168.0.33
  FAIL  target     no copy since 19:53:56
                   verifier on tgt (eth5): 38 copies since the last change at 19:53:54Z, the last 74 s ago
  ok    consumer   on tgt the vxlan device mirror0 takes them
Cause: TargetGroupDenies (target 192.168.0.108), since about 19:54:17Z
Do:    restore the rule: allow UDP 4789 from 192.168.0.33/32 in sg-closable
`},
	"none came since a change": {facts(
		counted(0, nil), none, unconsumed, groupDenies("19:54:17"),
		session(func(s *v1alpha1.MirrorSession) { s.Status.Traffic.Packets = 12 }),
	), CauseFound, `
MirrorSession default/c23: NO COPIES ARRIVE (no copy since the last change at 19:53:54Z, 12 copies before it; looked at 19:55:07Z, 3 s ago)
  ok    cloud      session ac98946d, filter "to-service" with 1 rule, priority 10000, VNI 7
  ok    source     192.168.0.33
  ok    order      no session that comes before this one takes its packets
  FAIL  path       security group "sg-closable" of 192.168.0.108 has no rule for UDP 4789 from 192.168.0.33
  -     target     verifier on tgt (eth5): 0 copies since the last change at 19:53:54Z
  -     consumer   no copies arrived lately
Cause: TargetGroupDenies (target 192.168.0.108), since about 19:54:17Z
Do:    restore the rule: allow UDP 4789 from 192.168.0.33/32 in sg-closable
`},
	"one source of two is kept out": {facts(
		session(func(s *v1alpha1.MirrorSession) {
			s.Status.Sources = append(s.Status.Sources, v1alpha1.ResolvedInterface{InterfaceID: "s-2", Addresses: []string{"192.168.0.34"}, NodeName: "web"})
			s.Status.Traffic.Sources = []v1alpha1.SourceCounts{{InterfaceID: "s-1", Packets: 50}, {InterfaceID: "s-2"}}
		}),
		is(v1alpha1.ConditionPathClear, metav1.ConditionFalse, v1alpha1.ReasonTargetGroupDenies, "1 of 2 sources"),
		finds(v1alpha1.SeverityWarning, v1alpha1.DecidedByRead, v1alpha1.ReasonTargetGroupDenies, "source 192.168.0.34",
			"no rule for UDP 4789", "allow it", "19:54:00"),
	), CauseFound, `
MirrorSession default/c23: COPIES ARRIVE, BUT NOT ALL (38 copies, the last 2 s ago, usually one each 2.0 s; looked at 19:55:07Z, 3 s ago)
  ok    cloud      session ac98946d, filter "to-service" with 1 rule, priority 10000, VNI 7
  ok    source     192.168.0.33 (50 copies), 192.168.0.34 on node web (0 copies)
  ok    order      no session that comes before this one takes its packets
  FAIL  path       source 192.168.0.34: no rule for UDP 4789
  ok    target     verifier on tgt (eth5): 38 copies since the last change at 19:53:54Z, the last 2 s ago
  ok    consumer   on tgt the vxlan device mirror0 takes them
Cause: TargetGroupDenies (source 192.168.0.34), since about 19:54:00Z
Do:    allow it
`},
	"nobody takes them, and another thing is wrong too": {facts(
		is(v1alpha1.ConditionConsumerReady, metav1.ConditionFalse, v1alpha1.ReasonNobodyListens, "nothing is open for UDP 4789"),
		finds(v1alpha1.SeverityError, v1alpha1.DecidedByNode, v1alpha1.ReasonNobodyListens, "tgt", "on tgt nothing is open for UDP 4789", "start the IDS", "19:54:30"),
		finds(v1alpha1.SeverityWarning, v1alpha1.DecidedByRead, v1alpha1.ReasonSharedVNI, "VNI 7", "the session has VNI 7, which another has", "give it another", "19:00:00"),
		finds(v1alpha1.SeverityInfo, v1alpha1.DecidedByNode, v1alpha1.ReasonClockAhead, "tgt", "its clock is ahead", "", "19:54:30"),
	), CauseFound, `
MirrorSession default/c23: COPIES ARRIVE, NOBODY TAKES THEM (38 copies, the last 2 s ago, usually one each 2.0 s; looked at 19:55:07Z, 3 s ago)
  ok    cloud      session ac98946d, filter "to-service" with 1 rule, priority 10000, VNI 7
  ok    source     192.168.0.33: can be mirrored, and a rule can match
  FAIL  order      the session has VNI 7, which another has
  ok    path       nothing that was read stands in the way
  ?     target     tgt: its clock is ahead
                   verifier on tgt (eth5): 38 copies since the last change at 19:53:54Z, the last 2 s ago
  FAIL  consumer   on tgt nothing is open for UDP 4789
Cause: NobodyListens (tgt), since about 19:54:30Z
Do:    start the IDS
Also:  SharedVNI (VNI 7), since about 19:00:00Z
Do:    give it another
`},
	"no copy yet, and nothing in the way": {facts(
		counted(0, nil), none, unconsumed,
		finds(v1alpha1.SeverityInfo, v1alpha1.DecidedByCount, v1alpha1.ReasonNoPackets, "", "no packet has arrived yet", "ask whether there is traffic", "19:53:54"),
	), Undecided, `
MirrorSession default/c23: QUIET (no copy yet; nothing stands in the way; looked at 19:55:07Z, 3 s ago)
  ok    cloud      session ac98946d, filter "to-service" with 1 rule, priority 10000, VNI 7
  ok    source     192.168.0.33: can be mirrored, and a rule can match
  ok    order      no session that comes before this one takes its packets
  ok    path       nothing that was read stands in the way
  -     target     no packet has arrived yet
                   verifier on tgt (eth5): 0 copies since the last change at 19:53:54Z
  -     consumer   no copies arrived lately
  ?     traffic    nobody can see from here whether 192.168.0.33 sends or receives anything that the filter accepts
Try:   have a packet sent to find out: kubectl mirror why c23 -n default --probe
`},
	"a probe tells of each source": {facts(
		counted(0, nil), none, unconsumed,
		finds(v1alpha1.SeverityInfo, v1alpha1.DecidedByCount, v1alpha1.ReasonNoPackets, "", "no packet has arrived yet", "ask whether there is traffic", "19:53:54"),
		probe(
			v1alpha1.ProbeResult{Address: "192.168.0.33", Outcome: v1alpha1.ProbeArrived, LatencyMicroseconds: new(int64(1400)), Message: "a SYN"},
			v1alpha1.ProbeResult{InterfaceID: "s-2", Outcome: v1alpha1.ProbeNotArrived, Message: "a datagram"},
			v1alpha1.ProbeResult{Address: "192.168.0.35", Outcome: v1alpha1.ProbeCannotSend, Reason: v1alpha1.ReasonProbeNoSender, Message: "run the command on the source", Command: "ping -c 1 192.168.0.9"},
		),
	), CauseFound, `
MirrorSession default/c23: QUIET (no copy yet; nothing stands in the way; looked at 19:55:07Z, 3 s ago)
  ok    cloud      session ac98946d, filter "to-service" with 1 rule, priority 10000, VNI 7
  ok    source     192.168.0.33: can be mirrored, and a rule can match
  ok    order      no session that comes before this one takes its packets
  ok    path       nothing that was read stands in the way
  -     target     no packet has arrived yet
                   verifier on tgt (eth5): 0 copies since the last change at 19:53:54Z
  -     consumer   no copies arrived lately
  ?     traffic    nobody can see from here whether 192.168.0.33 sends or receives anything that the filter accepts
  ok    probe      192.168.0.33: a copy arrived after 1.4ms; sent: a SYN
  FAIL  probe      s-2: no copy arrived; sent: a datagram
  ?     probe      192.168.0.35: nothing was sent (ProbeNoSender): run the command on the source
                   run: ping -c 1 192.168.0.9
Try:   look where the packets get lost: with tcpdump on the source for what was sent, on the target for UDP 4789; a source's own security group may not let them in, and the cloud may treat a wrong checksum or a TTL of 1 otherwise
`},
	"a probe was refused, and copies arrive": {facts(func(f *Facts) {
		f.Probe = &v1alpha1.Probe{Reason: v1alpha1.ReasonProbeNotAllowed, Message: "the manager runs with --allow-probes=false"}
	}), Flowing, `
MirrorSession default/c23: COPIES ARRIVE (38 copies, the last 2 s ago, usually one each 2.0 s; looked at 19:55:07Z, 3 s ago)
  ok    cloud      session ac98946d, filter "to-service" with 1 rule, priority 10000, VNI 7
  ok    source     192.168.0.33: can be mirrored, and a rule can match
  ok    order      no session that comes before this one takes its packets
  ok    path       nothing that was read stands in the way
  ok    target     verifier on tgt (eth5): 38 copies since the last change at 19:53:54Z, the last 2 s ago
  ok    consumer   on tgt the vxlan device mirror0 takes them
  ?     probe      refused (ProbeNotAllowed): the manager runs with --allow-probes=false
`},
	"copies came yesterday, and nothing is in the way": {facts(
		session(func(s *v1alpha1.MirrorSession) {
			s.Status.Traffic.Since = &metav1.Time{Time: now.Add(-30 * time.Hour)}
			s.Status.Traffic.FirstPacketAt = nil
		}),
		counted(2, &metav1.Time{Time: now.Add(-24 * time.Hour)}),
	), Undecided, `
MirrorSession default/c23: QUIET (2 copies, the last 24 h ago; nothing stands in the way; looked at 19:55:07Z, 3 s ago)
  ok    cloud      session ac98946d, filter "to-service" with 1 rule, priority 10000, VNI 7
  ok    source     192.168.0.33: can be mirrored, and a rule can match
  ok    order      no session that comes before this one takes its packets
  ok    path       nothing that was read stands in the way
  ok    target     verifier on tgt (eth5): 2 copies since the last change at 2026-11-24 13:55:10Z, the last 24 h ago
  ok    consumer   on tgt the vxlan device mirror0 takes them
  ?     traffic    nobody can see from here whether 192.168.0.33 sends or receives anything that the filter accepts
Try:   have a packet sent to find out: kubectl mirror why c23 -n default --probe
`},
	"copies have stopped, and the way could not be judged": {facts(
		counted(38, at("19:53:56")),
		is(v1alpha1.ConditionPathClear, metav1.ConditionUnknown, v1alpha1.ReasonNotPermitted, "the account may not vpc:securityGroupRules:list"),
	), Undecided, `
MirrorSession default/c23: SILENT for 74 s (38 copies before, the last at 19:53:56Z, usually 18 a second; looked at 19:55:07Z, 3 s ago)
  ok    cloud      session ac98946d, filter "to-service" with 1 rule, priority 10000, VNI 7
  ?     source     192.168.0.33
  ?     order
  ?     path       the account may not vpc:securityGroupRules:list
  ok    target     verifier on tgt (eth5): 38 copies since the last change at 19:53:54Z, the last 74 s ago
  ok    consumer   on tgt the vxlan device mirror0 takes them
`},
	"it is switched off": {facts(
		session(func(s *v1alpha1.MirrorSession) { s.Spec.Enabled = new(false) }),
		is(v1alpha1.ConditionTrafficObserved, metav1.ConditionUnknown, v1alpha1.ReasonDisabled, "spec.enabled is false: the cloud makes no copies"),
		is(v1alpha1.ConditionPathClear, metav1.ConditionUnknown, v1alpha1.ReasonDisabled, "spec.enabled is false"), unconsumed, counted(0, nil),
		finds(v1alpha1.SeverityInfo, v1alpha1.DecidedBySpec, v1alpha1.ReasonDisabled, "", "spec.enabled is false: the cloud makes no copies", "set spec.enabled to true", "19:53:54"),
	), CauseFound, `
MirrorSession default/c23: OFF (spec.enabled is false; looked at 19:55:07Z, 3 s ago)
  -     cloud      spec.enabled is false: the cloud makes no copies
                   session ac98946d, filter "to-service" with 1 rule, priority 10000, VNI 7
  -     source     192.168.0.33
  -     order
  -     path       spec.enabled is false
  -     target     verifier on tgt (eth5): 0 copies since the last change at 19:53:54Z
  -     consumer   no copies arrived lately
Cause: Disabled, since about 19:53:54Z
Do:    set spec.enabled to true
`},
	"its filter is not there": {facts(
		func(f *Facts) { f.Filter = nil },
		session(func(s *v1alpha1.MirrorSession) {
			s.Status = v1alpha1.MirrorSessionStatus{CommonStatus: v1alpha1.CommonStatus{ObservedGeneration: 2}}
		}),
		is(v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonFilterNotFound, `there is no MirrorFilter "to-service"`),
		is(v1alpha1.ConditionTrafficObserved, metav1.ConditionUnknown, v1alpha1.ReasonNotReady, "the session is not in the cloud yet"),
		finds(v1alpha1.SeverityError, v1alpha1.DecidedByRead, v1alpha1.ReasonFilterNotFound, "", `there is no MirrorFilter "to-service"`, "create it", "19:53:54"),
	), CauseFound, `
MirrorSession default/c23: NOT READY (FilterNotFound; looked at 19:55:07Z, 3 s ago)
  FAIL  cloud      there is no MirrorFilter "to-service"
  -     source
  -     order
  -     path
  -     target
  -     consumer
Cause: FilterNotFound, since about 19:53:54Z
Do:    create it
`},
	"the cloud is being changed": {facts(
		counted(0, nil), none,
		is(v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonProgressing, "creating the session"),
		finds(v1alpha1.SeverityInfo, v1alpha1.DecidedByRead, v1alpha1.ReasonProgressing, "", "creating the session", "wait", "19:55:00"),
		is(v1alpha1.ConditionPathClear, "", "", ""), is(v1alpha1.ConditionConsumerReady, "", "", ""),
		session(func(s *v1alpha1.MirrorSession) { s.Status.Sessions, s.Status.Verification = nil, nil }),
	), Undecided, `
MirrorSession default/c23: NOT READY (Progressing; looked at 19:55:07Z, 3 s ago)
  ?     cloud      creating the session
  -     source     192.168.0.33
  -     order
  -     path
  ?     target     no verifier counts at 192.168.0.108 on node tgt
  -     consumer
Cause: Progressing, since about 19:55:00Z
Do:    wait
`},
	"nobody has looked at it": {facts(
		session(func(s *v1alpha1.MirrorSession) {
			s.ManagedFields = nil
			s.Status = v1alpha1.MirrorSessionStatus{CommonStatus: v1alpha1.CommonStatus{ObservedGeneration: -1}}
		}),
	), Undecided, `
MirrorSession default/c23: UNKNOWN (the status says nothing yet)
Note:  no manager has looked at it yet: is vpcmirror-manager running, and does it serve this namespace?
  -     cloud
  -     source
  -     order
  -     path
  -     target
  -     consumer
`},
	"the manager is away, and the spec was edited since": {facts(
		away(true), session(func(s *v1alpha1.MirrorSession) { s.Generation = 3 }),
	), Undecided, `
MirrorSession default/c23: UNKNOWN, before it was COPIES ARRIVE (38 copies, the last 2 s ago, usually one each 2.0 s; looked at 19:55:07Z, 3 s ago)
Note:  the manager has not renewed its lease for 2 m: the status may be of before; look at the Deployment of the manager in namespace vpcmirror-system
Note:  the spec has changed (generation 3), and the status is of the one before (generation 2)
  ok    cloud      session ac98946d, filter "to-service" with 1 rule, priority 10000, VNI 7
  ok    source     192.168.0.33: can be mirrored, and a rule can match
  ok    order      no session that comes before this one takes its packets
  ok    path       nothing that was read stands in the way
  ok    target     verifier on tgt (eth5): 38 copies since the last change at 19:53:54Z, the last 2 s ago
  ok    consumer   on tgt the vxlan device mirror0 takes them
`},
}

func TestAnAnswerSaysWhetherCopiesArriveAndWhyNot(t *testing.T) {
	for name, c := range answers {
		t.Run(name, func(t *testing.T) {
			answer := Of(c.facts)
			if diff := cmp.Diff(strings.TrimPrefix(c.text, "\n"), answer.Text(Style{})); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if answer.Verdict != c.verdict {
				t.Errorf("the verdict is %s, want %s", answer.Verdict, c.verdict)
			}
		})
	}
}
