package why

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"vpcmirror.io/operator/api/v1alpha1"
)

func TestAsJSONAnAnswerKeepsTheNamesOfItsFields(t *testing.T) {
	got, err := json.MarshalIndent(Of(facts(
		counted(4, at("19:53:56")), groupDenies("19:54:17"), away(false),
		changed("19:53:57", v1alpha1.ChangedByCloud, "a rule is gone from sg-closable"),
		session(func(s *v1alpha1.MirrorSession) {
			s.Status.Traffic.Since = at("19:53:50")
			s.Status.Verification, s.Status.Target = nil, nil
		}),
		is(v1alpha1.ConditionConsumerReady, "", "", ""),
	)), "", " ")
	if err != nil {
		t.Fatal(err)
	}
	const want = `{
 "namespace": "default",
 "name": "c23",
 "verdict": "Undecided",
 "state": "Unknown",
 "before": "Silent",
 "headline": "UNKNOWN, before it was SILENT for 74 s (4 copies before, the last at 19:53:56Z, usually one each 2.0 s)",
 "observedAt": "2026-11-25T19:55:07Z",
 "notes": [
  "no manager has held the lease for 2 m: the status may be of before; look at the Deployment of the manager in namespace vpcmirror-system"
 ],
 "copies": {
  "sinceChange": 4,
  "total": 50,
  "changedAt": "2026-11-25T19:53:50Z",
  "lastAt": "2026-11-25T19:53:56Z",
  "secondsApart": 2
 },
 "rows": [
  {
   "name": "cloud",
   "mark": "ok",
   "says": [
    "session ac98946d, filter \"to-service\" with 1 rule, priority 10000, VNI 7"
   ]
  },
  {
   "name": "source",
   "mark": "ok",
   "says": [
    "192.168.0.33"
   ]
  },
  {
   "name": "order",
   "mark": "ok",
   "says": [
    "no session that comes before this one takes its packets"
   ]
  },
  {
   "name": "path",
   "mark": "FAIL",
   "says": [
    "security group \"sg-closable\" of 192.168.0.108 has no rule for UDP 4789 from 192.168.0.33"
   ]
  },
  {
   "name": "target",
   "mark": "-"
  },
  {
   "name": "consumer",
   "mark": "-"
  }
 ],
 "changes": [
  {
   "at": "2026-11-25T19:53:57Z",
   "by": "Cloud",
   "what": "a rule is gone from sg-closable"
  }
 ],
 "causes": [
  {
   "reason": "TargetGroupDenies",
   "severity": "Error",
   "subject": "target 192.168.0.108",
   "message": "security group \"sg-closable\" of 192.168.0.108 has no rule for UDP 4789 from 192.168.0.33",
   "remedy": "restore the rule: allow UDP 4789 from 192.168.0.33/32 in sg-closable",
   "decidedBy": "Read",
   "since": "2026-11-25T19:54:17Z"
  }
 ],
 "now": "2026-11-25T19:55:10Z"
}`
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// stateWas is the state that was known before, where the answer says that it may have changed.
func stateWas(a Answer) State {
	if a.Before != "" {
		return a.Before
	}
	return a.State
}

func TestTheStateFollowsFromConditionsAndCounts(t *testing.T) {
	failed := finds(v1alpha1.SeverityError, v1alpha1.DecidedByRead, v1alpha1.ReasonPermissionDenied, "", "no right", "", "19:54:00")
	notReady := is(v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonPermissionDenied, "no right")
	progressing := is(v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonProgressing, "changing it")
	traffic := func(status metav1.ConditionStatus, reason string) edit {
		return is(v1alpha1.ConditionTrafficObserved, status, reason, "")
	}
	warned := func(reason string) edit {
		return finds(v1alpha1.SeverityWarning, v1alpha1.DecidedByNode, reason, "tgt", "on tgt", "", "19:54:00")
	}
	path := func(status metav1.ConditionStatus, reason string) edit {
		return is(v1alpha1.ConditionPathClear, status, reason, "")
	}
	for name, c := range map[string]struct {
		edits   []edit
		state   State
		verdict Verdict
	}{
		"suspended":                              {[]edit{session(func(s *v1alpha1.MirrorSession) { s.Spec.Suspend = true })}, Unknown, Undecided},
		"being deleted":                          {[]edit{session(func(s *v1alpha1.MirrorSession) { s.DeletionTimestamp = at("19:55:00") })}, NotReady, Undecided},
		"without sources":                        {[]edit{session(func(s *v1alpha1.MirrorSession) { s.Spec.Sources = nil }), is(v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonNoSources, "")}, Off, CauseFound},
		"switched off, but not yet":              {[]edit{session(func(s *v1alpha1.MirrorSession) { s.Spec.Enabled = new(false) }), progressing}, NotReady, Undecided},
		"no source is in the cloud":              {[]edit{counted(0, nil), traffic(metav1.ConditionUnknown, v1alpha1.ReasonDisabled)}, Off, CauseFound},
		"traffic is not judged":                  {[]edit{counted(0, nil), traffic("", "")}, Unknown, Undecided},
		"an edit is not in the cloud yet":        {[]edit{progressing, finds(v1alpha1.SeverityInfo, v1alpha1.DecidedByRead, v1alpha1.ReasonProgressing, "", "changing it", "", "19:54:00")}, CopiesArrive, Undecided},
		"the last copy is a minute old":          {[]edit{counted(38, at("19:54:10"))}, CopiesArrive, Flowing},
		"the last copy is older":                 {[]edit{counted(38, at("19:54:09"))}, Quiet, Undecided},
		"older, as ever":                         {[]edit{counted(3, at("19:54:05")), session(func(s *v1alpha1.MirrorSession) { s.Status.Traffic.Since = at("19:53:35") })}, CopiesArrive, Flowing},
		"older, and the way is not judged":       {[]edit{counted(38, at("19:54:09")), path("", "")}, Silent, Undecided},
		"the clock of the node is ahead":         {[]edit{counted(38, at("19:56:00"))}, CopiesArrive, Flowing},
		"one source is silent":                   {[]edit{traffic(metav1.ConditionFalse, v1alpha1.ReasonSourceSilent), warned(v1alpha1.ReasonSourceSilent)}, NotAllArrive, CauseFound},
		"the copies are cut":                     {[]edit{is(v1alpha1.ConditionConsumerReady, metav1.ConditionFalse, v1alpha1.ReasonPayloadTruncated, ""), warned(v1alpha1.ReasonPayloadTruncated)}, CopiesArrive, CauseFound},
		"the device has another VNI":             {[]edit{is(v1alpha1.ConditionConsumerReady, metav1.ConditionFalse, v1alpha1.ReasonWrongVNI, ""), warned(v1alpha1.ReasonWrongVNI)}, NobodyTakesThem, CauseFound},
		"the verifier is lost":                   {[]edit{traffic(metav1.ConditionUnknown, v1alpha1.ReasonVerifierLost), warned(v1alpha1.ReasonVerifierLost)}, Unknown, CauseFound},
		"the verifier is lost, the group shut":   {[]edit{counted(0, nil), traffic(metav1.ConditionUnknown, v1alpha1.ReasonVerifierLost), groupDenies("19:54:00")}, NoCopiesArrive, CauseFound},
		"no verifier, not for long":              {[]edit{counted(0, nil), traffic(metav1.ConditionUnknown, v1alpha1.ReasonNoVerifier)}, Unknown, Undecided},
		"only wrong packets":                     {[]edit{counted(0, nil), traffic(metav1.ConditionFalse, v1alpha1.ReasonUnexpectedPackets), warned(v1alpha1.ReasonUnexpectedPackets)}, NoCopiesArrive, CauseFound},
		"no copy, the way is not judged":         {[]edit{counted(0, nil), none, path(metav1.ConditionUnknown, v1alpha1.ReasonNotPermitted)}, Unknown, Undecided},
		"no copy, the way of one source is shut": {[]edit{counted(0, nil), none, path(metav1.ConditionFalse, v1alpha1.ReasonTargetGroupDenies)}, NoCopiesArrive, Undecided},
		"the cloud refuses, and none came":       {[]edit{counted(0, nil), none, notReady, failed}, NoCopiesArrive, CauseFound},
		"the cloud refuses, and copies come":     {[]edit{notReady, failed}, CopiesArrive, CauseFound},
		"the cloud has none":                     {[]edit{session(func(s *v1alpha1.MirrorSession) { s.Status.Sessions = nil }), notReady, failed}, NotReady, CauseFound},
		"counts without epochs":                  {[]edit{session(func(s *v1alpha1.MirrorSession) { s.Status.Epoch, s.Status.Traffic.InEpoch = 0, nil })}, CopiesArrive, Flowing},
		"counts of no epoch":                     {[]edit{none, session(func(s *v1alpha1.MirrorSession) { s.Status.Traffic.InEpoch = nil })}, Quiet, Undecided},
		"the status is of before":                {[]edit{session(func(s *v1alpha1.MirrorSession) { s.Generation = 3 })}, CopiesArrive, Undecided},
	} {
		t.Run(name, func(t *testing.T) {
			type outcome struct {
				State   State
				Verdict Verdict
			}
			a := Of(facts(c.edits...))
			if diff := cmp.Diff(outcome{c.state, c.verdict}, outcome{stateWas(a), a.Verdict}); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestAStatusMayBeOfBefore(t *testing.T) {
	lease := func(age time.Duration, held bool, duration time.Duration) edit {
		return func(f *Facts) {
			f.Lease = &Lease{Namespace: "ops", Held: held, RenewedAt: now.Add(-age), Duration: duration}
		}
	}
	for name, c := range map[string]struct {
		edit edit
		want []string
	}{
		"not with a lease that is renewed":       {lease(10*time.Second, true, 15*time.Second), nil},
		"not while another manager may take it":  {lease(30*time.Second, true, 15*time.Second), nil},
		"not with a long lease":                  {lease(100*time.Second, true, time.Minute), nil},
		"not with a lease of the future":         {lease(-time.Minute, true, 15*time.Second), nil},
		"not when it was given up a moment ago":  {lease(5*time.Second, false, time.Second), nil},
		"when the lease was not renewed":         {lease(31*time.Second, true, 15*time.Second), []string{"the manager has not renewed its lease for 31 s: the status may be of before; look at the Deployment of the manager in namespace ops"}},
		"when the lease was given up":            {lease(3*time.Hour, false, time.Second), []string{"no manager has held the lease for 3 h: the status may be of before; look at the Deployment of the manager in namespace ops"}},
		"when the manager was asked and did not": {func(f *Facts) { f.Waited = 30 * time.Second }, []string{"the manager was asked to look now, and has not answered within 30 s"}},
	} {
		t.Run(name, func(t *testing.T) {
			a := Of(facts(c.edit))
			if diff := cmp.Diff(c.want, a.Notes); diff != "" {
				t.Errorf("notes (-want +got):\n%s", diff)
			}
			if undecided := a.Verdict == Undecided; undecided != (len(c.want) > 0) {
				t.Errorf("the verdict is %s", a.Verdict)
			}
		})
	}
}

func TestTheTimeOfARequestThatWasAnsweredCounts(t *testing.T) {
	for request, want := range map[string]string{
		"2026-11-25T19:55:09.5Z":    "19:55:09",
		"2026-11-25T19:55:01Z":      "19:55:07", // the status was written later
		"2026-11-25T19:59:00Z":      "19:55:07", // that can't have been
		"now":                       "19:55:07",
		"2026-11-25T20:55:09+01:00": "19:55:09",
	} {
		a := Of(facts(session(func(s *v1alpha1.MirrorSession) { s.Status.LastHandledReconcileAt = request })))
		if got := a.ObservedAt.UTC().Format(time.TimeOnly); got != want {
			t.Errorf("with the request %q it was looked at %s, want %s", request, got, want)
		}
	}
}

func TestTheWorstComesFirstAndDecides(t *testing.T) {
	named := func(name string, edits ...edit) Answer {
		return Of(facts(append(edits, session(func(s *v1alpha1.MirrorSession) { s.Name = name }))...))
	}
	well, quiet := named("well"), named("quiet", counted(0, nil), none)
	warned := named("warned", finds(v1alpha1.SeverityWarning, v1alpha1.DecidedByRead, v1alpha1.ReasonSharedVNI, "VNI 7", "VNI 7 is shared", "", "19:00:00"))
	denied, also := named("denied", groupDenies("19:54:17")), named("also-denied", groupDenies("19:54:17"))
	all := []Answer{well, quiet, warned, denied, also}
	Sort(all)
	var names []string
	for _, a := range all {
		names = append(names, a.Name)
	}
	if diff := cmp.Diff([]string{"also-denied", "denied", "warned", "quiet", "well"}, names); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for i, want := range []int{1, 1, 1, 2, 0} {
		if got := Worst(all[i:]).ExitCode(); got != want {
			t.Errorf("the exit code of %v is %d, want %d", names[i:], got, want)
		}
	}
	if got := Worst(nil).ExitCode(); got != 2 {
		t.Errorf("the exit code of no answer is %d, want 2", got)
	}
}

func TestATableHasALineForEachSession(t *testing.T) {
	other := func(name string) edit {
		return session(func(s *v1alpha1.MirrorSession) { s.Name, s.Namespace = name, "team-a" })
	}
	all := []Answer{
		Of(facts(other("closed"), groupDenies("19:54:17"))),
		Of(facts(other("old"), away(true))),
		Of(facts(counted(0, nil), none, finds(v1alpha1.SeverityInfo, v1alpha1.DecidedByCount, v1alpha1.ReasonNoPackets, "", "none yet", "", "19:53:54"))),
		Of(facts(finds(v1alpha1.SeverityInfo, v1alpha1.DecidedByNode, v1alpha1.ReasonClockAhead, "tgt", "tgt is ahead", "", "19:53:54"))),
	}
	for _, c := range []struct {
		style Style
		want  string
	}{
		{Style{}, `
NAMESPACE   NAME     STATE           SINCE   WHY                 SUBJECT                MESSAGE
team-a      closed   SILENT          53 s    TargetGroupDenies   target 192.168.0.108   security group "sg-closable" of 192.168.0.108 has no rule for UDP 4789 from 192.168.0.33
team-a      old      UNKNOWN                                                            the manager has not renewed its lease for 2 m: the status may be of before; look at the Deployment of the manager in namespace vpcmirror-system
default     c23      QUIET           76 s    NoPackets                                  none yet
default     c23      COPIES ARRIVE
`},
		{Style{Width: 100}, `
NAMESPACE   NAME     STATE           SINCE   WHY                 SUBJECT                MESSAGE
team-a      closed   SILENT          53 s    TargetGroupDenies   target 192.168.0.108   security gr…
team-a      old      UNKNOWN                                                            the manager…
default     c23      QUIET           76 s    NoPackets                                  none yet
default     c23      COPIES ARRIVE
`},
	} {
		if diff := cmp.Diff(strings.TrimPrefix(c.want, "\n"), Table(all, c.style)); diff != "" {
			t.Errorf("%+v (-want +got):\n%s", c.style, diff)
		}
	}
	if got := Table(all, Style{Colour: true}); !strings.Contains(got, " \x1b[31mSILENT\x1b[0m ") || !strings.Contains(got, " \x1b[32mCOPIES ARRIVE\x1b[0m") {
		t.Errorf("with colours: %q", got)
	}
}

func TestLinesKeepToTheWidth(t *testing.T) {
	got := Of(facts(counted(38, at("19:53:56")), groupDenies("19:54:17"))).Text(Style{Width: 60})
	const want = `MirrorSession default/c23: SILENT for 74 s (38 copies
    before, the last at 19:53:56Z, usually 18 a second;
    looked at 19:55:07Z, 3 s ago)
  ok    cloud      session ac98946d, filter "to-service"
                   with 1 rule, priority 10000, VNI 7
  ok    source     192.168.0.33
  ok    order      no session that comes before this one
                   takes its packets
  FAIL  path       security group "sg-closable" of
                   192.168.0.108 has no rule for UDP 4789
                   from 192.168.0.33
  ok    target     verifier on tgt (eth5): 38 copies since
                   the last change at 19:53:54Z, the last 74
                   s ago
  ok    consumer   on tgt the vxlan device mirror0 takes
                   them
Cause: TargetGroupDenies (target 192.168.0.108), since about
       19:54:17Z
Do:    restore the rule: allow UDP 4789 from 192.168.0.33/32
       in sg-closable
`
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestColoursAreWrittenOnlyWhenAskedForAndNamesNeverBringAny(t *testing.T) {
	evil := facts(counted(38, at("19:53:56")), groupDenies("19:54:17"),
		session(func(s *v1alpha1.MirrorSession) {
			s.Status.Findings[0].Message = "group \x1b]0;owned\a \x1b[2Jof\nothers\u202e"
			s.Status.Findings[0].Remedy = "\x9b2Jallow it"
			s.Status.Findings[0].Subject = "\x1b[31mgroup"
		}))
	plain := Of(evil).Text(Style{})
	if i := strings.IndexAny(plain, "\x1b\a\u202e\u009b"); i >= 0 {
		t.Errorf("what a terminal obeys is in the text, at %d: %q", i, plain)
	}
	if !strings.Contains(plain, "group �]0;owned� �[2Jof others�\n") {
		t.Errorf("the name is not written in one line: %q", plain)
	}
	coloured := Of(evil).Text(Style{Colour: true})
	for _, want := range []string{": \x1b[31mSILENT for 74 s\x1b[0m (", "\n  \x1b[31mFAIL\x1b[0m  path ", "\n  \x1b[32mok\x1b[0m    cloud "} {
		if !strings.Contains(coloured, want) {
			t.Errorf("with colours there is no %q in %q", want, coloured)
		}
	}
}

func TestASpanIsSaidInOneUnit(t *testing.T) {
	for d, want := range map[time.Duration]string{
		-time.Second: "0 s", 1900 * time.Millisecond: "1 s", 119 * time.Second: "119 s", 2 * time.Minute: "2 m", 119 * time.Minute: "119 m",
		2 * time.Hour: "2 h", 47*time.Hour + 59*time.Minute: "47 h", 48 * time.Hour: "2 d",
	} {
		if got := span(d); got != want {
			t.Errorf("%s is said as %q, want %q", d, got, want)
		}
	}
}
