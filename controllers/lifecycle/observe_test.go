package lifecycle

import (
	"context"
	"fmt"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"vpcmirror.io/operator/api/v1alpha1"
)

// observing is a kind whose objects say what this does to their status.
type observing struct {
	Kind // no other method may be called

	observe func() time.Duration
}

func (o observing) Observe(context.Context) time.Duration { return o.observe() }

// A turn to store numbers that have moved on is for whoever has some: thousands may be looked at that have none.
func TestAnObjectOfWhichNothingIsNewTakesNoTurnToBeStored(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	services := &Services{Options: Options{Clock: func() time.Time { return now }}}
	look := func(uid types.UID, more int64) time.Duration {
		first := metav1.NewTime(now)
		session := &v1alpha1.MirrorSession{ObjectMeta: metav1.ObjectMeta{UID: uid}}
		session.Status.Traffic = &v1alpha1.Traffic{Counts: v1alpha1.Counts{Packets: 1}, FirstPacketAt: &first}
		s := &Scope{Services: services, Stored: session, Object: session.DeepCopy()}
		again, err := s.observe(t.Context(), observing{observe: func() time.Duration {
			s.Object.(*v1alpha1.MirrorSession).Status.Traffic.Packets += more
			return time.Hour
		}})
		if err != nil {
			t.Fatal(err)
		}
		return again
	}
	for n := range 1000 {
		if again := look(types.UID(fmt.Sprint("quiet-", n)), 0); again != time.Hour {
			t.Fatalf("one of which nothing is new comes again after %s, want what it asked for", again)
		}
	}
	services.sums.Wait("another", now)
	for n := range v1alpha1.ClusterReportsPerSecond {
		services.sums.Wait(types.UID(fmt.Sprint("moved-", n)), now)
	}
	if again := look("moved", 1); again <= 0 || again > time.Second {
		t.Errorf("one whose numbers have moved on, after a second's worth of others, comes again after %s, want within a second", again)
	}
}
