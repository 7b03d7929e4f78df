//go:build !oldest

package integration_test

import (
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/cloud"
	"vpcmirror.io/operator/controllers/status"
	"vpcmirror.io/operator/test/cloudsim/scenario"
	"vpcmirror.io/operator/test/cloudsim/state"
	"vpcmirror.io/operator/test/integration/harness"
)

// selected is the label of a namespace that the operator's own credentials serve.
var selected = labels.Set{"vpcmirror-test": "served"}

func startWithOwn(w *harness.World) *harness.Manager {
	return w.Start(harness.WithOwnCredentials(cloud.Credentials{
		AccessKey: scenario.WalkthroughAccessKey, SecretKey: scenario.WalkthroughSecretKey,
		Region: scenario.WalkthroughRegion, ProjectID: scenario.WalkthroughProject, Endpoint: w.Cloud.URL,
	}, selected, 100*time.Millisecond))
}

// label gives the test's namespace these labels beside its own name, or takes them off.
func label(w *harness.World, set bool) {
	harness.Change(w, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: w.Namespace}}, func(n *corev1.Namespace) {
		for key, value := range selected {
			if delete(n.Labels, key); set {
				n.Labels = labels.Merge(n.Labels, labels.Set{key: value})
			}
		}
	})
}

func ownPair(w *harness.World) (*v1alpha1.MirrorFilter, *v1alpha1.MirrorSession) {
	filter := w.Filter("own", func(f *v1alpha1.MirrorFilter) { f.Spec.CredentialsRef = nil })
	session := w.Session("own", "own", func(s *v1alpha1.MirrorSession) { s.Spec.CredentialsRef = nil })
	w.Create(filter)
	w.Create(session)
	return filter, session
}

func TestTheOperatorsOwnCredentialsServeANamespaceAsLongAsItIsSelected(t *testing.T) {
	t.Parallel()
	w := harness.New(t)
	m := startWithOwn(w)
	filter, session := ownPair(w)
	words := []string{"don't serve the namespace " + w.Namespace, "name a Secret", "--own-credentials-namespaces"}
	harness.Because(w, filter, v1alpha1.ReasonCredentialsNotAllowed, words...)
	harness.Because(w, session, v1alpha1.ReasonCredentialsNotAllowed, words...)
	harness.Same(t, "what the cloud was asked", 0, len(w.Cloud.Journal.Since(0)))

	label(w, true)
	harness.Ready(w, filter)
	harness.Ready(w, session)
	want := w.Content()

	// A look that began before the manager saw the label go may still ask: what counts is from when both are refused.
	label(w, false)
	harness.Because(w, filter, v1alpha1.ReasonCredentialsNotAllowed, words...)
	harness.Because(w, session, v1alpha1.ReasonCredentialsNotAllowed, words...)
	asked := w.Cloud.Journal.Last()
	w.Delete(session)
	harness.Because(w, session, v1alpha1.ReasonCredentialsNotAllowed, "set spec.deletionPolicy to Retain")
	harness.Same(t, "what the cloud was asked then", []string{}, harness.Operations(w.Cloud.Journal.Since(asked)))
	w.Holds(want)

	label(w, true)
	w.Gone(session)
	harness.Ready(w, filter)
	m.Stop(w)
}

func TestASecretOfItsOwnServesANamespaceThatIsNotSelected(t *testing.T) {
	t.Parallel()
	w := harness.New(t)
	startWithOwn(w)
	w.Pair("with-secret")
}

func TestWithTheOperatorsOwnCredentialsNothingNamesWhatIsOfOthers(t *testing.T) {
	t.Parallel()
	const (
		foreign, foreignFilter = "5a1f0c7e-0000-4000-8000-00000f000001", "5a1f0c7e-0000-4000-8000-00000f000002"
		theirName, theirMark   = "ids-of-team-b", "[vpcmirror 0badcafe/11111111-2222-4333-8444-555555555555]"
		twin, twinsVPC         = "5a1f0c7e-0000-4000-8000-00000f000003", "5a1f0c7e-0000-4000-8000-00000f000004"
	)
	// theirs are a session of somebody else in the same account.
	theirs := func(w *harness.World, change func(*state.Session)) {
		w.Edit(func(world *state.World) {
			world.Filters[foreignFilter] = state.Filter{ID: foreignFilter, ProjectID: scenario.WalkthroughProject, Name: theirName}
			s := state.Session{
				ID: foreign, ProjectID: scenario.WalkthroughProject, Name: theirName, Description: "of team b " + theirMark,
				FilterID: foreignFilter, Sources: []string{scenario.WalkthroughTest}, TargetID: scenario.WalkthroughTarget, TargetType: state.TargetENI,
				VNI: 3, PacketLength: 96, Priority: 20000, Enabled: true, Type: "eni", CreatedAt: time.Now().Add(-time.Hour),
			}
			change(&s)
			world.Sessions[foreign] = s
		})
	}
	for name, c := range map[string]struct {
		theirs func(*state.Session)
		spec   func(*v1alpha1.MirrorSession)
		then   func(*harness.World, *v1alpha1.MirrorSession) // nil for Ready
	}{
		"a priority that they have": {
			func(s *state.Session) { s.Priority = 5 },
			func(s *v1alpha1.MirrorSession) { s.Spec.Priority = new(int32(5)) },
			func(w *harness.World, s *v1alpha1.MirrorSession) {
				harness.Because(w, s, v1alpha1.ReasonPriorityTaken, "priority 5 is already used by another session of the account")
			},
		},
		"a VNI that they have at the target": {
			func(s *state.Session) { s.VNI = 7 },
			func(s *v1alpha1.MirrorSession) { s.Spec.VNI = new(int32(7)) },
			func(w *harness.World, s *v1alpha1.MirrorSession) {
				harness.Until(w, s, "Ready, with the other named", func(s *v1alpha1.MirrorSession) bool {
					return status.IsSynced(s) && strings.Contains(meta.FindStatusCondition(s.Status.Conditions, v1alpha1.ConditionReady).Message, "which another session to this target has too")
				})
			},
		},
		"a priority after which none is free": {
			func(s *state.Session) { s.Priority, s.Sources = 32766, []string{scenario.WalkthroughSource} },
			func(*v1alpha1.MirrorSession) {},
			func(w *harness.World, s *v1alpha1.MirrorSession) {
				w.EventSays(s, "PriorityPrecedes", "no priority after that of another session is free")
			},
		},
		"an address that several interfaces have": {
			func(*state.Session) {},
			func(s *v1alpha1.MirrorSession) { s.Spec.Sources = harness.Sources(harness.At("192.168.0.230")) },
			func(w *harness.World, s *v1alpha1.MirrorSession) {
				harness.Because(w, s, v1alpha1.ReasonAmbiguousAddress, "which several interfaces have. Set spec.sources[0].address.vpcID")
			},
		},
		"a session into which somebody put their filter": {
			func(*state.Session) {},
			func(*v1alpha1.MirrorSession) {},
			func(w *harness.World, s *v1alpha1.MirrorSession) {
				harness.Ready(w, s)
				w.EditSession(s.Status.Sessions[0].ID, func(s *state.Session) { s.FilterID = foreignFilter })
				harness.ReconcileNow(w, s)
				w.EventSays(s, "DriftCorrected", "changed outside: filter is another, wanted ")
			},
		},
		"a status that names what is theirs": {
			func(*state.Session) {},
			func(*v1alpha1.MirrorSession) {},
			func(w *harness.World, s *v1alpha1.MirrorSession) {
				harness.Ready(w, s)
				w.EditSession(s.Status.Sessions[0].ID, func(s *state.Session) { s.Description = theirMark })
				harness.ReconcileNow(w, s)
				harness.Because(w, s, v1alpha1.ReasonConflict, "bears the mark of another object")
			},
		},
		"a name that is theirs": {
			func(*state.Session) {},
			func(*v1alpha1.MirrorSession) {},
			func(w *harness.World, s *v1alpha1.MirrorSession) {
				harness.Ready(w, s)
				w.EditSession(s.Status.Sessions[0].ID, func(s *state.Session) { s.Name, s.Description = theirName, "" })
				harness.ReconcileNow(w, s)
				harness.Because(w, s, v1alpha1.ReasonConflict, "bears no mark and another name than")
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := harness.New(t)
			label(w, true)
			theirs(w, c.theirs)
			if strings.HasPrefix(name, "an address") {
				w.Edit(func(world *state.World) {
					p := world.Ports[scenario.WalkthroughSource]
					p.ID, p.VPCID = twin, twinsVPC
					world.Ports[twin] = p
				})
			}
			m := startWithOwn(w)
			filter := w.Filter("own", func(f *v1alpha1.MirrorFilter) { f.Spec.CredentialsRef = nil })
			session := w.Session("own", "own", func(s *v1alpha1.MirrorSession) { s.Spec.CredentialsRef = nil }, c.spec)
			w.Create(filter)
			w.Create(session)
			c.then(w, session)
			m.EventsSent(w)
			var events eventsv1.EventList
			if err := w.Cluster.Client.List(t.Context(), &events, client.InNamespace(w.Namespace)); err != nil {
				t.Fatal(err)
			}
			shown := strings.Join(strings.Fields(harness.Text(session)+harness.Text(filter)), " ") // lines are folded
			for _, e := range events.Items {
				shown += e.Action + " " + e.Note + "\n"
			}
			for _, secret := range []string{foreign, foreignFilter, theirName, theirMark, "0badcafe", "11111111-2222", twin, twinsVPC, "32766)", scenario.WalkthroughTest} {
				if strings.Contains(shown, secret) {
					t.Errorf("status or events name %q:\n%s", secret, shown)
				}
			}
		})
	}
}
