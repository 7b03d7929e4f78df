package lifecycle

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
	"vpcmirror.io/operator/controllers/plan"
)

// newTestOutcome returns one with a resync interval of 10 minutes, and where its events go.
func newTestOutcome() (*outcome, *events.FakeRecorder) {
	recorder := events.NewFakeRecorder(10)
	return newOutcome(recorder, 10*time.Minute), recorder
}

func eventsOf(r *events.FakeRecorder) []string {
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

// conclude ends a reconcile of before with err and returns the object afterwards.
func conclude(t *testing.T, c *outcome, before *v1alpha1.MirrorFilter, err error) (*v1alpha1.MirrorFilter, ctrl.Result, error) {
	t.Helper()
	after := before.DeepCopy()
	result, err := c.conclude(t.Context(), before, after, err, "all is there")
	return after, result, err
}

func TestAReconcileEndsInConditionsAnEventAndTheTimeOfTheNext(t *testing.T) {
	busy := &cloud.Error{Class: cloud.ClassThrottled, Op: "List", HTTPStatus: 429, RetryAfter: 10 * time.Second}
	inUse := &cloud.Error{Class: cloud.ClassConflict, Op: "Delete", Message: "in use"}
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
			Wait("FilterNotReady", "not yet"), []metav1.Condition{
				{Type: "Ready", Status: "False", Reason: "FilterNotReady", Message: "not yet"},
				{Type: "Reconciling", Status: "True", Reason: "FilterNotReady", Message: "not yet"},
			}, []string{"Normal FilterNotReady not yet"}, 10 * time.Minute, nil,
		},
		"waiting for somebody to help": {
			Wait("PriorityTaken", "another has it"), []metav1.Condition{
				{Type: "Ready", Status: "False", Reason: "PriorityTaken", Message: "another has it"},
				{Type: "Reconciling", Status: "True", Reason: "PriorityTaken", Message: "another has it"},
			}, []string{"Warning PriorityTaken another has it"}, 10 * time.Minute, nil,
		},
		"stalled": {
			Stall("NoSources", "name one"), []metav1.Condition{
				{Type: "Ready", Status: "False", Reason: "NoSources", Message: "name one"},
				{Type: "Stalled", Status: "True", Reason: "NoSources", Message: "name one"},
			}, []string{"Warning NoSources name one"}, 10 * time.Minute, nil,
		},
		"throttled": {
			busy, []metav1.Condition{
				{Type: "Ready", Status: "False", Reason: "Throttled", Message: "List: 429: Throttled"},
				{Type: "Reconciling", Status: "True", Reason: "Throttled", Message: "List: 429: Throttled"},
			}, []string{"Normal Throttled List: 429: Throttled"}, 10 * time.Second, nil,
		},
		"a conflict": {
			inUse, []metav1.Condition{
				{Type: "Ready", Status: "False", Reason: "Conflict", Message: "Delete: in use"},
				{Type: "Reconciling", Status: "True", Reason: "Conflict", Message: "Delete: in use"},
			}, []string{"Warning Conflict Delete: in use"}, 0, inUse,
		},
		"an error of the API server": {context.Canceled, nil, nil, 0, context.Canceled},
	} {
		t.Run(name, func(t *testing.T) {
			out, recorder := newTestOutcome()
			for i := range c.conditions {
				c.conditions[i].ObservedGeneration = 3
			}
			after, result, err := conclude(t, out, filter(), c.err)
			same(t, "the conditions", c.conditions, after.Status.Conditions, cmpopts.IgnoreFields(metav1.Condition{}, "LastTransitionTime"))
			same(t, "the events", c.events, eventsOf(recorder))
			least := c.after
			if c.after == out.resync { // each object has its own moment for that
				least = c.after / 10
			}
			if result.RequeueAfter < least || result.RequeueAfter > c.after+c.after/10+1 {
				t.Errorf("the next reconcile is after %s, want %s to %s or up to a tenth more", result.RequeueAfter, least, c.after)
			}
			if !errors.Is(err, c.again) || c.again == nil && err != nil {
				t.Errorf("the error for the queue is %v, want %v", err, c.again)
			}
			if err == nil {
				// A second reconcile that ends alike is no news.
				again, _, _ := conclude(t, out, after, c.err)
				same(t, "the object after a second one", after, again)
				same(t, "the events of a second one", nil, eventsOf(recorder))
			}
		})
	}
}

// A process that begins looks at all that there are as fast as it can.
func TestWhatIsComparedTogetherIsSpreadOverTheNextIntervalAndEachComesOnceInEvery(t *testing.T) {
	const all, interval = 20000, 10 * time.Minute
	began := time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)
	inMinute := map[int]int{}
	for i := range all {
		uid := types.UID(fmt.Sprintf("0f3c2b1a-0000-4000-8000-%012d", i))
		in := untilResync(uid, began, interval)
		if in < interval/10 || in > interval+interval/10 {
			t.Fatalf("%s comes after %s", uid, in)
		}
		inMinute[int(in/time.Minute)]++
		if again := untilResync(uid, began.Add(in), interval); again != interval {
			t.Fatalf("%s comes again after %s", uid, again)
		}
		// What was looked at in between, as after an edit, keeps its moment.
		if rest := untilResync(uid, began.Add(in/3), interval); in-in/3 >= interval/10 && rest%interval != (in-in/3)%interval {
			t.Fatalf("%s comes %s after a look in between, want %s", uid, rest, in-in/3)
		}
	}
	for minute, n := range inMinute {
		if n > all/10*11/10 {
			t.Errorf("%d of them come in minute %d", n, minute)
		}
	}
}

func TestWhatDiffersAtEachAttemptIsInTheLogAlone(t *testing.T) {
	var lines []string
	ctx := log.IntoContext(t.Context(), funcr.New(func(_, args string) { lines = append(lines, args) }, funcr.Options{}))
	out, recorder := newTestOutcome()
	fail := func(before *v1alpha1.MirrorFilter, message, request, detail string) *v1alpha1.MirrorFilter {
		after := before.DeepCopy()
		err := &cloud.Error{Class: cloud.ClassPermission, Op: "List", HTTPStatus: 403, Message: message, RequestID: request, Detail: detail}
		if _, err := out.conclude(ctx, before, after, err, ""); err != nil {
			t.Fatal(err)
		}
		return after
	}
	first := fail(filter(), "frozen", "r1", "127.0.0.1:1")
	second := fail(first, "frozen", "r2", "127.0.0.1:2")
	same(t, "the object", first, second)
	third := fail(second, "in arrears", "r3", "")
	same(t, "another message", "List: 403: in arrears", third.Status.Conditions[0].Message)
	same(t, "the events", []string{"Warning PermissionDenied List: 403: frozen"}, eventsOf(recorder))
	same(t, "the log", []string{
		`"level"=0 "msg"="Not synced" "type"="Warning" "reason"="PermissionDenied" "requestID"="r1" "detail"="127.0.0.1:1" "message"="List: 403: frozen"`,
		`"level"=0 "msg"="Not synced" "type"="Warning" "reason"="PermissionDenied" "requestID"="r3" "message"="List: 403: in arrears"`,
	}, lines)
}

func TestOurOwnLimiterIsNoNewsOfAnObjectThatFails(t *testing.T) {
	out, recorder := newTestOutcome()
	first, _, _ := conclude(t, out, filter(), Stall("NoSources", "name one"))
	held := &cloud.Error{Class: cloud.ClassThrottled, Op: "List", Unsent: true, RetryAfter: 3 * time.Second, Message: "used up"}
	second, result, err := conclude(t, out, first, held)
	same(t, "the object", first, second)
	if err != nil || result.RequeueAfter < 3*time.Second || result.RequeueAfter > 4*time.Second {
		t.Errorf("the next reconcile is after %s (%v), want about 3s", result.RequeueAfter, err)
	}
	same(t, "the events", []string{"Warning NoSources name one"}, eventsOf(recorder))
}

func TestTheLogSaysOnceWhatIsWrong(t *testing.T) {
	var lines []string
	ctx := log.IntoContext(t.Context(), funcr.New(func(_, args string) { lines = append(lines, args) }, funcr.Options{}))
	out, recorder := newTestOutcome()
	wait := func(c *outcome, before *v1alpha1.MirrorFilter, message string) *v1alpha1.MirrorFilter {
		after := before.DeepCopy()
		if _, err := c.conclude(ctx, before, after, Wait("FilterNotReady", "%s", message), ""); err != nil {
			t.Fatal(err)
		}
		return after
	}
	line := func(message string) string {
		return fmt.Sprintf(`"level"=0 "msg"="Not synced" "type"="Normal" "reason"="FilterNotReady" "message"=%q`, message)
	}
	f := wait(out, filter(), "not yet")
	same(t, "the log after one that has an event", []string{line("not yet")}, lines)
	f = wait(out, f, "not yet")
	f = wait(out, f, "nor now")
	f = wait(out, f, "nor now")
	same(t, "the log after another message", []string{line("not yet"), line("nor now")}, lines)

	lines = nil
	next, _ := newTestOutcome()
	f = wait(next, f, "nor now")
	wait(next, f, "nor now")
	same(t, "the log of the next leader", []string{line("nor now")}, lines)
	same(t, "the events", []string{"Normal FilterNotReady not yet"}, eventsOf(recorder))
}

func TestAnEventFitsTheAPIServersBounds(t *testing.T) {
	out, recorder := newTestOutcome()
	out.event(filter(), "Normal", "Found", "Create", "%s", strings.Repeat("字", 1000))
	note := strings.TrimPrefix(eventsOf(recorder)[0], "Normal Found ")
	if len(note) > 1024 || !utf8.ValidString(note) || !strings.HasSuffix(note, "字 ...") {
		t.Errorf("the note has %d bytes and ends in %q", len(note), note[len(note)-10:])
	}
	same(t, "the action of an event about drift", "Restore vni, rules[Ingress 1].protocol",
		Restoring([]plan.Change{{Field: "vni"}, {Field: "rules[Ingress 1].protocol"}}))
	long := make([]plan.Change, 100)
	for i := range long {
		long[i].Field = "packetLength"
	}
	same(t, "its length", 128, len(Restoring(long)))
}
