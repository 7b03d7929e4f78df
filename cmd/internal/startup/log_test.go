package startup

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

func TestTheLogIsSilentAboutEventsInANamespaceThatGoesAndNothingElse(t *testing.T) {
	ending := apierrors.NewForbidden(schema.GroupResource{Group: "events.k8s.io", Resource: "events"}, "e", errors.New("being terminated"))
	ending.ErrStatus.Details.Causes = []metav1.StatusCause{{Type: corev1.NamespaceTerminatingCause}}
	const rejected = "Server rejected event (will not retry!)"
	var out bytes.Buffer
	log := (&logOptions{level: "info", encoding: "json"}).logger(&out).WithName("events").WithValues("k", "v")
	log.Error(ending, rejected)
	if out.Len() > 0 {
		t.Errorf("it says %s", out.String())
	}
	log.Error(ending, "store the status")
	log.Error(errors.New("forbidden"), rejected)
	log.Info("hello")
	if lines := strings.Count(out.String(), "\n"); lines != 3 {
		t.Errorf("3 other lines were logged, %d came out:\n%s", lines, out.String())
	}
}

func TestALeaderThatGivesUpItsLeaseBecauseItStopsIsNoError(t *testing.T) {
	lost := errors.New("leader election lost")
	const stopping = "error received after stop sequence was engaged"
	var out bytes.Buffer
	log := (&logOptions{level: "info", encoding: "json"}).logger(&out)
	log.Error(lost, stopping)
	if out.Len() > 0 {
		t.Errorf("it says %s", out.String())
	}
	log.Error(lost, "problem running manager") // it did not stop by itself
	log.Error(errors.New("a server did not end"), stopping)
	log.Error(nil, stopping)
	if lines := strings.Count(out.String(), `"level":"ERROR"`); lines != 3 {
		t.Errorf("3 errors were logged, %d came out:\n%s", lines, out.String())
	}
}

// none is an error that says of itself that it is none.
type none struct{ error }

func (none) Expected() bool { return true }

func TestWhatALibraryCallsAnErrorAndIsNoneIsADecision(t *testing.T) {
	for name, c := range map[string]struct {
		err  error
		want string // the level in the log, empty for no line
	}{
		"a fault":                 {errors.New("broken"), "ERROR"},
		"no error at all":         {nil, "ERROR"},
		"one that says it":        {none{errors.New("another was faster")}, "DEBUG"},
		"one around it":           {fmt.Errorf("get the lease: %w", none{errors.New("another was faster")}), "DEBUG"},
		"the end of who asked":    {fmt.Errorf("list nodes: %w", context.Canceled), "DEBUG"},
		"a deadline, which is no": {context.DeadlineExceeded, "ERROR"},
	} {
		t.Run(name, func(t *testing.T) {
			var shown, hidden bytes.Buffer
			(&logOptions{level: "debug", encoding: "json"}).logger(&shown).Error(c.err, "it failed")
			(&logOptions{level: "info", encoding: "json"}).logger(&hidden).Error(c.err, "it failed")
			var line struct{ Level string }
			if err := json.Unmarshal(shown.Bytes(), &line); err != nil {
				t.Fatalf("%v: %s", err, shown.String())
			}
			if diff := cmp.Diff(c.want, line.Level); diff != "" {
				t.Errorf("the level (-want +got):\n%s", diff)
			}
			if hidden := hidden.Len() == 0; hidden != (c.want != "ERROR") {
				t.Errorf("it is hidden from who reads what alarms: %v", hidden)
			}
		})
	}
}

func TestALevelIsANameOrHowMuchIsWanted(t *testing.T) {
	for level, shown := range map[string][]int{
		"error": nil, "warn": nil, "info": {0}, "0": {0}, "1": {0, 1}, "2": {0, 1, 2}, "debug": {0, 1, 2, 3, 4}, "10": {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10},
	} {
		options := &logOptions{level: level, encoding: "text"}
		if err := options.check(); err != nil {
			t.Errorf("%s: %v", level, err)
		}
		log := options.logger(io.Discard)
		var got []int
		for v := range mostVerbose + 1 {
			if log.V(v).Enabled() {
				got = append(got, v)
			}
		}
		if diff := cmp.Diff(shown, got); diff != "" {
			t.Errorf("the levels of %s (-want +got):\n%s", level, diff)
		}
	}
	for _, level := range []string{"", "-1", "11", "DEBUG+2", "loud"} {
		if (&logOptions{level: level, encoding: "text"}).check() == nil {
			t.Errorf("%q is taken", level)
		}
	}
}
