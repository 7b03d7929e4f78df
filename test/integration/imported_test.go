//go:build !oldest

package integration_test

import (
	"fmt"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/test/cloudsim/journal"
	"vpcmirror.io/operator/test/cloudsim/scenario"
	"vpcmirror.io/operator/test/cloudsim/state"
	"vpcmirror.io/operator/test/integration/harness"
)

// importing are the walkthrough's objects for what World.Terraformed has made.
func importing(w *harness.World, policy v1alpha1.ManagementPolicy, filter state.Filter, session state.Session) (*v1alpha1.MirrorFilter, *v1alpha1.MirrorSession) {
	f := w.Filter("imported", func(f *v1alpha1.MirrorFilter) {
		f.Spec.Import, f.Spec.ManagementPolicy = &v1alpha1.Import{ID: filter.ID}, policy
	})
	s := w.Session("imported", "imported", func(s *v1alpha1.MirrorSession) {
		s.Spec.Import, s.Spec.ManagementPolicy = &v1alpha1.Import{ID: session.ID}, policy
	})
	w.Create(f)
	w.Create(s)
	return f, s
}

func manage(o interface{ Cloud() *v1alpha1.CloudSpec }) {
	o.Cloud().ManagementPolicy = v1alpha1.ManagementManaged
}

func observe(o interface{ Cloud() *v1alpha1.CloudSpec }) {
	o.Cloud().ManagementPolicy = v1alpha1.ManagementObserve
}

// bodies are the operations that were written, with what each sent.
func bodies(entries []journal.Entry) []string {
	all := []string{}
	for _, e := range entries {
		all = append(all, fmt.Sprintf("%s %s", e.Operation, e.Body))
	}
	return all
}

func TestWhatTerraformHasMadeIsObservedAndThenTakenOverByItsDescriptionsAlone(t *testing.T) {
	t.Parallel()
	w := harness.New(t)
	tfFilter, tfSession := w.Terraformed()
	want := w.Content()
	began := w.Cloud.Journal.Last()
	w.Start()
	filter, session := importing(w, v1alpha1.ManagementObserve, tfFilter, tfSession)
	harness.Ready(w, filter)
	harness.Ready(w, session)
	harness.Same(t, "what is written to the cloud while observing", []string{}, bodies(w.Cloud.Journal.Writes(began)))
	harness.Same(t, "the finalizers", [][]string{nil, nil}, [][]string{filter.Finalizers, session.Finalizers})
	harness.Same(t, "the filter's ID and rules", []any{tfFilter.ID, int32(1)}, []any{filter.Status.ID, filter.Status.RuleCount})
	harness.Same(t, "the session's VNI", int32(77), *session.Status.VNI)
	harness.Same(t, "the session's parts", []v1alpha1.CloudSession{{ID: tfSession.ID, Priority: 42, Sources: []string{scenario.WalkthroughSource}}}, session.Status.Sessions)
	harness.Same(t, "the interfaces", []string{scenario.WalkthroughSource, scenario.WalkthroughTarget},
		[]string{session.Status.Sources[0].InterfaceID, session.Status.Target.InterfaceID})
	harness.Same(t, "the addresses", []string{"192.168.0.230", "192.168.0.164"},
		[]string{session.Status.Sources[0].Addresses[0], session.Status.Target.Addresses[0]})
	epochs := []int64{filter.Status.Epoch, session.Status.Epoch}

	harness.Change(w, filter, func(f *v1alpha1.MirrorFilter) { manage(f) })
	harness.Change(w, session, func(s *v1alpha1.MirrorSession) { manage(s) })
	harness.Ready(w, filter)
	harness.Ready(w, session)
	want.Filters[0].Description = w.Mark(filter).Describe("by Terraform")
	want.Sessions[0].Description = w.Mark(session).Describe("by Terraform")
	w.Holds(want)
	harness.Same(t, "how often each operation was written", map[string]int{"UpdateTrafficMirrorFilter": 1, "UpdateTrafficMirrorSession": 1},
		harness.Count(w.Cloud.Journal.Writes(began)))
	harness.Same(t, "the epochs", epochs, []int64{filter.Status.Epoch, session.Status.Epoch})
	w.EventSays(session, "Imported", tfSession.ID)

	// Back again, the cloud stays as it is, and what is deleted leaves it so.
	taken := w.Cloud.Journal.Last()
	harness.Change(w, session, func(s *v1alpha1.MirrorSession) { observe(s) })
	harness.Change(w, filter, func(f *v1alpha1.MirrorFilter) { observe(f) })
	harness.Ready(w, filter)
	harness.Ready(w, session)
	w.Delete(session)
	w.Gone(session)
	w.Delete(filter)
	w.Gone(filter)
	w.EventSays(session, "MarkStays", w.Mark(session).String())
	w.EventSays(filter, "MarkStays", w.Mark(filter).String())
	w.Holds(want)
	harness.Same(t, "what is written to the cloud after that", []string{}, bodies(w.Cloud.Journal.Writes(taken)))
}

func TestWhatIsImportedIsRetainedUnlessTheSpecSaysDelete(t *testing.T) {
	t.Parallel()
	for policy, left := range map[v1alpha1.DeletionPolicy]bool{"": true, v1alpha1.DeletionRetain: true, v1alpha1.DeletionDelete: false} {
		t.Run("policy "+string(policy), func(t *testing.T) {
			t.Parallel()
			w := harness.New(t)
			tfFilter, tfSession := w.Terraformed()
			want := w.Content()
			w.Start()
			filter, session := importing(w, v1alpha1.ManagementManaged, tfFilter, tfSession)
			harness.Ready(w, filter)
			harness.Ready(w, session)
			harness.Change(w, filter, func(f *v1alpha1.MirrorFilter) { f.Spec.DeletionPolicy = policy })
			harness.Change(w, session, func(s *v1alpha1.MirrorSession) { s.Spec.DeletionPolicy = policy })
			w.Delete(session)
			w.Gone(session)
			w.Delete(filter)
			w.Gone(filter)
			if !left {
				want = harness.Content{}
			} else {
				want.Filters[0].Description = w.Mark(filter).Released("by Terraform")
				want.Sessions[0].Description = w.Mark(session).Released("by Terraform")
			}
			w.Holds(want)
		})
	}
}

func TestWhatIsObservedSaysHowItDiffersAndIsWrittenOnlyWhenManaged(t *testing.T) {
	t.Parallel()
	w := harness.New(t)
	tfFilter, tfSession := w.Terraformed()
	w.EditSession(tfSession.ID, func(s *state.Session) {
		s.PacketLength, s.Sources = 96, append(s.Sources, scenario.WalkthroughTest)
	})
	w.Edit(func(world *state.World) {
		for id, r := range world.Rules {
			r.Action = "reject"
			world.Rules[id] = r
		}
	})
	want := w.Content()
	began := w.Cloud.Journal.Last()
	w.Start()
	filter, session := importing(w, v1alpha1.ManagementObserve, tfFilter, tfSession)
	harness.Because(w, filter, v1alpha1.ReasonDiffers, tfFilter.ID, "rules[Ingress 1].action is Reject, wanted Accept", "spec.managementPolicy is Observe")
	harness.Because(w, session, v1alpha1.ReasonDiffers, tfSession.ID, "packetLength is 96, wanted 1460", "sources is [")
	harness.Same(t, "all sources of the cloud, with addresses", []string{"192.168.0.230", "192.168.0.161"},
		[]string{session.Status.Sources[0].Addresses[0], session.Status.Sources[1].Addresses[0]})
	traffic := meta.FindStatusCondition(session.Status.Conditions, v1alpha1.ConditionTrafficObserved)
	harness.Same(t, "whether traffic is judged", v1alpha1.ReasonNoVerifier, traffic.Reason)

	// What is changed there is shown, once asked.
	w.EditSession(tfSession.ID, func(s *state.Session) { s.PacketLength, s.Sources = 1460, s.Sources[:1] })
	harness.ReconcileNow(w, session)
	harness.Ready(w, session)
	harness.Same(t, "what is written to the cloud", []string{}, bodies(w.Cloud.Journal.Writes(began)))

	// A managed session may use a filter that is only observed, whatever its rules.
	second := w.Session("second", "imported", func(s *v1alpha1.MirrorSession) {
		s.Spec.Sources = harness.Sources(harness.ID(scenario.WalkthroughTest))
	})
	w.Create(second)
	harness.Ready(w, second)
	w.Delete(second)
	w.Gone(second)

	harness.Change(w, filter, func(f *v1alpha1.MirrorFilter) { manage(f) })
	harness.Ready(w, filter)
	for i := range want.Rules {
		want.Rules[i].Action = "accept"
	}
	want.Filters[0].Description = w.Mark(filter).Describe("by Terraform")
	want.Sessions[0].PacketLength, want.Sessions[0].Sources = 1460, []string{scenario.WalkthroughSource}
	w.Holds(want)
}

func TestOfTwoObjectsThatImportOneThingTheSecondIsAConflict(t *testing.T) {
	t.Parallel()
	w := harness.New(t)
	tfFilter, _ := w.Terraformed()
	w.Start()
	first := w.Filter("first", func(f *v1alpha1.MirrorFilter) { f.Spec.Import = &v1alpha1.Import{ID: tfFilter.ID} })
	w.Create(first)
	harness.Ready(w, first)
	want := w.Content()
	second := w.Filter("second", func(f *v1alpha1.MirrorFilter) { f.Spec.Import = &v1alpha1.Import{ID: tfFilter.ID} })
	w.Create(second)
	harness.Because(w, second, v1alpha1.ReasonConflict, tfFilter.ID, w.Mark(first).String(), "spec.import.id", "Retain")
	harness.Same(t, "whether only a person can help", true, meta.IsStatusConditionTrue(second.Status.Conditions, v1alpha1.ConditionStalled))
	harness.Same(t, "the second's finalizers", []string(nil), second.Finalizers)
	w.Holds(want)

	// The way out that the message names, which nothing that is watched tells the second.
	w.Delete(first)
	w.Gone(first)
	harness.Ready(w, second)
	want.Filters[0].Description = w.Mark(second).Describe("by Terraform")
	w.Holds(want)
}

func TestOfTwoObjectsThatImportOneThingAtTheSameTimeOneGetsIt(t *testing.T) {
	t.Parallel()
	w := harness.New(t)
	_, tfSession := w.Terraformed()
	w.Create(w.Filter("f"))
	both := []*v1alpha1.MirrorSession{}
	for _, name := range []string{"one", "two"} {
		s := w.Session(name, "f", func(s *v1alpha1.MirrorSession) { s.Spec.Import = &v1alpha1.Import{ID: tfSession.ID} })
		w.Create(s)
		both = append(both, s)
	}
	w.Start()
	harness.Poll(t, "one has it, and the other is a conflict", func() string {
		reasons := ""
		for _, s := range both {
			if err := w.Get(s); err != nil {
				t.Fatal(err)
			}
			if ready := meta.FindStatusCondition(s.Status.Conditions, v1alpha1.ConditionReady); ready != nil {
				reasons += ready.Reason + " "
			}
		}
		return reasons
	}, func(reasons string) bool { return reasons == "Synced Conflict " || reasons == "Conflict Synced " })
	harness.Same(t, "how often it was marked", 1, func() (marks int) {
		for _, e := range w.Cloud.Journal.Writes(0) {
			if strings.Contains(e.Body, "[vpcmirror ") && e.Operation == "UpdateTrafficMirrorSession" {
				marks++
			}
		}
		return marks
	}())
}

func TestWhatIsImportedIsNeverMade(t *testing.T) {
	t.Parallel()
	const absent = "5a1f0c7e-0000-4000-8000-00000000dead"
	for _, policy := range []v1alpha1.ManagementPolicy{v1alpha1.ManagementManaged, v1alpha1.ManagementObserve} {
		t.Run(string(policy)+" of what never was", func(t *testing.T) {
			t.Parallel()
			w := harness.New(t)
			w.Start()
			filter, session := importing(w, policy, state.Filter{ID: absent}, state.Session{ID: absent})
			harness.Because(w, filter, v1alpha1.ReasonImportNotFound, "spec.import.id", absent)
			harness.Because(w, session, v1alpha1.ReasonImportNotFound, "spec.import.id", absent)
			w.Delete(session)
			w.Gone(session)
			w.Delete(filter)
			w.Gone(filter)
			harness.Same(t, "what is written to the cloud", []string{}, bodies(w.Cloud.Journal.Writes(0)))
		})
		t.Run(string(policy)+" of what vanishes", func(t *testing.T) {
			t.Parallel()
			w := harness.New(t)
			tfFilter, tfSession := w.Terraformed()
			manager := w.Start()
			filter, session := importing(w, policy, tfFilter, tfSession)
			harness.Ready(w, filter)
			harness.Ready(w, session)
			manager.Stop(w)
			began := w.Cloud.Journal.Last()
			if err := w.Cloud.State.DeleteSession(scenario.WalkthroughProject, tfSession.ID); err != nil {
				t.Fatal(err)
			}
			if err := w.Cloud.State.DeleteFilter(scenario.WalkthroughProject, tfFilter.ID); err != nil {
				t.Fatal(err)
			}
			w.Start() // another process: what one has just seen, it does not believe gone
			w.RequestReconcile(filter)
			w.RequestReconcile(session)
			harness.Because(w, filter, v1alpha1.ReasonImportNotFound, "spec.import.id", tfFilter.ID)
			harness.Because(w, session, v1alpha1.ReasonImportNotFound, "spec.import.id", tfSession.ID)
			harness.Same(t, "what the status has of it", []any{"", 0}, []any{filter.Status.ID, len(session.Status.Sessions)})
			harness.Same(t, "what is written to the cloud", []string{}, bodies(w.Cloud.Journal.Writes(began)))
		})
	}
}

func TestAManagerThatEndsBetweenTheFinalizerAndTheMarkHasTakenNothingButFinishesLater(t *testing.T) {
	t.Parallel()
	for _, when := range []harness.Moment{harness.Before, harness.After} {
		t.Run(fmt.Sprint(when), func(t *testing.T) {
			t.Parallel()
			w := harness.New(t)
			tfFilter, _ := w.Terraformed()
			gate := harness.NewGate()
			gate.Arm(func(e harness.Effect) (harness.Moment, bool) { return when, e.Cloud && e.IsWrite() }, nil)
			first := w.Start(harness.WithGate(gate))
			want := w.Content()
			filter := w.Filter("crashed", func(f *v1alpha1.MirrorFilter) { f.Spec.Import = &v1alpha1.Import{ID: tfFilter.ID} })
			w.Create(filter)
			<-gate.Died()
			first.Stop(w)
			if err := w.Get(filter); err != nil {
				t.Fatal(err)
			}
			harness.Same(t, "the finalizers", []string{v1alpha1.Finalizer, v1alpha1.CredentialsFinalizer}, filter.Finalizers)
			if when == harness.Before {
				w.Holds(want)
			}
			w.Start()
			harness.Ready(w, filter)
			want.Filters[0].Description = w.Mark(filter).Describe("by Terraform")
			w.Holds(want)
			w.Delete(filter)
			w.Gone(filter)
			want.Filters[0].Description = w.Mark(filter).Released("by Terraform")
			w.Holds(want)
		})
	}
}

func TestAnImportWhoseAccountWasNotStoredWithItsFinalizersIsFinished(t *testing.T) {
	t.Parallel()
	w := harness.New(t)
	tfFilter, tfSession := w.Terraformed()
	gate := harness.NewGate()
	gate.Arm(nil, func(e harness.Effect) (harness.Moment, bool) { // the first write of each status
		return harness.Before, strings.HasSuffix(e.Name, "/status") && e.Number == 1
	})
	w.Start(harness.WithGate(gate))
	filter, session := importing(w, v1alpha1.ManagementManaged, tfFilter, tfSession)
	harness.Ready(w, filter)
	harness.Ready(w, session)
	account := &v1alpha1.Account{Region: scenario.WalkthroughRegion, ProjectID: scenario.WalkthroughProject, Endpoint: w.Cloud.URL}
	harness.Same(t, "the accounts in the statuses", []*v1alpha1.Account{account, account}, []*v1alpha1.Account{filter.Status.Account, session.Status.Account})
}

func TestToObserveWhatThereIsNotWaitsForIt(t *testing.T) {
	t.Parallel()
	w := harness.New(t)
	w.Start()
	filter := w.Filter("nothing", func(f *v1alpha1.MirrorFilter) { observe(f) })
	w.Create(filter)
	harness.Because(w, filter, v1alpha1.ReasonNothingToObserve, "spec.managementPolicy is Observe", "spec.import.id")
	harness.Change(w, filter, func(f *v1alpha1.MirrorFilter) { manage(f) })
	harness.Ready(w, filter)
	made := w.Content()
	harness.Change(w, filter, func(f *v1alpha1.MirrorFilter) { observe(f); f.Spec.CloudName = "another" })
	harness.Because(w, filter, v1alpha1.ReasonDiffers, "name is", "another")
	w.Holds(made)
}

func TestAnImportWithoutSourcesSwitchesNothingOff(t *testing.T) {
	t.Parallel()
	w := harness.New(t)
	tfFilter, tfSession := w.Terraformed()
	want := w.Content()
	w.Start()
	filter := w.Filter("f", func(f *v1alpha1.MirrorFilter) { f.Spec.Import = &v1alpha1.Import{ID: tfFilter.ID}; observe(f) })
	session := w.Session("s", "f", func(s *v1alpha1.MirrorSession) {
		s.Spec.Import, s.Spec.Sources = &v1alpha1.Import{ID: tfSession.ID}, nil
	})
	w.Create(filter)
	w.Create(session)
	harness.Because(w, session, v1alpha1.ReasonNoSources, "spec.sources is empty", tfSession.ID)
	w.Holds(want)
	harness.Change(w, session, func(s *v1alpha1.MirrorSession) { observe(s) })
	harness.Ready(w, session)
	harness.Same(t, "Ready", metav1.ConditionTrue, meta.FindStatusCondition(session.Status.Conditions, v1alpha1.ConditionReady).Status)
	w.Holds(want)
}
