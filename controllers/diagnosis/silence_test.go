package diagnosis_test

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/diagnosis"
)

// within sets spec.silenceAfter.
func within(w *world, after time.Duration) {
	w.session.Spec.SilenceAfter = &metav1.Duration{Duration: after}
}

func TestSilenceIsAMinuteWithoutAnAcceptedCopy(t *testing.T) {
	w := newWorld()
	within(w, time.Minute)
	w.from(1, 1)
	expect := func(later time.Duration, reason string, next time.Duration) {
		t.Helper()
		v, _ := w.look(later)
		same(t, "the reason at "+w.now.Format(time.TimeOnly), reason, v.Reason)
		same(t, "when to look again", next, diagnosis.Next(w.known))
	}
	expect(0, "PacketsObserved", time.Minute)
	expect(59*time.Second, "PacketsObserved", time.Second)
	expect(time.Second, "Silent", 0)
	same(t, "the finding", []v1alpha1.Finding{{
		Reason: "Silent", Severity: "Error", DecidedBy: "Count", Since: metav1.NewTime(noon), Remedy: v1alpha1.Remedy("Silent"),
		Message: "no copy that the filter accepts was counted on n (eth0) since 2026-01-02T12:00:00Z; spec.silenceAfter is 1m",
	}}, w.session.Status.Findings)
	expect(time.Hour, "Silent", 0)
	w.from(2, 2)
	expect(time.Second, "PacketsObserved", time.Minute)

	// What is not a copy that the filter accepts breaks no silence.
	w.counts(v1alpha1.Counts{Packets: 4, Unexpected: 5, Undecided: 6, ForeignSource: 7})
	w.entry().Sources = nil
	v, findings := w.look(time.Minute)
	same(t, "the reason", "Silent", v.Reason)
	same(t, "what is found", []string{"Error Silent", "Warning UnexpectedPackets", "Warning ForeignSource"}, reasons(findings))
}

func TestASessionOfWhichNothingEverCameIsSilentToo(t *testing.T) {
	w := newWorld()
	within(w, time.Minute)
	w.look(0)
	v, _ := w.look(time.Minute)
	same(t, "the reason", "Silent", v.Reason)
	same(t, "the status", metav1.ConditionFalse, v.Status)
}

func TestOneSilentSourceOfSeveralIsNamed(t *testing.T) {
	w := newWorld()
	within(w, time.Minute)
	w.from(1, 1)
	w.look(0)
	w.from(2, 1)
	w.look(30 * time.Second)
	v, findings := w.look(30 * time.Second)
	const message = "no copy that the filter accepts was counted from 10.0.0.b since 2026-01-02T12:00:00Z, while others come; spec.silenceAfter is 1m"
	same(t, "the verdict", said{"False", "SourceSilent", message}, said{string(v.Status), v.Reason, v.Message}, cmpSaid)
	same(t, "the findings", []v1alpha1.Finding{{
		Reason: "SourceSilent", Severity: "Warning", DecidedBy: "Count", Subject: "10.0.0.b", Since: metav1.NewTime(noon),
		Message: message, Remedy: v1alpha1.Remedy("SourceSilent"),
	}}, findings)
	same(t, "when to look again", 30*time.Second, diagnosis.Next(w.known))
	v, findings = w.look(30 * time.Second)
	same(t, "the reason when the last has fallen silent too", "Silent", v.Reason)
	same(t, "what is found", []string{"Error Silent"}, reasons(findings))
	w.from(2, 2)
	v, _ = w.look(time.Second)
	same(t, "the reason when the other comes back", "SourceSilent", v.Reason)
	w.from(3, 2)
	v, findings = w.look(time.Second)
	same(t, "the reason when all come again", "PacketsObserved", v.Reason)
	same(t, "what is found", nil, reasons(findings))
}

func TestSilenceIsMeasuredOnlyWhileSomebodyCounts(t *testing.T) {
	for name, c := range map[string]struct {
		// between is what is between two looks that are a minute apart.
		between func(*world)
		want    string
	}{
		"nothing":                      {func(*world) {}, "Silent"},
		"no silenceAfter":              {func(w *world) { w.session.Spec.SilenceAfter = nil }, "PacketsObserved"},
		"a longer way of the counts":   {func(w *world) { w.delay = 61 * time.Second }, "PacketsObserved"},
		"a change in the cloud":        {func(w *world) { w.session.Status.Epoch, w.entry().Epoch = 4, 4 }, "PacketsObserved"},
		"a verifier that was lost":     {func(w *world) { w.lost["n"] = true; w.look(0); w.lost["n"] = false }, "PacketsObserved"},
		"a capture that had failed":    {func(w *world) { w.entry().Message = "no"; w.look(0); w.entry().Message = "" }, "PacketsObserved"},
		"a session that was off":       {func(w *world) { w.session.Spec.Enabled = new(false); w.look(0); w.session.Spec.Enabled = nil }, "PacketsObserved"},
		"a session that was suspended": {func(w *world) { w.session.Spec.Suspend = true; w.look(0); w.session.Spec.Suspend = false }, "PacketsObserved"},
		"another manager":              {func(w *world) { w.restarted() }, "PacketsObserved"},
		"another verifier, with what it saw": {func(w *world) {
			w.session.Status.Verification = append(w.session.Status.Verification, v1alpha1.Verification{Node: "m", Epoch: 3, InEpoch: &v1alpha1.Counts{Packets: 1}})
		}, "PacketsObserved"},
		"another verifier that saw nothing": {func(w *world) {
			w.session.Status.Verification = append(w.session.Status.Verification, v1alpha1.Verification{Node: "m", Epoch: 3})
		}, "Silent"},
		"an entry that is folded into others": {func(w *world) {
			w.session.Status.Verification = []v1alpha1.Verification{{Node: "m", Epoch: 3, InEpoch: &v1alpha1.Counts{Packets: 0}}}
		}, "Silent"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld()
			within(w, time.Minute)
			w.from(1, 1)
			w.look(0)
			w.now = w.now.Add(time.Minute)
			c.between(w)
			v, _ := w.look(0)
			same(t, "the reason", c.want, v.Reason)
		})
	}
}

// A verifier that has died tells nothing: until its lease has run out that is no silence.
func TestNoSilenceIsSaidWhileARenewalIsOverdue(t *testing.T) {
	start := func() *world {
		w := newWorld()
		within(w, time.Minute)
		w.from(1, 1)
		w.look(0)
		return w
	}
	expect := func(w *world, later time.Duration, want string) {
		t.Helper()
		v, _ := w.look(later)
		same(t, "the reason at "+w.now.Format(time.TimeOnly), want, v.Reason)
	}
	t.Run("until the verifier is lost", func(t *testing.T) {
		w := start()
		w.overdue["n"] = true
		expect(w, time.Minute, "PacketsObserved")
		same(t, "when to look again", 5*time.Second, diagnosis.Next(w.known))
		w.lost["n"] = true
		expect(w, 5*time.Second, "VerifierLost")
	})
	t.Run("until it is renewed", func(t *testing.T) {
		w := start()
		w.overdue["n"] = true
		expect(w, time.Minute, "PacketsObserved")
		w.overdue["n"] = false
		expect(w, 5*time.Second, "Silent")
		w.overdue["n"] = true
		expect(w, time.Minute, "Silent") // it was before
	})
	t.Run("of one source either", func(t *testing.T) {
		w := start()
		w.from(2, 1)
		w.look(30 * time.Second)
		w.overdue["n"] = true
		expect(w, 30*time.Second, "PacketsObserved")
		w.overdue["n"] = false
		expect(w, time.Second, "SourceSilent")
		w.overdue["n"] = true
		expect(w, time.Minute, "SourceSilent") // that all are is not known
	})
	t.Run("but of who no longer has to count nobody waits", func(t *testing.T) {
		w := start()
		w.overdue["m"] = true
		expect(w, time.Minute, "Silent")
	})
}

func TestANewSourceIsNotSilentFromTheBeginning(t *testing.T) {
	w := newWorld()
	within(w, time.Minute)
	w.from(1, 1)
	w.look(0)
	w.session.Status.Sources = append(w.session.Status.Sources, source("c"))
	w.from(2, 2)
	w.look(50 * time.Second)
	w.from(3, 3)
	v, _ := w.look(50 * time.Second)
	same(t, "the reason", "PacketsObserved", v.Reason)
	w.from(4, 4)
	v, findings := w.look(10 * time.Second)
	same(t, "the reason a minute after it came", "SourceSilent", v.Reason)
	same(t, "what is found", []string{"Warning SourceSilent 10.0.0.c"}, reasons(findings))
}

// In two VPCs two interfaces can have one address, and copies count for the first.
func TestASourceWhoseAddressesAreAllAnothersTooIsNotSilent(t *testing.T) {
	for name, c := range map[string]struct {
		addresses []string
		want      string
	}{
		"all are":  {[]string{"10.0.0.a"}, "PacketsObserved"},
		"one is":   {[]string{"10.0.0.a", "10.0.0.b"}, "SourceSilent"},
		"none has": {nil, "SourceSilent"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld()
			within(w, time.Minute)
			w.session.Status.Sources[1].Addresses = c.addresses
			w.from(1, 0)
			w.look(0)
			w.from(2, 0)
			v, _ := w.look(time.Minute)
			same(t, "the reason", c.want, v.Reason)
		})
	}
}

func TestTheOnlySourceIsNotSilentWhileTheSessionIsNot(t *testing.T) {
	w := newWorld()
	within(w, time.Minute)
	w.session.Status.Sources = w.session.Status.Sources[:1]
	w.from(1, 0)
	w.look(0)
	w.from(1, 1) // from one that was a source until now
	v, _ := w.look(time.Minute)
	same(t, "the reason", "PacketsObserved", v.Reason)
}

// Sessions of other namespaces that claim the same copies hide the sources of each other.
func TestNoSourceIsJudgedThatNobodyTellsApart(t *testing.T) {
	w := newWorld()
	within(w, time.Minute)
	w.counts(v1alpha1.Counts{Packets: 1})
	w.look(0)
	w.counts(v1alpha1.Counts{Packets: 2})
	w.look(time.Minute)
	w.counts(v1alpha1.Counts{Packets: 3})
	v, _ := w.look(30 * time.Second)
	same(t, "the reason", "PacketsObserved", v.Reason)
}

func TestAnotherManagerTakesNoSilenceBack(t *testing.T) {
	for name, silent := range map[string]func(*world){
		"of all":        func(w *world) { w.look(time.Minute) },
		"of one source": func(w *world) { w.from(2, 1); w.look(59 * time.Second); w.look(time.Second) },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld()
			within(w, time.Minute)
			w.from(1, 1)
			w.look(0)
			silent(w)
			v, before := w.look(0)
			same(t, "the status", metav1.ConditionFalse, v.Status)
			w.restarted()
			again, findings := w.look(time.Second)
			same(t, "the verdict", v, again)
			same(t, "the findings", before, findings)
		})
	}
}

// A manager may end between the write of an epoch and that of what follows from it.
func TestAnotherManagerTakesOverNothingOfTheEpochBefore(t *testing.T) {
	w := newWorld()
	within(w, time.Minute)
	w.from(1, 1)
	w.look(0)
	w.look(time.Minute)
	w.session.Status.Epoch, w.entry().Epoch = 4, 4
	w.session.Status.Traffic = &v1alpha1.Traffic{Since: new(metav1.NewTime(w.now))}
	w.restarted()
	v, findings := w.look(time.Second)
	same(t, "the reason", "PacketsObserved", v.Reason)
	same(t, "what is found", nil, reasons(findings))
}

// What the verifiers' pace makes of traffic that does not stop is no silence, and a mirror
// that stops is told of within half a minute where there is little else to do.
func TestWhatIsShorterThanTheCountsWayIsNoSilence(t *testing.T) {
	for name, c := range map[string]struct {
		sessions, ofNode int
		least, most      time.Duration
	}{
		"of a few sessions":                       {3, 3, 17 * time.Second, 26 * time.Second},
		"of many in the cluster":                  {3000, 3, 67 * time.Second, 72 * time.Second},
		"of many on the node, which takes turns":  {100, 100, 101 * time.Second, 106 * time.Second},
		"of many, of which one node has the most": {1000, 40, 41 * time.Second, 46 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			if got := v1alpha1.CountsDelay(c.sessions, c.ofNode); got < c.least || got > c.most {
				t.Errorf("the delay is %s, want %s to %s", got, c.least, c.most)
			}
		})
	}
	w := newWorld()
	within(w, 10*time.Second)
	w.delay = v1alpha1.CountsDelay(1, 1)
	w.counts(v1alpha1.Counts{Packets: 1})
	w.look(0)
	v, _ := w.look(w.delay - time.Second)
	same(t, "the reason before", "PacketsObserved", v.Reason)
	v, _ = w.look(time.Second)
	same(t, "the reason after", "Silent", v.Reason)
}
