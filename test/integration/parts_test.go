//go:build !oldest

package integration_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/status"
	"vpcmirror.io/operator/test/cloudsim/journal"
	"vpcmirror.io/operator/test/cloudsim/scenario"
	"vpcmirror.io/operator/test/cloudsim/state"
	"vpcmirror.io/operator/test/integration/harness"
)

// divided is what the cloud has of a session that is divided, the smallest priority first.
type divided struct {
	Priority, VNI int
	Part          string // what its mark ends with
	Sources       []string
}

func dividedIn(w *harness.World) (all []divided) {
	for _, s := range w.Cloud.State.Snapshot().Sessions {
		mark := s.Description[strings.LastIndex(s.Description, "[vpcmirror "):]
		part := "1"
		if fields := strings.Split(strings.Trim(mark, "[]"), "/"); len(fields) == 3 {
			part = fields[2]
		}
		all = append(all, divided{s.Priority, s.VNI, part, slices.Sorted(slices.Values(s.Sources))})
	}
	slices.SortFunc(all, func(a, b divided) int { return a.Priority - b.Priority })
	return all
}

// numbered are the interfaces of so many servers, see servers.
func numbered(from, to int) (ids []string) {
	for n := from; n < to; n++ {
		ids = append(ids, interfaceID(1, n))
	}
	return ids
}

func naming(ids ...string) []v1alpha1.SourceSelector {
	selectors := make([]v1alpha1.InterfaceSelector, 0, len(ids))
	for _, id := range ids {
		selectors = append(selectors, harness.ID(id))
	}
	return harness.Sources(selectors...)
}

// dividedPair are a filter, and a session with these sources and the priority 5.
func dividedPair(w *harness.World, ids ...string) *v1alpha1.MirrorSession {
	_, session := w.Pair("many", func(s *v1alpha1.MirrorSession) {
		s.Spec.Sources, s.Spec.Priority, s.Spec.VNI = naming(ids...), new(int32(5)), new(int32(77))
	})
	return session
}

func TestMoreThanTenSourcesAreDividedAmongSessionsOfOneVNI(t *testing.T) {
	t.Parallel()
	w := harness.New(t)
	servers(w, 30)
	w.Start()
	session := dividedPair(w, numbered(0, 23)...)
	harness.Same(t, "what the cloud has", []divided{
		{5, 77, "1", numbered(0, 10)}, {6, 77, "2", numbered(10, 20)}, {7, 77, "3", numbered(20, 23)},
	}, dividedIn(w))
	stored := make([]string, 0, 3)
	for _, s := range session.Status.Sessions {
		stored = append(stored, fmt.Sprint(s.Part, s.Priority, len(s.Sources)))
	}
	harness.Same(t, "what the status has of the sessions", []string{"0 5 10", "2 6 10", "3 7 3"}, stored)
	harness.Same(t, "how many sources the status has", 23, len(session.Status.Sources))
	readyIn(w, session, 3)

	w.Delete(session)
	w.Gone(session)
	harness.Same(t, "what the cloud has when the session is deleted", nil, dividedIn(w))
}

func TestASourceThatStaysKeepsItsSessionWhateverComesAndGoes(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		sources []string
		want    []divided
	}{
		"one comes, and goes where there is room": {
			numbered(0, 24), []divided{{5, 77, "1", numbered(0, 10)}, {6, 77, "2", numbered(10, 20)}, {7, 77, "3", numbered(20, 24)}},
		},
		"more come than there is room for": {
			numbered(0, 30+2), []divided{{5, 77, "1", numbered(0, 10)}, {6, 77, "2", numbered(10, 20)}, {7, 77, "3", numbered(20, 30)}, {8, 77, "4", numbered(30, 32)}},
		},
		"half of each goes, and nothing is moved together": {
			slices.Concat(numbered(5, 10), numbered(15, 20), numbered(22, 23)),
			[]divided{{5, 77, "1", numbered(5, 10)}, {6, 77, "2", numbered(15, 20)}, {7, 77, "3", numbered(22, 23)}},
		},
		"all of a later session go, and it goes too": {
			slices.Concat(numbered(0, 10), numbered(20, 23)), []divided{{5, 77, "1", numbered(0, 10)}, {7, 77, "3", numbered(20, 23)}},
		},
		"all of the first go, and the next one gets the priority that the spec names": {
			numbered(10, 23), []divided{{5, 77, "2", numbered(10, 20)}, {7, 77, "3", numbered(20, 23)}},
		},
		"all of the first go and others come": {
			numbered(10, 25), []divided{{5, 77, "1", numbered(23, 25)}, {6, 77, "2", numbered(10, 20)}, {7, 77, "3", numbered(20, 23)}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := harness.New(t)
			servers(w, 40)
			w.Start()
			session := dividedPair(w, numbered(0, 23)...)
			asked := w.Cloud.Journal.Last()
			harness.Change(w, session, func(s *v1alpha1.MirrorSession) { s.Spec.Sources = naming(c.sources...) })
			harness.Ready(w, session)
			harness.Same(t, "what the cloud has", c.want, dividedIn(w))
			for _, e := range w.Cloud.Journal.Writes(asked) {
				for _, id := range removedBy(e) {
					if slices.Contains(c.sources, id) {
						t.Errorf("the source %s was removed, which stays: %s", id, harness.Describe(e))
					}
				}
			}
			harness.Same(t, "how many sources the status has", len(c.sources), len(session.Status.Sources))
			w.Delete(session)
			w.Gone(session)
			harness.Same(t, "what the cloud has when the session is deleted", nil, dividedIn(w))
		})
	}
}

// readyIn waits until the session is Ready, with so many sessions in the cloud.
func readyIn(w *harness.World, session *v1alpha1.MirrorSession, sessions int) {
	harness.Until(w, session, fmt.Sprintf("Ready in %d sessions", sessions), func(s *v1alpha1.MirrorSession) bool {
		return status.IsSynced(s) && len(s.Status.Sessions) == sessions
	})
}

// removedBy are the sources that a call takes off a session.
func removedBy(e journal.Entry) (ids []string) {
	if e.Operation != "RemoveSourcesFromTrafficMirrorSession" {
		return nil
	}
	for _, id := range numbered(0, 40) {
		if strings.Contains(e.Body, id) {
			ids = append(ids, id)
		}
	}
	return ids
}

func TestPartsAreFoundByTheirMarksWhenTheStatusIsLost(t *testing.T) {
	t.Parallel()
	w := harness.New(t)
	servers(w, 30)
	first := w.Start()
	session := dividedPair(w, numbered(0, 23)...)
	want := w.Content()
	first.Stop(w)
	harness.SetStatus(w, session, &v1alpha1.MirrorSession{})
	w.Start()
	readyIn(w, session, 3)
	w.Holds(want)
	w.Delete(session)
	w.Gone(session)
	harness.Same(t, "what the cloud has when the session is deleted", nil, dividedIn(w))
}

func TestAPartThatSomebodyDeletesIsMadeAgainWithTheSourcesThatItHad(t *testing.T) {
	t.Parallel()
	w := harness.New(t)
	servers(w, 30)
	first := w.Start()
	session := dividedPair(w, numbered(0, 23)...)
	want := dividedIn(w)
	first.Stop(w) // it would wait, having seen it a moment ago
	w.Edit(func(world *state.World) { delete(world.Sessions, session.Status.Sessions[1].ID) })
	lost := session.Status.Sessions[1].ID
	w.Start()
	harness.Until(w, session, "the part is another one", func(s *v1alpha1.MirrorSession) bool { return s.Status.Sessions[1].ID != lost })
	readyIn(w, session, 3)
	harness.Same(t, "what the cloud has", want, dividedIn(w))
}

func TestAFirstPartThatSomebodyDeletesIsMadeAgainWithTheVNIOfTheOthers(t *testing.T) {
	t.Parallel()
	w := harness.New(t)
	servers(w, 30)
	first := w.Start()
	session := dividedPair(w, numbered(0, 12)...)
	harness.Change(w, session, func(s *v1alpha1.MirrorSession) { s.Spec.VNI = nil }) // what it has stays
	harness.Ready(w, session)
	want := dividedIn(w)
	first.Stop(w) // it would wait, having seen it a moment ago
	lost := session.Status.Sessions[0].ID
	w.Edit(func(world *state.World) { delete(world.Sessions, lost) })
	w.Start()
	harness.Until(w, session, "the first part is another one", func(s *v1alpha1.MirrorSession) bool {
		return status.IsSynced(s) && len(s.Status.Sessions) == 2 && s.Status.Sessions[0].ID != lost
	})
	harness.Same(t, "what the cloud has", want, dividedIn(w))
}

func TestWithoutSourcesEveryPartIsSwitchedOff(t *testing.T) {
	t.Parallel()
	w := harness.New(t)
	servers(w, 30)
	w.Start()
	session := dividedPair(w, numbered(0, 12)...)
	harness.Change(w, session, func(s *v1alpha1.MirrorSession) { s.Spec.Sources = nil })
	harness.Because(w, session, v1alpha1.ReasonNoSources, "sessions", "are switched off in the cloud")
	for _, s := range w.Cloud.State.Snapshot().Sessions {
		if s.Enabled {
			t.Errorf("the session %s is on", s.ID)
		}
	}
	harness.Change(w, session, func(s *v1alpha1.MirrorSession) { s.Spec.Sources = naming(numbered(0, 12)...) })
	readyIn(w, session, 2)
}

func TestTheTargetOfADividedSessionExchangesItsRoleWithASource(t *testing.T) {
	t.Parallel()
	w := harness.New(t)
	servers(w, 30)
	w.Start()
	session := dividedPair(w, numbered(0, 23)...)
	harness.Change(w, session, func(s *v1alpha1.MirrorSession) {
		s.Spec.Target = harness.Target(harness.ID(interfaceID(1, 15)))
		s.Spec.Sources = naming(append(slices.Concat(numbered(0, 15), numbered(16, 23)), scenario.WalkthroughTarget)...)
	})
	harness.Ready(w, session)
	total := 0
	for _, s := range w.Cloud.State.Snapshot().Sessions {
		harness.Same(t, "the target", interfaceID(1, 15), s.TargetID)
		total += len(s.Sources)
	}
	harness.Same(t, "the number of sources", 23, total)
}

func TestAPriorityThatAnotherPartHasIsLeftForTheFirst(t *testing.T) {
	t.Parallel()
	w := harness.New(t)
	servers(w, 30)
	w.Start()
	session := dividedPair(w, numbered(0, 23)...)
	harness.Change(w, session, func(s *v1alpha1.MirrorSession) { s.Spec.Priority = new(int32(6)) })
	harness.Ready(w, session)
	harness.Same(t, "what the cloud has", []divided{
		{6, 77, "1", numbered(0, 10)}, {7, 77, "3", numbered(20, 23)}, {8, 77, "2", numbered(10, 20)},
	}, dividedIn(w))
	harness.Change(w, session, func(s *v1alpha1.MirrorSession) { s.Spec.Priority = nil })
	harness.Ready(w, session)
	harness.Change(w, session, func(s *v1alpha1.MirrorSession) { s.Spec.Priority = new(int32(3)) })
	harness.Ready(w, session)
	harness.Same(t, "the priority of the first", 3, int(session.Status.Sessions[0].Priority))
}

func TestWhereTheTargetHasNoPlaceForAllPartsItIsSaidWhoHasThem(t *testing.T) {
	t.Parallel()
	w := harness.New(t)
	servers(w, 30)
	w.Edit(func(world *state.World) {
		theirs := state.Filter{ID: interfaceID(9, 0), ProjectID: scenario.WalkthroughProject, Name: "theirs"}
		world.Filters[theirs.ID] = theirs
		for n := range 9 {
			s := state.Session{
				ID: interfaceID(8, n), ProjectID: theirs.ProjectID, Name: fmt.Sprint("theirs-", n), FilterID: theirs.ID, Sources: numbered(20+n, 21+n),
				TargetID: scenario.WalkthroughTarget, TargetType: state.TargetENI, VNI: 500 + n, PacketLength: 96, Priority: 20000 + n, Enabled: true, Type: "eni",
			}
			world.Sessions[s.ID] = s
		}
	})
	w.Start()
	filter := w.Filter("many")
	w.Create(filter)
	harness.Ready(w, filter)
	session := w.Session("many", "many", func(s *v1alpha1.MirrorSession) { s.Spec.Sources = naming(numbered(0, 12)...) })
	w.Create(session)
	harness.Because(w, session, v1alpha1.ReasonQuotaExceeded)
	harness.Until(w, session, "a finding says who has the places", func(s *v1alpha1.MirrorSession) bool {
		return slices.ContainsFunc(s.Status.Findings, func(f v1alpha1.Finding) bool {
			return f.Reason == v1alpha1.ReasonQuotaExceeded &&
				strings.Contains(f.Message, "the sources need 2 sessions to 192.168.0.164, and the cloud takes 10 with those that are there: ") && strings.Contains(f.Message, "theirs-0")
		})
	})
	harness.Same(t, "how many sources are mirrored meanwhile", 10, len(session.Status.Sources))

	harness.Change(w, session, func(s *v1alpha1.MirrorSession) { s.Spec.Sources = naming(numbered(1, 11)...) })
	harness.Ready(w, session)
	harness.Same(t, "the sources", numbered(1, 11), slices.Sorted(slices.Values(session.Status.Sessions[0].Sources)))
}
