package diagnosis_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"pgregory.net/rapid"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/diagnosis"
)

func ready(status metav1.ConditionStatus, reason, helper string) func(*world) {
	return func(w *world) {
		w.session.Status.Conditions = []metav1.Condition{{Type: "Ready", Status: status, Reason: reason, Message: "because"}}
		if helper != "" {
			w.session.Status.Conditions = append(w.session.Status.Conditions, metav1.Condition{Type: helper, Status: "True", Reason: reason})
		}
	}
}

func TestWhatIsFoundWhileCopiesArrive(t *testing.T) {
	more := func(of v1alpha1.Counts) func(*world) {
		return func(w *world) { w.counts(of.Plus(v1alpha1.Counts{Packets: 200})) }
	}
	for name, c := range map[string]struct {
		edit func(*world)
		want []string
	}{
		"nothing when all is well":         {func(*world) {}, nil},
		"nothing of what came before":      {more(v1alpha1.Counts{}), nil},
		"packets that are not accepted":    {more(v1alpha1.Counts{Unexpected: 1}), []string{"Warning UnexpectedPackets"}},
		"packets from elsewhere":           {more(v1alpha1.Counts{ForeignSource: 1}), []string{"Warning ForeignSource"}},
		"frames that can't be read":        {more(v1alpha1.Counts{Unreadable: 1}), []string{"Warning UnreadableCopies"}},
		"nothing of what can't be decided": {more(v1alpha1.Counts{Undecided: 1}), nil},
		"drops":                            {func(w *world) { w.entry().Dropped = 1 }, []string{"Warning CaptureDrops n"}},
		"more frames than came":            {func(w *world) { w.entry().Imbalance = 1 }, []string{"Warning BooksDontBalance n"}},
		"fewer frames than came":           {func(w *world) { w.entry().Imbalance = -1 }, []string{"Warning BooksDontBalance n"}},
		"a claimant, by a verifier":        {func(w *world) { w.entry().Shared = "another claims them" }, []string{"Warning SharedVNI VNI 7"}},
		"a claimant, by the cloud":         {func(w *world) { w.shared = "another has VNI 7" }, []string{"Warning SharedVNI VNI 7"}},
		"a clock that is ahead":            {func(w *world) { w.entry().ObservedAt = metav1.NewMicroTime(w.now.Add(2100 * time.Millisecond)) }, []string{"Warning ClockAhead n"}},
		"a packet from the future": {func(w *world) {
			w.entry().LastPacketAt = new(metav1.NewMicroTime(w.now.Add(time.Minute)))
			w.entry().ObservedAt = metav1.NewMicroTime(w.now)
		}, []string{"Warning ClockAhead n"}},
		"nothing of a clock that is 2 s off": {func(w *world) { w.entry().ObservedAt = metav1.NewMicroTime(w.now.Add(2 * time.Second)) }, nil},
		"3 of 100 that are cut are too few":  {func(w *world) { w.counts(v1alpha1.Counts{Packets: 200, Truncated: 3}) }, nil},
		"4 of 100 that are cut":              {func(w *world) { w.counts(v1alpha1.Counts{Packets: 200, Truncated: 4}) }, []string{"Warning PayloadTruncated"}},
		"unexpected ones that are cut, too":  {func(w *world) { w.counts(v1alpha1.Counts{Packets: 100, Unexpected: 100, Truncated: 4}) }, []string{"Warning PayloadTruncated", "Warning UnexpectedPackets"}},
		"the cloud's refusal, above all":     {func(w *world) { ready("False", "InvalidRequest", "Stalled")(w); w.entry().Dropped = 1 }, []string{"Error InvalidRequest", "Warning CaptureDrops n"}},
		"a source that the cloud has not":    {ready("False", "InterfaceNotFound", "Reconciling"), []string{"Warning InterfaceNotFound"}},
		"that the cloud is being changed":    {ready("False", "Progressing", "Reconciling"), []string{"Info Progressing"}},
		"that it is suspended, and no more": {func(w *world) {
			ready("Unknown", "Suspended", "")(w)
			w.session.Spec.Suspend = true
			w.entry().Imbalance = 1
		}, []string{"Info Suspended"}},
		"that it is off, and no more":          {func(w *world) { w.session.Spec.Enabled = new(false); w.entry().Dropped = 1 }, []string{"Info Disabled"}},
		"that it is being deleted":             {ready("False", "Deleting", "Reconciling"), []string{"Info Deleting"}},
		"why the cloud has none":               {func(w *world) { ready("False", "QuotaExceeded", "Reconciling")(w); w.session.Status.Sessions = nil }, []string{"Error QuotaExceeded"}},
		"a capture that failed":                {func(w *world) { w.entry().Message = "no capability" }, []string{"Warning CaptureFailed n"}},
		"a verifier that is lost":              {func(w *world) { w.lost["n"] = true }, []string{"Warning VerifierLost n"}},
		"no verifier, which may be on its way": {func(w *world) { w.session.Status.Verification = nil }, []string{"Info NoVerifier target 10.0.0.1"}},
		"a verifier that is lost beside one that counts": {func(w *world) {
			w.session.Status.Verification = append(w.session.Status.Verification, v1alpha1.Verification{Node: "m", Epoch: 3})
			w.lost["m"] = true
		}, []string{"Warning VerifierLost m"}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld()
			w.counts(v1alpha1.Counts{Packets: 100})
			w.look(0)
			w.now = w.now.Add(time.Minute)
			c.edit(w)
			_, findings := w.look(0)
			same(t, "what is found", c.want, reasons(findings))
			first := findings
			for _, f := range findings {
				if f.Message == "" || !f.Since.Time.Equal(noon.Add(time.Minute)) {
					t.Errorf("the finding is %+v", f)
				}
			}
			_, findings = w.look(4 * time.Minute)
			if diffs := same2(first, findings); diffs != "" && !strings.Contains(diffs, "NoVerifier") {
				t.Errorf("4 minutes later something else is found:\n%s", diffs)
			}
		})
	}
}

func same2(a, b []v1alpha1.Finding) string {
	if fmt.Sprint(a) == fmt.Sprint(b) {
		return ""
	}
	return fmt.Sprintf("%+v\n%+v", a, b)
}

func TestWhatHappensNowAndThenIsSaidForFiveMinutes(t *testing.T) {
	for name, c := range map[string]struct {
		once func(*world)
		want []string
	}{
		"unexpected": {func(w *world) { w.counts(v1alpha1.Counts{Packets: 100, Unexpected: 1}) }, []string{"Warning UnexpectedPackets"}},
		"foreign":    {func(w *world) { w.counts(v1alpha1.Counts{Packets: 100, ForeignSource: 1}) }, []string{"Warning ForeignSource"}},
		"unreadable": {func(w *world) { w.counts(v1alpha1.Counts{Packets: 100, Unreadable: 1}) }, []string{"Warning UnreadableCopies"}},
		"drops":      {func(w *world) { w.entry().Dropped = 1 }, []string{"Warning CaptureDrops n"}},
		"cut":        {func(w *world) { w.counts(v1alpha1.Counts{Packets: 110, Truncated: 10}) }, []string{"Warning PayloadTruncated"}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld()
			w.counts(v1alpha1.Counts{Packets: 100})
			w.look(0)
			c.once(w)
			_, findings := w.look(time.Second)
			same(t, "what is found", c.want, reasons(findings))
			same(t, "when to look again", 5*time.Minute, diagnosis.Next(w.known))
			w.restarted() // another manager says the same
			_, findings = w.look(time.Second)
			same(t, "what another manager finds", c.want, reasons(findings))
			_, findings = w.look(5*time.Minute - time.Second)
			same(t, "what is found before 5 minutes have passed", c.want, reasons(findings))
			_, findings = w.look(time.Second)
			same(t, "what is found then", nil, reasons(findings))
			same(t, "when to look again", 0, diagnosis.Next(w.known))
		})
	}
}

func TestNothingOfBeforeAChangeIsSaidOfNow(t *testing.T) {
	w := newWorld()
	w.counts(v1alpha1.Counts{Packets: 100})
	w.look(0)
	w.counts(v1alpha1.Counts{Packets: 100, Unexpected: 100, ForeignSource: 100, Unreadable: 100, Truncated: 100})
	_, findings := w.look(time.Second)
	same(t, "how much is found", 4, len(findings))
	w.session.Status.Epoch = 4
	_, findings = w.look(time.Second)
	same(t, "what is found in another epoch", []string{"Info NoPackets"}, reasons(findings))
	w.entry().Unexpected += 10 // of before: the verifier has not seen the change yet
	_, findings = w.look(time.Second)
	same(t, "what is found of late counts", []string{"Info NoPackets"}, reasons(findings))
}

func TestCutCopiesAreToldOfOneSource(t *testing.T) {
	w := newWorld()
	report := func(a, b, cut int64) {
		w.counts(v1alpha1.Counts{Packets: a + b, Truncated: cut})
		w.entry().Sources = []v1alpha1.SourceCounts{{InterfaceID: "id-a", Packets: a}, {InterfaceID: "id-b", Packets: b, Truncated: cut}}
	}
	report(100, 1, 0)
	w.look(0)
	report(1100, 21, 20)
	_, findings := w.look(time.Second)
	same(t, "what is found", []string{"Warning PayloadTruncated 10.0.0.b"}, reasons(findings))
	w.restarted()
	_, findings = w.look(time.Second)
	same(t, "what another manager finds", []string{"Warning PayloadTruncated 10.0.0.b"}, reasons(findings))
	report(1100, 101, 100)
	_, findings = w.look(time.Second)
	same(t, "what is found when it is much of all", []string{"Warning PayloadTruncated"}, reasons(findings))
}

// What was whole for years hides nothing that is cut now.
func TestTheShareOfCutCopiesIsThatOfTheLastMinutes(t *testing.T) {
	w := newWorld()
	w.counts(v1alpha1.Counts{Packets: 1e9})
	w.look(0)
	w.counts(v1alpha1.Counts{Packets: 2e9})
	w.look(time.Second)
	w.counts(v1alpha1.Counts{Packets: 2e9 + 100, Truncated: 100})
	_, findings := w.look(time.Second)
	same(t, "what is found at once", nil, reasons(findings))
	for i := range int64(12) {
		w.counts(v1alpha1.Counts{Packets: 2e9 + 100*(i+2), Truncated: 100 * (i + 2)})
		_, findings = w.look(time.Minute)
	}
	same(t, "what is found later", []string{"Warning PayloadTruncated"}, reasons(findings))
}

func TestTheShareOfCutCopiesIsNeverThatOfAMomentAlone(t *testing.T) {
	w := newWorld()
	w.look(0)
	for _, at := range []time.Duration{0, 9 * time.Minute} {
		w.counts(v1alpha1.Counts{Packets: w.entry().InEpoch.Packets + 1000})
		w.look(at)
	}
	w.counts(v1alpha1.Counts{Packets: 2020, Truncated: 20})
	_, findings := w.look(2 * time.Minute)
	same(t, "what is found", nil, reasons(findings))
}

func TestFewerPacketsInAnotherEpochAreNewOnes(t *testing.T) {
	w := newWorld()
	w.counts(v1alpha1.Counts{Packets: 100, Unexpected: 100})
	w.look(0)
	w.session.Status.Epoch, w.entry().Epoch = 4, 4
	w.counts(v1alpha1.Counts{Packets: 50, Unexpected: 50})
	_, findings := w.look(time.Second)
	same(t, "what is found", []string{"Warning UnexpectedPackets"}, reasons(findings))
}

func TestWhatHelpsAgainstCutCopiesDependsOnThePacketLength(t *testing.T) {
	for name, c := range map[string]struct {
		length *int32
		remedy string
	}{
		"one that can be raised":      {new(int32(96)), "raise spec.packetLength, up to 1460"},
		"the largest":                 {new(int32(1460)), "frames longer than 1460 bytes never fit a copy: lower the MTU of the sources to 1446, or clamp the MSS of their connections"},
		"none, which is the largest":  {nil, "frames longer than 1460 bytes never fit a copy: lower the MTU of the sources to 1446, or clamp the MSS of their connections"},
		"one that is almost the most": {new(int32(1459)), "raise spec.packetLength, up to 1460"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld()
			w.session.Spec.PacketLength = c.length
			w.look(0)
			w.counts(v1alpha1.Counts{Packets: 1, Truncated: 1})
			_, findings := w.look(time.Second)
			same(t, "the remedy", c.remedy, findings[0].Remedy)
		})
	}
}

func TestAVerifierThatStaysInAnotherEpochIsToldOf(t *testing.T) {
	w := newWorld()
	w.counts(v1alpha1.Counts{Packets: 1})
	w.look(0)
	w.session.Status.Epoch = 4
	_, findings := w.look(time.Second)
	same(t, "what is found at once", []string{"Info NoPackets"}, reasons(findings))
	same(t, "when to look again", time.Minute, diagnosis.Next(w.known))
	_, findings = w.look(time.Minute)
	same(t, "what is found later", []string{"Warning VerifierBehind n", "Info NoPackets"}, reasons(findings))
	w.restarted()
	_, findings = w.look(0)
	same(t, "what another manager finds", []string{"Warning VerifierBehind n", "Info NoPackets"}, reasons(findings))
	w.entry().Epoch = 4
	_, findings = w.look(0)
	same(t, "what is found when it has caught up", nil, reasons(findings))
}

func TestNoVerifierIsAWarningWhenItStaysSo(t *testing.T) {
	w := newWorld()
	w.session.Status.Verification = nil
	_, findings := w.look(0)
	same(t, "what is found at once", []string{"Info NoVerifier target 10.0.0.1"}, reasons(findings))
	same(t, "when to look again", time.Minute, diagnosis.Next(w.known))
	_, findings = w.look(time.Minute)
	same(t, "what is found later", []string{"Warning NoVerifier target 10.0.0.1"}, reasons(findings))
	same(t, "since when", noon, findings[0].Since.Time)
	w.restarted()
	_, findings = w.look(time.Second)
	same(t, "what another manager finds", []string{"Warning NoVerifier target 10.0.0.1"}, reasons(findings))
}

func TestAClockIsAheadUntilAnEntrySaysOtherwise(t *testing.T) {
	w := newWorld()
	w.entry().ObservedAt = metav1.NewMicroTime(w.now.Add(time.Minute))
	w.counts(v1alpha1.Counts{Packets: 1})
	w.entry().ObservedAt = metav1.NewMicroTime(w.now.Add(time.Minute))
	w.look(0)
	_, findings := w.look(2 * time.Minute)
	same(t, "what is found when its time has come", []string{"Warning ClockAhead n"}, reasons(findings))
	w.restarted()
	_, findings = w.look(0)
	same(t, "what another manager finds", []string{"Warning ClockAhead n"}, reasons(findings))
	w.entry().ObservedAt = metav1.NewMicroTime(w.now)
	_, findings = w.look(0)
	same(t, "what is found when it was set", nil, reasons(findings))
}

// Whatever is known, WHY is never empty when something is wrong, and empty when all is well;
// what is found goes by severity, each once, within its bounds, and looking again changes
// nothing.
func TestSomethingIsFoundExactlyWhenSomethingIsWrong(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld()
		some := rapid.Bool()
		within(w, time.Duration(rapid.IntRange(10, 100).Draw(t, "silenceAfter"))*time.Second)
		for range rapid.IntRange(1, 6).Draw(t, "looks") {
			n := rapid.Int64Range(0, 3)
			w.counts(v1alpha1.Counts{
				Packets: n.Draw(t, "packets"), Unexpected: n.Draw(t, "unexpected"), Undecided: n.Draw(t, "undecided"),
				ForeignSource: n.Draw(t, "foreign"), Truncated: n.Draw(t, "cut"), Unreadable: n.Draw(t, "unreadable"), Dropped: n.Draw(t, "dropped"),
			})
			e := w.entry()
			e.Epoch, e.Imbalance = rapid.Int64Range(0, 4).Draw(t, "epoch"), n.Draw(t, "imbalance")
			e.Ended, e.Message = some.Draw(t, "ended"), rapid.SampledFrom([]string{"", "", "no"}).Draw(t, "message")
			e.Sources = []v1alpha1.SourceCounts{{InterfaceID: "id-a", Packets: n.Draw(t, "a")}}
			w.lost["n"] = some.Draw(t, "lost")
			if some.Draw(t, "off") {
				w.session.Spec.Enabled = new(some.Draw(t, "enabled"))
			}
			switch rapid.IntRange(0, 3).Draw(t, "ready") {
			case 0:
				ready("False", v1alpha1.ReasonConflict, "Stalled")(w)
			case 1:
				ready("Unknown", v1alpha1.ReasonSuspended, "")(w)
			default:
				ready("True", v1alpha1.ReasonSynced, "")(w)
			}
			v, findings := w.look(time.Duration(rapid.IntRange(0, 400).Draw(t, "later")) * time.Second)
			wrong := v.Status != "True" || w.session.Status.Conditions[0].Status != "True"
			if wrong && len(findings) == 0 {
				t.Fatalf("nothing is found: %+v, Ready %+v", v, w.session.Status.Conditions[0])
			}
			seen := map[string]bool{}
			for i, f := range findings {
				key := f.Reason + "|" + f.Subject
				if seen[key] || f.Message == "" || f.DecidedBy == "" || f.Since.IsZero() || f.Since.After(w.now) || len(f.Remedy) > 512 {
					t.Fatalf("finding %d is %+v", i, f)
				}
				seen[key] = true
				order := []v1alpha1.Severity{"Error", "Warning", "Info"}
				if i > 0 && indexOf(order, f.Severity) < indexOf(order, findings[i-1].Severity) {
					t.Fatalf("the order is %v", reasons(findings))
				}
			}
			again, same := w.look(0)
			if again != v || same2(findings, same) != "" {
				t.Fatalf("another look at the same finds %+v, %v after %+v, %v", again, same, v, findings)
			}
			if next := diagnosis.Next(w.known); next < 0 {
				t.Fatalf("the next look is in %s", next)
			}
		}
	})
}

func indexOf(all []v1alpha1.Severity, s v1alpha1.Severity) int {
	for i, other := range all {
		if other == s {
			return i
		}
	}
	return -1
}
