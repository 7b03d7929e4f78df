package integration_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/test/cloudsim/scenario"
	"vpcmirror.io/operator/test/cloudsim/state"
	"vpcmirror.io/operator/test/integration/harness"
)

// told are the changes that a session's status has, the newest first, with words for its IDs.
func told(s *v1alpha1.MirrorSession) []string {
	var out []string
	for _, c := range s.Status.Changes {
		what := c.What
		for i, cloud := range s.Status.Sessions {
			what = strings.ReplaceAll(what, cloud.ID, fmt.Sprintf("<session %d>", i+1))
		}
		out = append(out, fmt.Sprintf("%s: %s", c.By, what))
	}
	return out
}

// tells waits until a session's status has exactly these changes.
func tells(w *harness.World, s *v1alpha1.MirrorSession, want ...string) {
	harness.Until(w, s, "the changes are "+strings.Join(want, " | "), func(s *v1alpha1.MirrorSession) bool { return slices.Equal(told(s), want) })
}

const made = "Operator: the session <session 1> was made, with the VNI 1 and the priority 10000"

// webRule is how a sentence calls the walkthrough's rule.
const webRule = "(ingress 1: Accept IPv4 TCP from 192.168.0.161/32 to 192.168.0.230/32 port 1234)"

func TestAnEditIsOfTheSpecAndThenOfTheOperator(t *testing.T) {
	t.Parallel()
	t.Run("of a session", func(t *testing.T) {
		t.Parallel()
		w := harness.New(t)
		w.Start()
		_, session := w.Pair("edited")
		tells(w, session, made)
		harness.Change(w, session, func(s *v1alpha1.MirrorSession) { s.Spec.VNI, s.Spec.Enabled = new(int32(5)), new(false) })
		harness.Ready(w, session)
		tells(w, session,
			"Operator: the session <session 1> was switched off; the session <session 1> was given the VNI 5 in place of 1",
			"Spec: spec.vni was set to 5; spec.enabled was changed from true to false", made)
	})
	t.Run("of a session, that the manager sees when it starts", func(t *testing.T) {
		t.Parallel()
		w := harness.New(t)
		first := w.Start()
		_, session := w.Pair("edited")
		first.Stop(w)
		harness.Change(w, session, func(s *v1alpha1.MirrorSession) { s.Spec.VNI = new(int32(5)) })
		w.Start()
		harness.Ready(w, session)
		tells(w, session, "Operator: the session <session 1> was given the VNI 5 in place of 1",
			"Spec: the spec was edited: the session <session 1> was given the VNI 5 in place of 1", made)
	})
	t.Run("of its filter", func(t *testing.T) {
		t.Parallel()
		w := harness.New(t)
		w.Start()
		filter, session := w.Pair("edited")
		tells(w, session, made)
		harness.Change(w, filter, func(f *v1alpha1.MirrorFilter) { f.Spec.Rules[0].Action = v1alpha1.ActionReject })
		harness.Ready(w, filter)
		now := strings.Trim(strings.Replace(webRule, "Accept", "Reject", 1), "()")
		tells(w, session, `Operator: a rule `+webRule+` of the filter "edited" is now `+now,
			`Spec: a rule `+webRule+` of the filter "edited" is now `+now, made)
	})
	t.Run("of what decides about no copy: nothing is said", func(t *testing.T) {
		t.Parallel()
		w := harness.New(t)
		w.Start()
		filter, session := w.Pair("edited")
		harness.Change(w, session, func(s *v1alpha1.MirrorSession) { s.Spec.Description = "another" })
		harness.Change(w, filter, func(f *v1alpha1.MirrorFilter) { f.Spec.Description, f.Spec.Rules[0].Description = "another", "another" })
		harness.Ready(w, filter)
		harness.Ready(w, session)
		harness.ReconcileNow(w, session)
		tells(w, session, made)
	})
}

func TestAnEditOutsideIsOfTheCloudAndThenOfTheOperator(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		edit func(*harness.World, *v1alpha1.MirrorFilter, *v1alpha1.MirrorSession)
		want []string
	}{
		"a session is switched off": {
			func(w *harness.World, _ *v1alpha1.MirrorFilter, s *v1alpha1.MirrorSession) {
				w.EditSession(s.Status.Sessions[0].ID, func(s *state.Session) { s.Enabled = false })
			},
			[]string{"Operator: the session <session 1> was switched on", "Cloud: the session <session 1> was switched off", made},
		},
		"a session's priority": {
			func(w *harness.World, _ *v1alpha1.MirrorFilter, s *v1alpha1.MirrorSession) {
				w.EditSession(s.Status.Sessions[0].ID, func(s *state.Session) { s.Priority = 7 })
			},
			[]string{
				"Operator: the priority of the session <session 1> was changed from 7 to 10000",
				"Cloud: the priority of the session <session 1> was changed from 10000 to 7", made,
			},
		},
		"a rule is gone": {
			func(w *harness.World, f *v1alpha1.MirrorFilter, _ *v1alpha1.MirrorSession) {
				w.Edit(func(world *state.World) { delete(world.Rules, f.Status.Rules[0].ID) })
			},
			[]string{`Operator: a rule ` + webRule + ` was added to the filter "drifting"`, `Cloud: a rule ` + webRule + ` is gone from the filter "drifting"`, made},
		},
	} {
		for _, away := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, the manager away: %t", name, away), func(t *testing.T) {
				t.Parallel()
				w := harness.New(t)
				first := w.Start()
				filter, session := w.Pair("drifting")
				tells(w, session, made)
				if away {
					first.Stop(w)
				}
				c.edit(w, filter, session)
				if away {
					w.Start()
				}
				harness.ReconcileNow(w, filter)
				harness.ReconcileNow(w, session)
				tells(w, session, c.want...)
			})
		}
	}
}

func TestASessionThatIsGoneIsSaidOnceAndWhatWasMadeInItsPlace(t *testing.T) {
	t.Parallel()
	w := harness.New(t)
	w.Start()
	_, session := w.Pair("vanishing")
	old := session.Status.Sessions[0].ID
	w.Edit(func(world *state.World) { delete(world.Sessions, old) })
	w.Clock.Advance(time.Minute) // so long ago was it seen
	harness.ReconcileNow(w, session)
	harness.Ready(w, session)
	tells(w, session, made, "Cloud: the session "+old+" is gone from the cloud", strings.ReplaceAll(made, "<session 1>", old))
}

func TestARestartSaysNothingNewAndTheSteadyStateWritesNothing(t *testing.T) {
	t.Parallel()
	w := harness.New(t)
	first := w.Start(harness.WithResync(200 * time.Millisecond))
	filter, session := w.Pair("steady")
	harness.Change(w, filter, func(f *v1alpha1.MirrorFilter) { f.Spec.Rules = append(f.Spec.Rules, harness.Rule(2)) })
	harness.Change(w, session, func(s *v1alpha1.MirrorSession) { s.Spec.PacketLength = new(int32(96)) })
	harness.Ready(w, filter)
	harness.Ready(w, session)
	want := []string{
		"Operator: the packet length of the session <session 1> was changed from 1460 to 96", "Spec: spec.packetLength was changed from 1460 to 96",
		`Operator: a rule ` + strings.Replace(webRule, "1:", "2:", 1) + ` was added to the filter "steady"`,
		`Spec: a rule ` + strings.Replace(webRule, "1:", "2:", 1) + ` was added to the filter "steady"`, made,
	}
	slices.Sort(want) // which of the two edits is seen first, nobody knows
	harness.Until(w, session, "all is said", func(s *v1alpha1.MirrorSession) bool { return slices.Equal(slices.Sorted(slices.Values(told(s))), want) })
	said := session.DeepCopy().Status.Changes
	first.Stop(w)
	second := w.Start(harness.WithResync(200 * time.Millisecond))
	for range 3 {
		harness.ReconcileNow(w, filter)
		harness.ReconcileNow(w, session)
	}
	harness.Same(t, "the changes", said, session.Status.Changes)
	second.Stop(w)
}

// refusing is an API server that takes no status of sessions while it refuses.
type refusing struct {
	client.Client
	refuses *atomic.Bool
}

func (c refusing) Status() client.SubResourceWriter {
	return refusingStatus{c.Client.Status(), c.refuses}
}

type refusingStatus struct {
	client.SubResourceWriter
	refuses *atomic.Bool
}

func (c refusingStatus) Apply(ctx context.Context, o runtime.ApplyConfiguration, options ...client.SubResourceApplyOption) error {
	if c.refuses.Load() {
		return errors.New("the test takes no status")
	}
	return c.SubResourceWriter.Apply(ctx, o, options...)
}

func TestWhatCouldNotBeStoredIsSaidOnceWhenItCan(t *testing.T) {
	t.Parallel()
	w := harness.New(t)
	var refuses atomic.Bool
	w.Start(harness.WithClient(func(c client.Client) client.Client { return refusing{c, &refuses} }))
	_, session := w.Pair("unstored")
	tells(w, session, made)
	refuses.Store(true)
	harness.Change(w, session, func(s *v1alpha1.MirrorSession) { s.Spec.PacketLength = new(int32(96)) })
	harness.Poll(t, "the cloud has the edit", func() int { return w.Content().Sessions[0].PacketLength }, func(n int) bool { return n == 96 })
	w.RequestReconcile(session) // it is seen once more before anything can be stored
	refuses.Store(false)
	harness.Ready(w, session)
	tells(w, session, "Operator: the packet length of the session <session 1> was changed from 1460 to 96",
		"Spec: spec.packetLength was changed from 1460 to 96", made)
}

func TestThatCopiesStoppedAndWhatChangedThenStandTogether(t *testing.T) {
	t.Parallel()
	w := harness.New(t)
	w.Start(patient)
	_, session := w.Pair("closable")
	e := write(t, w, session, entry("ecs-target", v1alpha1.Counts{Packets: 1, Bytes: 72}, time.Second, 2*time.Second))
	pathClear(w, session, v1alpha1.ReasonClear)
	e.Packets++
	e.InEpoch = new(e.Counts)
	write(t, w, session, e)
	setRule(w, false)
	closed := w.Clock.Now().Truncate(time.Second)
	const gone = "Cloud: a rule (ingress udp 4789 from 192.168.0.230/32) is gone from sg-target"
	tells(w, session, gone, made) // by itself, when the copies are missed
	pathClear(w, session, v1alpha1.ReasonTargetGroupDenies)
	if at := session.Status.Changes[0].At.Time; at.Before(closed) || at.Sub(closed) > 40*time.Second {
		t.Errorf("the rule was taken away at %s, and the change is of %s", closed, at)
	}
	setRule(w, true)
	harness.ReconcileNow(w, session)
	tells(w, session, strings.Replace(gone, "is gone from", "was added to", 1), gone, made)
}

func TestASourceThatIsDeletedIsTakenOutByTheOperatorAndNobodyAddedIt(t *testing.T) {
	t.Parallel()
	w := harness.New(t)
	w.Start()
	_, session := w.Pair("two-sources", func(s *v1alpha1.MirrorSession) {
		s.Spec.Sources = []v1alpha1.SourceSelector{
			{InterfaceSelector: v1alpha1.InterfaceSelector{InterfaceID: scenario.WalkthroughSource}},
			{InterfaceSelector: v1alpha1.InterfaceSelector{InterfaceID: scenario.WalkthroughTest}},
		}
	})
	tells(w, session, made)
	w.Edit(func(world *state.World) { delete(world.Ports, scenario.WalkthroughTest) })
	w.RequestReconcile(session)
	harness.Until(w, session, "the source is taken out", func(s *v1alpha1.MirrorSession) bool {
		return len(s.Status.Sessions) == 1 && len(s.Status.Sessions[0].Sources) == 1 && len(s.Status.Changes) > 1
	})
	for _, said := range told(session) {
		if strings.Contains(said, "was added") {
			t.Errorf("nobody added a source: %q", told(session))
		}
	}
}
