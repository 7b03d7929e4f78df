package lab

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestChangesPassInOrderEachAfterItsDelay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		type passed struct {
			Value int
			At    time.Duration
		}
		var got []passed
		began := time.Now()
		p := &pipeline[int]{pass: func(v int) { got = append(got, passed{v, time.Since(began)}) }}
		p.put(1, 0)
		p.put(2, 5*time.Second)
		p.put(3, time.Second) // does not overtake
		p.put(4, 0)
		<-time.After(2 * time.Second)
		p.put(5, 4*time.Second)
		<-time.After(10 * time.Second)
		p.put(6, 0)
		p.put(7, time.Second)
		p.close()
		p.put(8, 0)
		<-time.After(time.Minute)
		synctest.Wait()
		want := []passed{{1, 0}, {2, 5 * time.Second}, {3, 5 * time.Second}, {4, 5 * time.Second}, {5, 6 * time.Second}, {6, 12 * time.Second}}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}
