package diagnosis_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"pgregory.net/rapid"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/diagnosis"
)

// answers are all that is said of what is known.
type answers struct {
	Path, Traffic, Consumer diagnosis.Verdict
	Findings                []v1alpha1.Finding
	Awaited                 []diagnosis.Awaited
	Next                    time.Duration
}

func answersTo(k *diagnosis.Known) answers {
	return answers{
		diagnosis.JudgePath(k), diagnosis.Judge(k), diagnosis.JudgeConsumer(k), diagnosis.Findings(k), diagnosis.Await(k), diagnosis.Next(k),
	}
}

// anyLooks are looks at a session to which anything may happen between them.
func anyLooks(rt *rapid.T) *world {
	w := newWorld()
	w.delay = 30 * time.Second
	if rapid.Bool().Draw(rt, "silence is judged") {
		w.session.Spec.SilenceAfter = &metav1.Duration{Duration: time.Minute}
	}
	var a, b int64
	for range rapid.IntRange(1, 6).Draw(rt, "looks") {
		switch rapid.SampledFrom([]string{"copies", "copies", "copies of one", "strange", "lost", "late", "nothing", "edit", "ahead", "out of line"}).Draw(rt, "what happens") {
		case "copies":
			a, b = a+10, b+10
			w.from(a, b)
		case "copies of one":
			a += 10
			w.from(a, b)
		case "strange":
			w.entry().InEpoch.Unexpected++
			w.entry().Unexpected++
		case "lost":
			w.lost["n"] = !w.lost["n"]
		case "late":
			w.overdue["n"] = !w.overdue["n"]
		case "edit":
			w.session.Status.Epoch++
		case "ahead":
			w.entry().ObservedAt = metav1.NewMicroTime(w.now.Add(time.Minute))
		case "out of line":
			w.session.Status.Conditions[0].Status = rapid.SampledFrom([]metav1.ConditionStatus{"True", "False"}).Draw(rt, "Ready")
		}
		w.look(time.Duration(rapid.IntRange(0, 600).Draw(rt, "seconds")) * time.Second)
	}
	return w
}

func TestWhatRestsIsAnsweredAlikeHoweverMuchTimePasses(t *testing.T) {
	rested := 0
	rapid.Check(t, func(rt *rapid.T) {
		w := anyLooks(rt)
		if !diagnosis.Rests(w.known) {
			return
		}
		rested++
		before := answersTo(w.known)
		w.look(time.Duration(rapid.IntRange(0, 100_000).Draw(rt, "later")) * time.Second)
		after := answersTo(w.known)
		if !diagnosis.Rests(w.known) {
			rt.Errorf("it does not rest any more: %+v", after)
		}
		if diff := cmp.Diff(before, after); diff != "" {
			rt.Errorf("the answers (-before +after):\n%s", diff)
		}
	})
	if rested == 0 {
		t.Error("nothing ever rested")
	}
}
