package lifecycle_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/go-logr/logr/funcr"
	"github.com/google/go-cmp/cmp/cmpopts"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/cloud"
	"vpcmirror.io/operator/controllers/credentials"
	"vpcmirror.io/operator/controllers/inventory"
	"vpcmirror.io/operator/controllers/lifecycle"
	"vpcmirror.io/operator/controllers/plan"
	"vpcmirror.io/operator/controllers/status"
)

var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

// base is one whose clock stands at noon, and where its events go.
func base() (*lifecycle.Base, *events.FakeRecorder) {
	recorder := events.NewFakeRecorder(10)
	return &lifecycle.Base{Recorder: recorder, Clock: func() time.Time { return noon }, Resync: 10 * time.Minute}, recorder
}

func told(r *events.FakeRecorder) []string {
	var all []string
	for {
		select {
		case e := <-r.Events:
			all = append(all, e)
		default:
			return all
		}
	}
}

func filter() *v1alpha1.MirrorFilter {
	return &v1alpha1.MirrorFilter{ObjectMeta: metav1.ObjectMeta{Namespace: "n", Name: "f", UID: "u", Generation: 3}}
}

// conclude has a look at before end with err and returns the object afterwards.
func conclude(t *testing.T, b *lifecycle.Base, before *v1alpha1.MirrorFilter, err error) (*v1alpha1.MirrorFilter, ctrl.Result, error) {
	t.Helper()
	after := before.DeepCopy()
	result, err := b.Conclude(t.Context(), before, after, err, "all is there")
	return after, result, err
}

func TestALookEndsInConditionsAnEventAndTheTimeOfTheNext(t *testing.T) {
	busy := &cloud.Error{Class: cloud.ClassThrottled, Op: "List", RetryAfter: 10 * time.Second}
	broken := &cloud.Error{Class: cloud.ClassServer, Op: "List", Message: "503"}
	for name, c := range map[string]struct {
		err        error
		conditions []metav1.Condition
		events     []string
		after      time.Duration // up to a tenth more
		again      error
	}{
		"synced": {
			nil, []metav1.Condition{{Type: "Ready", Status: "True", Reason: "Synced", Message: "all is there"}},
			[]string{"Normal Synced all is there"}, 10 * time.Minute, nil,
		},
		"waiting for something that is watched": {
			lifecycle.Wait("FilterNotReady", "not yet"), []metav1.Condition{
				{Type: "Ready", Status: "False", Reason: "FilterNotReady", Message: "not yet"},
				{Type: "Reconciling", Status: "True", Reason: "FilterNotReady", Message: "not yet"},
			}, []string{"Normal FilterNotReady not yet"}, 10 * time.Minute, nil,
		},
		"stalled": {
			lifecycle.Stall("NoSources", "name one"), []metav1.Condition{
				{Type: "Ready", Status: "False", Reason: "NoSources", Message: "name one"},
				{Type: "Stalled", Status: "True", Reason: "NoSources", Message: "name one"},
			}, []string{"Warning NoSources name one"}, 10 * time.Minute, nil,
		},
		"throttled": {
			busy, []metav1.Condition{
				{Type: "Ready", Status: "False", Reason: "Throttled", Message: "List: Throttled"},
				{Type: "Reconciling", Status: "True", Reason: "Throttled", Message: "List: Throttled"},
			}, []string{"Normal Throttled List: Throttled"}, 10 * time.Second, nil,
		},
		"a fault": {
			broken, []metav1.Condition{
				{Type: "Ready", Status: "False", Reason: "CloudUnavailable", Message: "List: 503"},
				{Type: "Reconciling", Status: "True", Reason: "CloudUnavailable", Message: "List: 503"},
			}, []string{"Warning CloudUnavailable List: 503"}, 0, broken,
		},
		"an error of the API server": {context.Canceled, nil, nil, 0, context.Canceled},
	} {
		t.Run(name, func(t *testing.T) {
			b, recorder := base()
			for i := range c.conditions {
				c.conditions[i].ObservedGeneration = 3
			}
			after, result, err := conclude(t, b, filter(), c.err)
			same(t, "the conditions", c.conditions, after.Status.Conditions, cmpopts.IgnoreFields(metav1.Condition{}, "LastTransitionTime"))
			same(t, "the events", c.events, told(recorder))
			if result.RequeueAfter < c.after || result.RequeueAfter > c.after+c.after/10+1 {
				t.Errorf("the next look is after %s, want %s or up to a tenth more", result.RequeueAfter, c.after)
			}
			if !errors.Is(err, c.again) || c.again == nil && err != nil {
				t.Errorf("the error for the queue is %v, want %v", err, c.again)
			}
			if err == nil {
				// A second look that ends alike tells nothing new.
				again, _, _ := conclude(t, b, after, c.err)
				same(t, "the object after a second look", after, again)
				same(t, "the events of a second look", nil, told(recorder))
			}
		})
	}
}

func TestANewRequestIDAloneIsNoNews(t *testing.T) {
	b, recorder := base()
	failed := func(message, request string) error {
		return &cloud.Error{Class: cloud.ClassPermission, Op: "List", HTTPStatus: 403, Message: message, RequestID: request}
	}
	first, _, _ := conclude(t, b, filter(), failed("frozen", "r1"))
	second, _, _ := conclude(t, b, first, failed("frozen", "r2"))
	same(t, "the object", first, second)
	third, _, _ := conclude(t, b, second, failed("in arrears", "r3"))
	same(t, "another message", "List: 403: in arrears (request r3)", third.Status.Conditions[0].Message)
	same(t, "the events", []string{"Warning PermissionDenied List: 403: frozen (request r1)"}, told(recorder))
}

func TestTheLogSaysOnceWhatNoEventTells(t *testing.T) {
	var lines []string
	ctx := log.IntoContext(t.Context(), funcr.New(func(_, args string) { lines = append(lines, args) }, funcr.Options{}))
	b, recorder := base()
	look := func(b *lifecycle.Base, before *v1alpha1.MirrorFilter, message string) *v1alpha1.MirrorFilter {
		after := before.DeepCopy()
		if _, err := b.Conclude(ctx, before, after, lifecycle.Wait("FilterNotReady", "%s", message), ""); err != nil {
			t.Fatal(err)
		}
		return after
	}
	line := func(message string) string {
		return fmt.Sprintf(`"level"=0 "msg"="Not synced" "reason"="FilterNotReady" "message"=%q`, message)
	}
	f := look(b, filter(), "not yet")
	same(t, "the log after a look that an event tells of", nil, lines)
	f = look(b, f, "not yet")
	same(t, "the log after another look", nil, lines)
	f = look(b, f, "nor now")
	f = look(b, f, "nor now")
	same(t, "the log after looks with another message", []string{line("nor now")}, lines)

	lines = nil
	next, _ := base()
	f = look(next, f, "nor now")
	look(next, f, "nor now")
	same(t, "the log of the next leader", []string{line("nor now")}, lines)
	same(t, "the events", []string{"Normal FilterNotReady not yet"}, told(recorder))
}

func TestAPokeIsEchoedOnceSomebodyLooked(t *testing.T) {
	b, _ := base()
	f := filter()
	same(t, "without a request", false, lifecycle.Poked(f))
	f.Annotations = map[string]string{v1alpha1.ReconcileRequestedAnnotation: strings.Repeat("字", 200)}
	same(t, "with a request", true, lifecycle.Poked(f))
	after, _, _ := conclude(t, b, f, errors.New("the API server is away"))
	same(t, "after a look that did not come to the cloud", true, lifecycle.Poked(after))
	after, _, _ = conclude(t, b, f, lifecycle.Wait("FilterNotReady", ""))
	same(t, "after a look", false, lifecycle.Poked(after))
	same(t, "the echo", strings.Repeat("字", 128), after.Status.LastHandledReconcileAt)
}

func TestAnAnswerMayBeAsOldAsTheResyncIntervalOnlyInTheSteadyState(t *testing.T) {
	b, _ := base()
	f := filter()
	same(t, "before the first look", noon, b.FreshSince(f))
	status.Synced(f, "")
	same(t, "once synced", noon.Add(-10*time.Minute), b.FreshSince(f))
	f.Annotations = map[string]string{v1alpha1.ReconcileRequestedAnnotation: "now"}
	same(t, "when poked", noon, b.FreshSince(f))
	lifecycle.Handled(f)
	f.Generation++
	same(t, "when the spec changed", noon, b.FreshSince(f))
}

func TestAListForAnEarlierCreationBeginsAfterTheLastAttempt(t *testing.T) {
	b, _ := base()
	now := noon
	b.Clock = func() time.Time { return now }
	type since struct {
		Since      time.Time
		Conclusive bool
	}
	look := func(o status.Object) since {
		at, conclusive := b.Since(o)
		return since{at, conclusive}
	}
	f, other := filter(), filter()
	other.UID = "other"
	same(t, "without an attempt", since{time.Time{}, true}, look(f))
	b.Attempt(f)
	same(t, "after one without an answer", since{noon.Add(1), false}, look(f))
	same(t, "for another object", since{time.Time{}, true}, look(other))
	same(t, "for numbers that all share", noon.Add(1), b.NotBeforeAny())
	now = noon.Add(inventory.Lag)
	same(t, "once reads can't lag any more", since{now, true}, look(f))

	now = noon
	same(t, "the error of a refusal", error(errRefused), b.Attempted(f, errRefused), cmpopts.EquateErrors())
	same(t, "after a refusal", since{noon.Add(1), false}, look(f))
	now = noon.Add(1)
	same(t, "a moment after a refusal", since{noon.Add(1), true}, look(f))
	b.Stored(f)
	same(t, "once the ID is stored", since{time.Time{}, true}, look(f))
	same(t, "for numbers, once all IDs are stored", time.Time{}, b.NotBeforeAny())

	now = noon
	lifecycle.Bind(other, cloud.Account{Region: "r"})
	same(t, "of an object that another manager may have created", since{noon.Add(1), false}, look(other))
}

func TestWhileACreateIsInDoubtTheStatusSaysWhy(t *testing.T) {
	b, _ := base()
	f := filter()
	same(t, "for an object without a status", &lifecycle.Problem{
		Reason: v1alpha1.ReasonProgressing, Retry: true,
		Message: "an earlier create may have taken effect without an answer: looking for what it made before creating again",
	}, lifecycle.Diagnose(b.Unsure(f)))
	status.Waiting(f, v1alpha1.ReasonCloudUnavailable, "503")
	same(t, "after a fault", &lifecycle.Problem{Reason: v1alpha1.ReasonCloudUnavailable, Message: "503", Retry: true}, lifecycle.Diagnose(b.Unsure(f)))
	status.Stalled(f, v1alpha1.ReasonPermissionDenied, "403")
	same(t, "after a refusal, and a restart",
		&lifecycle.Problem{Reason: v1alpha1.ReasonPermissionDenied, Message: "403", Retry: true, Stalled: true}, lifecycle.Diagnose(b.Unsure(f)))
}

var errRefused = &cloud.Error{Class: cloud.ClassInvalid}

func TestAnEventFitsTheAPIServersBounds(t *testing.T) {
	b, recorder := base()
	b.Event(filter(), "Normal", "Found", "Create", "%s", strings.Repeat("字", 1000))
	note := strings.TrimPrefix(told(recorder)[0], "Normal Found ")
	if len(note) > 1024 || !utf8.ValidString(note) || !strings.HasSuffix(note, "字 ...") {
		t.Errorf("the note has %d bytes and ends in %q", len(note), note[len(note)-10:])
	}
	same(t, "the action of an event about drift", "Restore vni, rules[Ingress 1].protocol",
		lifecycle.Restoring([]plan.Change{{Field: "vni"}, {Field: "rules[Ingress 1].protocol"}}))
	long := make([]plan.Change, 100)
	for i := range long {
		long[i].Field = "packetLength"
	}
	same(t, "its length", 128, len(lifecycle.Restoring(long)))
}

// secrets gives clients as it is told.
type secrets struct {
	client cloud.Client
	err    error
}

func (s *secrets) ClientFor(context.Context, string, *v1alpha1.CloudSpec) (cloud.Client, error) {
	return s.client, s.err
}

// place is a client that only tells where it works.
type place struct {
	cloud.Client
	account cloud.Account
}

func (p place) Account() cloud.Account { return p.account }

func TestConnect(t *testing.T) {
	here := place{account: cloud.Account{Region: "r", ProjectID: "p", Endpoint: "https://a"}}
	there := place{account: cloud.Account{Region: "r", ProjectID: "q", Endpoint: "https://a"}}
	gone := &credentials.Error{Reason: credentials.NotFound, Message: "gone"}
	deleting := func() *v1alpha1.MirrorFilter {
		f := filter()
		f.DeletionTimestamp = new(metav1.NewTime(noon))
		return f
	}
	b, _ := base()
	s := &secrets{client: here}
	b.Clients = s

	bound := filter()
	lifecycle.Bind(bound, here.account)
	got, err := b.Connect(t.Context(), bound)
	same(t, "the client", cloud.Client(here), got, cmpopts.EquateComparable(place{}))
	same(t, "the error", error(nil), err)

	t.Run("another account is refused and both are named", func(t *testing.T) {
		s.client = there
		_, err := b.Connect(t.Context(), bound)
		same(t, "the problem", &lifecycle.Problem{
			Reason: v1alpha1.ReasonAccountChanged, Stalled: true,
			Message: "the object lives in project p of region r at https://a, but its credentials are now for project q of region r at https://a: " +
				"nothing was touched. Restore the old credentials, or delete the object with them and create it anew",
		}, lifecycle.Diagnose(err))
		s.client = here
	})
	s.err = gone
	t.Run("an object that lives on needs its Secret", func(t *testing.T) {
		if _, err := b.Connect(t.Context(), bound); !errors.Is(err, gone) {
			t.Errorf("the error is %v, want %v", err, gone)
		}
	})
	t.Run("an object that is being deleted is served with the client of before", func(t *testing.T) {
		got, err := b.Connect(t.Context(), deleting())
		same(t, "the client", cloud.Client(here), got, cmpopts.EquateComparable(place{}))
		same(t, "the error", error(nil), err)
	})
	t.Run("an object that never had a client is not", func(t *testing.T) {
		f := deleting()
		f.UID = types.UID("other")
		if _, err := b.Connect(t.Context(), f); !errors.Is(err, gone) {
			t.Errorf("the error is %v, want %v", err, gone)
		}
	})
	t.Run("credentials that are wrong are not covered up", func(t *testing.T) {
		s.err = &credentials.Error{Reason: credentials.Invalid, Message: "wrong"}
		if _, err := b.Connect(t.Context(), deleting()); !errors.Is(err, s.err) {
			t.Errorf("the error is %v, want %v", err, s.err)
		}
	})
}
