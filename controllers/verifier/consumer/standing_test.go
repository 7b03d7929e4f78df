package consumer

import (
	"maps"
	"slices"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"pgregory.net/rapid"

	"vpcmirror.io/operator/api/v1alpha1"
)

// The verdicts that follow each other in these tests.
var (
	taken     = Verdict{Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonConsumerSeen, Message: "taken"}
	refused   = Verdict{Status: metav1.ConditionFalse, Reason: v1alpha1.ReasonNobodyListens, Message: "refused", Remedy: "listen"}
	lost      = Verdict{Status: metav1.ConditionFalse, Reason: v1alpha1.ReasonDroppedOnNode, Message: "lost", Remedy: "let them in"}
	down      = Verdict{Status: metav1.ConditionFalse, Reason: v1alpha1.ReasonConsumerDown, Message: "down", Remedy: "up"}
	nothing   = Verdict{Status: metav1.ConditionUnknown, Reason: v1alpha1.ReasonNoCopies, Message: "nothing came", Remedy: "listen"}
	undecided = Verdict{Status: metav1.ConditionUnknown, Reason: v1alpha1.ReasonNotDecided, Message: "who knows", Remedy: "listen"}
)

const pace = 5 * time.Second

// told lets a session be judged again and again, and returns what stands after each time.
func told(verdicts ...Verdict) (reasons []string) {
	var s Standing
	for i, v := range verdicts {
		s = s.Next(time.Unix(0, 0).Add(time.Duration(i)*pace), v)
		stands, _ := s.Verdict()
		reasons = append(reasons, stands.Message)
	}
	return reasons
}

// times repeats a verdict.
func times(n int, v Verdict) []Verdict { return slices.Repeat([]Verdict{v}, n) }

func TestAVerdictStandsUntilAnotherIsSureOfItself(t *testing.T) {
	for name, c := range map[string]struct {
		verdicts []Verdict
		want     []string
	}{
		"the first one stands at once":                       {[]Verdict{refused}, []string{"refused"}},
		"after Unknown so does the next":                     {[]Verdict{nothing, refused}, []string{"nothing came", "refused"}},
		"another has to come twice":                          {[]Verdict{taken, refused, refused}, []string{"taken", "taken", "refused"}},
		"once between is not told":                           {[]Verdict{taken, refused, taken, refused, taken}, []string{"taken", "taken", "taken", "taken", "taken"}},
		"two that contradict each other don't add up":        {[]Verdict{taken, refused, lost, refused, lost}, []string{"taken", "taken", "taken", "taken", "taken"}},
		"who is gone is told without a copy":                 {[]Verdict{taken, nothing, nothing}, []string{"taken", "taken", "nothing came"}},
		"a device that is gone is told without a copy":       {[]Verdict{down, nothing, nothing}, []string{"down", "down", "nothing came"}},
		"where nothing decides the last evidence stands":     {[]Verdict{taken, undecided, undecided, undecided}, []string{"taken", "taken", "taken", "taken"}},
		"where no copies come the last evidence stands":      {[]Verdict{refused, nothing, nothing, nothing}, []string{"refused", "refused", "refused", "refused"}},
		"copies that come seldom add up":                     {[]Verdict{refused, lost, nothing, lost}, []string{"refused", "refused", "refused", "lost"}},
		"what was mended is told though no copies come":      {[]Verdict{refused, nothing, taken, taken}, []string{"refused", "refused", "refused", "taken"}},
		"the second change within minutes has to come twice": {[]Verdict{taken, refused, refused, taken, taken}, []string{"taken", "taken", "refused", "refused", "taken"}},
		"the third has to come four times": {
			append([]Verdict{taken, refused, refused, taken, taken}, times(4, refused)...),
			[]string{"taken", "taken", "refused", "refused", "taken", "taken", "taken", "taken", "refused"},
		},
	} {
		t.Run(name, func(t *testing.T) { equal(t, told(c.verdicts...), c.want) })
	}
}

func TestWhatNothingConfirmsForMinutesDoesNotStand(t *testing.T) {
	for _, weak := range []Verdict{nothing, undecided} {
		n := int(holds / pace)
		reasons := told(append([]Verdict{refused}, times(n+3, weak)...)...)
		if reasons[n-1] != "refused" || reasons[len(reasons)-1] != weak.Message {
			t.Errorf("%s: %q", weak.Reason, reasons)
		}
	}
}

func TestNumbersFollowEachLook(t *testing.T) {
	more := refused
	more.Message = "more were refused"
	equal(t, told(refused, more), []string{"refused", "more were refused"})
}

func TestAConsumerThatComesAndGoesIsNotToldEachTime(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		all := []Verdict{taken, refused, lost, down, nothing, undecided}
		verdicts := rapid.SliceOfN(rapid.SampledFrom(all), 1, 400).Draw(t, "verdicts")
		if rapid.Bool().Draw(t, "the worst") { // that is told as soon as it may be
			verdicts = nil
			for n := 1; len(verdicts) < 400; n++ {
				verdicts = append(verdicts, times(rapid.IntRange(1, 14).Draw(t, "times"), all[n%2])...)
			}
		}
		var changes []int
		reasons := told(verdicts...)
		for i := 1; i < len(reasons); i++ {
			if reasons[i] != reasons[i-1] {
				changes = append(changes, i)
			}
		}
		const most = 9 // one at once, two after two looks each, then after 4, 6, 8, 10, 12 and 12
		for i := most; i < len(changes); i++ {
			if within := time.Duration(changes[i]-changes[i-most]) * pace; within < lately {
				t.Fatalf("%d changes within %s: %q", most+1, within, reasons)
			}
		}
	})
}

func TestWhatWasStoredIsNotSettledUntilItIsSeenAgain(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	stored := Stands(now, taken)
	got := map[string]bool{
		"nothing": Standing{}.Settled(), "seen": Standing{}.Next(now, taken).Settled(),
		"stored": stored.Settled(), "stored and seen": stored.Next(now, taken).Settled(),
		"stored, seen and contradicted": stored.Next(now, taken).Next(now, refused).Settled(),
	}
	want := map[string]bool{"nothing": false, "seen": true, "stored": false, "stored and seen": true, "stored, seen and contradicted": false}
	if !maps.Equal(want, got) {
		t.Errorf("settled: %v, want %v", got, want)
	}
}
