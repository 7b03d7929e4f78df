package lifecycle

import (
	"context"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/utils/lru"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/cloud"
	"vpcmirror.io/operator/controllers/plan"
	"vpcmirror.io/operator/controllers/status"
	"vpcmirror.io/operator/controllers/tracing"
)

// outcome turns how a reconcile ended into conditions, an event or a line of the log, and
// the time of the next one.
type outcome struct {
	recorder events.EventRecorder
	resync   time.Duration
	patience *patience

	mu sync.Mutex
	// logged is what the log has of why an object is not synced, a string by UID. Of an
	// object without our finalizers nobody says when it is gone, so old ones go by themselves.
	logged *lru.Cache
}

// remembered is of how many objects is remembered how they ended.
const remembered = 20000

func newOutcome(recorder events.EventRecorder, resync time.Duration) *outcome {
	return &outcome{recorder: recorder, resync: resync, patience: newPatience(), logged: lru.New(remembered)}
}

// conclude sets the conditions of o, which was before when the reconcile began and ended
// with err; synced is the message of Ready when it ended well. The status is not stored.
func (c *outcome) conclude(ctx context.Context, before, o status.Object, err error, synced string) (ctrl.Result, error) {
	if err == nil {
		handled(o)
		status.Synced(o, synced)
		if c.transition(before, o, corev1.EventTypeNormal) {
			log.FromContext(ctx).Info(synced, "type", corev1.EventTypeNormal, "reason", v1alpha1.ReasonSynced)
		}
		c.forget(o.GetUID())
		return c.later(o, 0), nil
	}
	p := Diagnose(err)
	if p == nil || ctx.Err() != nil {
		// The API server's fault, or the manager stops in the middle: neither says
		// anything about the object.
		return ctrl.Result{}, err
	}
	handled(o)
	if was := readyOf(before); queued(err) && was != nil && was.ObservedGeneration == o.GetGeneration() {
		return c.later(o, p.After), nil // what Ready says is still so
	}
	if p.Stalled {
		status.Stalled(o, p.Reason, p.Message)
	} else {
		status.Waiting(o, p.Reason, p.Message)
	}
	c.tell(ctx, before, o, p, err)
	switch {
	case p.Within > 0:
		return ctrl.Result{RequeueAfter: c.patience.next(o, p, c.resync)}, nil
	case p.Retry:
		return ctrl.Result{}, err
	default:
		return c.later(o, p.After), nil
	}
}

// tell makes a line of the log of a problem, and an event where it is another one than the status has. What
// differs at each attempt, and so must not stand in a status, is in the log: the API server forgets events after
// an hour, and whoever looks for the cause of a fault has the log of the night.
func (c *outcome) tell(ctx context.Context, before, o status.Object, p *Problem, err error) {
	kind := corev1.EventTypeWarning
	if !p.Stalled && !p.Retry && v1alpha1.GoesOnByItself(p.Reason) {
		kind = corev1.EventTypeNormal
	}
	// A status that can't be stored would have the same transition each time.
	news := c.isNews(o.GetUID(), p.Reason+": "+p.Message)
	values := []any{"type", kind, "reason", p.Reason}
	if id := cloud.RequestIDOf(err); id != "" {
		values = append(values, tracing.RequestIDKey, id)
	}
	if detail := cloud.DetailOf(err); detail != "" {
		values = append(values, "detail", detail)
	}
	if news {
		c.transition(before, o, kind)
		log.FromContext(ctx).Info("Not synced", append(values, "message", p.Message)...)
	} else {
		log.FromContext(ctx).V(1).Info("Still not synced", values...)
	}
	tracing.Problem(ctx, p.Reason, err, kind == corev1.EventTypeWarning)
}

// isNews notes what the log has of an object, and reports whether that is new.
func (c *outcome) isNews(uid types.UID, text string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	was, _ := c.logged.Get(uid)
	c.logged.Add(uid, text)
	return was != text
}

func (c *outcome) forget(uid types.UID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.logged.Remove(uid)
	c.patience.forget(uid)
}

// transition makes an event when the reason or the status of Ready changed, and reports
// whether it did.
func (c *outcome) transition(before, o status.Object, kind string) bool {
	was, is := readyOf(before), readyOf(o)
	if is == nil || (was != nil && was.Reason == is.Reason && was.Status == is.Status) {
		return false
	}
	c.event(o, kind, is.Reason, "Reconcile", "%s", is.Message)
	return true
}

func readyOf(o status.Object) *metav1.Condition {
	return meta.FindStatusCondition(o.Common().Conditions, v1alpha1.ConditionReady)
}

// The API server's bounds for an event's note, in bytes, and action.
const (
	maxNote   = 1024
	maxAction = 128
)

// event makes an event and returns its note.
func (c *outcome) event(o client.Object, kind, reason, action, format string, args ...any) string {
	note := fmt.Sprintf(format, args...)
	if len(note) > maxNote {
		note = strings.ToValidUTF8(note[:maxNote-4], "") + " ..."
	}
	c.recorder.Eventf(o, nil, kind, reason, v1alpha1.FitASCII(action, maxAction), "%s", note)
	return note
}

// Summary is what differs, in one sentence. With the operator's own credentials it does not name the
// things of the cloud that stand in place of what is wanted: they can be somebody else's.
func (s *Scope) Summary(changes []plan.Change) string {
	if SharesAccount(s.Object) {
		changes = slices.Clone(changes)
		for i := range changes {
			if c := &changes[i]; c.Have != "" && slices.Contains([]string{"filter", "target", "sources"}, c.Field) {
				c.Have = "another"
			}
		}
	}
	return plan.Summary(changes)
}

// Restoring is the action of an event about drift. It names the fields, because events
// of an unchanged object with the same reason and action are folded into the first of
// them, whatever their notes say (client-go, package events).
func Restoring(changes []plan.Change) string {
	fields := make([]string, 0, len(changes))
	for _, c := range changes {
		fields = append(fields, c.Field)
	}
	return v1alpha1.FitASCII("Restore "+strings.Join(fields, ", "), maxAction)
}

// Untold is the error of a reconcile where no condition of the object tells it.
func Untold(o status.Object, err error) error {
	if c := readyOf(o); err != nil && c != nil && c.Status != metav1.ConditionTrue && c.ObservedGeneration == o.GetGeneration() {
		return nil
	}
	return err
}

// later requeues after the given time, up to 10 % later, so that objects made together don't stay
// together; or at the object's resync when that is zero.
func (c *outcome) later(o status.Object, after time.Duration) ctrl.Result {
	if after <= 0 {
		return ctrl.Result{RequeueAfter: untilResync(o.GetUID(), time.Now(), c.resync)}
	}
	return ctrl.Result{RequeueAfter: after + rand.N(after/10+1)}
}

// untilResync is after how long an object is compared again when nothing happens. Each has its own
// moment in every interval, so that thousands which were made at once, or which a process that begins
// looks at one after the other, are spread over all of it at once and for good. What was compared
// shortly before its moment waits for the next one: at most a tenth longer than the interval.
func untilResync(uid types.UID, now time.Time, interval time.Duration) time.Duration {
	hash := fnv.New64a()
	_, _ = hash.Write([]byte(uid)) // it never fails
	moment := time.Duration(hash.Sum64() % uint64(interval))
	passed := (time.Duration(now.UnixNano()%int64(interval)) - moment + interval) % interval
	if in := interval - passed; in >= interval/10 {
		return in
	}
	return 2*interval - passed
}

// Backoff is the growing delay between failed reconciles of one object: 1 s to 2 min.
func Backoff() workqueue.TypedRateLimiter[ctrl.Request] {
	return workqueue.NewTypedItemExponentialFailureRateLimiter[ctrl.Request](time.Second, 2*time.Minute)
}
