package lifecycle

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
	"pgregory.net/rapid"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/cloud"
	"vpcmirror.io/operator/controllers/credentials"
)

// looks plays how an object that ends with err each time is looked at for so long, and returns
// after which waits that was.
func looks(t *testing.T, out *outcome, of *v1alpha1.MirrorFilter, err error, during time.Duration) (waits []time.Duration) {
	t.Helper()
	for end := time.Now().Add(during); time.Now().Before(end); {
		after, result, failed := conclude(t, out, of, err)
		if failed != nil || result.RequeueAfter <= 0 {
			t.Fatalf("it is looked at again after %s (%v)", result.RequeueAfter, failed)
		}
		of = after
		waits = append(waits, result.RequeueAfter)
		<-time.After(result.RequeueAfter) // of the bubble's clock
	}
	return waits
}

func TestRetryAfterIsObeyedAndGrows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out, _ := newTestOutcome()
		waits := looks(t, out, filter(), &cloud.Error{Class: cloud.ClassThrottled, Op: "List", HTTPStatus: 429, RetryAfter: time.Second}, time.Minute)
		if len(waits) > 7 {
			t.Errorf("it is looked at %d times in the first minute, after %v", len(waits), waits)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		out, _ := newTestOutcome()
		for _, wait := range looks(t, out, filter(), &cloud.Error{Class: cloud.ClassThrottled, Op: "List", HTTPStatus: 429, RetryAfter: 5 * time.Minute}, time.Hour) {
			if wait < 5*time.Minute || wait > 6*time.Minute {
				t.Errorf("it is looked at again after %s, want what the cloud asks for", wait)
			}
		}
	})
}

func TestWhatAPersonMendsUnseenIsLookedAtAgainWithinAMinute(t *testing.T) {
	for name, err := range map[string]error{
		"a Secret that is missing":         &credentials.Error{Reason: credentials.NotFound, Message: "gone"},
		"a Secret that can't be used":      &credentials.Error{Reason: credentials.Invalid, Message: "wrong"},
		"a key that the cloud refuses":     &cloud.Error{Class: cloud.ClassAuthentication, Op: "List", HTTPStatus: 401},
		"a right that is missing":          &cloud.Error{Class: cloud.ClassPermission, Op: "List", HTTPStatus: 403},
		"an endpoint of something else":    &cloud.Error{Class: cloud.ClassUnsupported, Op: "List", HTTPStatus: 404},
		"an endpoint that does not answer": &cloud.Error{Class: cloud.ClassServer, Op: "List"},
		"another account":                  Stall(v1alpha1.ReasonAccountChanged, "moved").Probed(),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				out, _ := newTestOutcome()
				waits := looks(t, out, filter(), err, time.Hour)
				for i, wait := range waits {
					if wait > time.Minute || i > 0 && wait < waits[i-1]/2 {
						t.Errorf("look %d comes after %s, want growing waits of at most a minute: %v", i, wait, waits)
					}
				}
				if waits[0] > time.Second || waits[5] < 20*time.Second {
					t.Errorf("the waits are %v, want seconds at first and then ever more", waits)
				}
				// Another mistake begins anew: somebody is at it.
				after, result, _ := conclude(t, out, filter(), Stall("Another", "mistake").Probed())
				if result.RequeueAfter > time.Second {
					t.Errorf("after a change it is looked at again after %s: %v", result.RequeueAfter, after.Status.Conditions)
				}
			})
		})
	}
}

func TestManyObjectsThatWaitAreLookedAtOneByOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out := newOutcome(events.NewFakeRecorder(2000), 10*time.Minute)
		count := func(namespace string, objects int) (total int) {
			done := make(chan int)
			for i := range objects {
				go func() {
					f := filter()
					f.Namespace, f.UID = namespace, types.UID(fmt.Sprint(namespace, i))
					done <- len(looks(t, out, f, &cloud.Error{Class: cloud.ClassPermission, Op: "List", HTTPStatus: 403}, 10*time.Minute))
				}()
			}
			for range objects {
				total += <-done
			}
			return total
		}
		if n := count("crowded", 1000); n > 1000+looksAtOnce+600*looksPerSecond {
			t.Errorf("1000 objects are looked at %d times in 10 minutes, want one a second beside the first looks", n)
		}
		if n := count("quiet", 1); n < 10 {
			t.Errorf("an object of another namespace is looked at %d times, want about once a minute", n)
		}
	})
}

func TestGrowthIsBounded(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		bound := time.Duration(rapid.Int64Range(int64(time.Second), int64(time.Hour)).Draw(t, "bound"))
		attempt := rapid.IntRange(1, 1<<30).Draw(t, "attempt")
		if got, next := growth(attempt, bound), growth(attempt+1, bound); got < time.Second || got > bound || next < got {
			t.Fatalf("the growth is %s and then %s", got, next)
		}
	})
}
