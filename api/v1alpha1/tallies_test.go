package v1alpha1_test

import (
	"cmp"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"pgregory.net/rapid"

	"vpcmirror.io/operator/api/v1alpha1"
)

// anyTallies are some of one of two epochs, with some of three sources and three rules.
func anyTallies(number *rapid.Generator[int64]) *rapid.Generator[v1alpha1.Tallies] {
	return rapid.Custom(func(t *rapid.T) v1alpha1.Tallies {
		out := v1alpha1.Tallies{Epoch: rapid.Int64Range(1, 2).Draw(t, "epoch")}
		fill(t, number, &out.Counts)
		fill(t, number, &out.InEpoch)
		for _, id := range some(t, []string{"a", "b", "c"}) {
			s := v1alpha1.SourceCounts{InterfaceID: id, Address: "of " + id}
			fill(t, number, &s)
			if n := rapid.Int64Range(0, 3).Draw(t, "time"); n > 0 {
				s.LastPacketAt = new(metav1.NewMicroTime(time.Unix(n, 0).UTC()))
			}
			out.Sources = append(out.Sources, s)
		}
		for _, r := range some(t, []v1alpha1.RuleCounts{{Direction: "Egress", Priority: 1}, {Direction: "Ingress", Priority: 1}, {Direction: "Ingress", Priority: 2}}) {
			fill(t, number, &r)
			out.Rules = append(out.Rules, r)
		}
		out.Sources, out.Rules = v1alpha1.SortedSources(out.Sources), v1alpha1.SortedRules(out.Rules)
		return out
	})
}

// counted calls visit for each count of a struct: a count that the arithmetic forgets is found.
func counted(of any, visit func(name string, count reflect.Value)) {
	v := reflect.ValueOf(of)
	if v.Kind() == reflect.Pointer {
		v = v.Elem()
	}
	for i := range v.NumField() {
		if v.Field(i).Kind() == reflect.Int64 {
			visit(v.Type().Field(i).Name, v.Field(i))
		}
	}
}

func fill(t *rapid.T, number *rapid.Generator[int64], of any) {
	counted(of, func(name string, count reflect.Value) { count.SetInt(number.Draw(t, name)) })
}

func some[T any](t *rapid.T, of []T) []T {
	all := rapid.Permutation(of).Draw(t, "all")
	return all[:rapid.IntRange(0, len(all)).Draw(t, "some")]
}

var (
	small = rapid.Int64Range(-1000, 1000)
	whole = rapid.OneOf(small, rapid.Int64(), rapid.SampledFrom([]int64{math.MinInt64, math.MaxInt64, v1alpha1.MaxCount, -v1alpha1.MaxCount}))
)

// numbersOf are all the numbers of tallies, by name.
func numbersOf(t v1alpha1.Tallies) map[string]int64 {
	out := map[string]int64{}
	add := func(prefix string, of any) {
		counted(of, func(name string, count reflect.Value) { out[prefix+name] = count.Int() })
	}
	add("", t.Counts)
	add("in the epoch ", t.InEpoch)
	for _, s := range t.Sources {
		add("source "+s.InterfaceID+" ", s)
	}
	for _, r := range t.Rules {
		add(fmt.Sprintf("rule %s %d ", r.Direction, r.Priority), r)
	}
	return out
}

func expectSorted(t *rapid.T, of v1alpha1.Tallies) {
	bySource := func(a, b v1alpha1.SourceCounts) int { return strings.Compare(a.InterfaceID, b.InterfaceID) }
	byRule := func(a, b v1alpha1.RuleCounts) int {
		return cmp.Or(strings.Compare(string(a.Direction), string(b.Direction)), cmp.Compare(a.Priority, b.Priority))
	}
	if !slices.IsSortedFunc(of.Sources, bySource) || !slices.IsSortedFunc(of.Rules, byRule) ||
		len(slices.CompactFunc(slices.Clone(of.Sources), func(a, b v1alpha1.SourceCounts) bool { return bySource(a, b) == 0 })) != len(of.Sources) ||
		len(slices.CompactFunc(slices.Clone(of.Rules), func(a, b v1alpha1.RuleCounts) bool { return byRule(a, b) == 0 })) != len(of.Rules) {
		t.Fatalf("not sorted, or something twice: %+v", of)
	}
}

// Each number of the result follows from its two fellows alone, where 0 stands for one that is
// not there; what is of another epoch is not there.
func TestTheArithmeticOfTalliesIsThatOfEachNumber(t *testing.T) {
	for name, op := range map[string]struct {
		tallies func(a, b v1alpha1.Tallies) v1alpha1.Tallies
		number  func(a, b int64) int64
	}{
		"plus":  {v1alpha1.Tallies.Plus, func(a, b int64) int64 { return a + b }},
		"minus": {v1alpha1.Tallies.Minus, func(a, b int64) int64 { return a - b }},
		"min":   {v1alpha1.Tallies.Min, func(a, b int64) int64 { return min(a, b) }},
		"max":   {v1alpha1.Tallies.Max, func(a, b int64) int64 { return max(a, b) }},
	} {
		t.Run(name, rapid.MakeCheck(func(t *rapid.T) {
			a, b := anyTallies(small).Draw(t, "a"), anyTallies(small).Draw(t, "b")
			got := op.tallies(a, b)
			left, right := numbersOf(a), numbersOf(b)
			if b.Epoch != a.Epoch {
				right = numbersOf(v1alpha1.Tallies{Counts: b.Counts, Sources: b.Sources})
			}
			want := map[string]int64{}
			for name := range left {
				want[name] = op.number(left[name], right[name])
			}
			for name := range right {
				want[name] = op.number(left[name], right[name])
			}
			if diff := gocmp.Diff(want, numbersOf(got)); diff != "" || got.Epoch != a.Epoch {
				t.Fatalf("epoch %d, want %d; numbers (-want +got):\n%s", got.Epoch, a.Epoch, diff)
			}
			expectSorted(t, got)
		}))
	}
}

func TestASumOfTalliesDoesNotDependOnTheOrderAndKeepsTheLatestPackets(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		all := rapid.SliceOfN(anyTallies(small), 1, 4).Draw(t, "all")
		sum := func(list []v1alpha1.Tallies) (out v1alpha1.Tallies) {
			out.Epoch = 1
			for _, x := range list {
				out = out.Plus(x)
			}
			return out
		}
		one, other := sum(all), sum(rapid.Permutation(all).Draw(t, "in another order"))
		if !one.Equal(other) || !other.Equal(one) {
			t.Fatalf("%+v and in another order %+v", one, other)
		}
		latest := map[string]int64{}
		for _, x := range all {
			for _, s := range x.Sources {
				if s.LastPacketAt != nil {
					latest[s.InterfaceID] = max(latest[s.InterfaceID], s.LastPacketAt.Unix())
				}
			}
		}
		for _, s := range one.Sources {
			got := int64(0)
			if s.LastPacketAt != nil {
				got = s.LastPacketAt.Unix()
			}
			if got != latest[s.InterfaceID] || s.Address != "of "+s.InterfaceID {
				t.Fatalf("source %s, %s, has its last packet at %d, want %d", s.InterfaceID, s.Address, got, latest[s.InterfaceID])
			}
		}
	})
}

func TestTalliesOfNowAreThoseOfTheEpochAlone(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := anyTallies(small).Draw(t, "a")
		want := a
		if got := a.Now(a.Epoch); !got.Equal(want) {
			t.Fatalf("in its own epoch %+v became %+v", a, got)
		}
		want.Epoch, want.InEpoch, want.Rules = 7, v1alpha1.Counts{}, nil
		if got := a.Now(7); !got.Equal(want) {
			t.Fatalf("in another epoch %+v became %+v", a, got)
		}
	})
}

// What is read may be from a time without bounds, or written by hand.
func TestWhateverTalliesAreTheAPIServerTakesThemInBounds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := anyTallies(whole).Draw(t, "a"), anyTallies(whole).Draw(t, "b")
		for name, n := range numbersOf(a.Plus(b).Minus(a).Max(b).InBounds()) {
			if n < 0 || n > v1alpha1.MaxCount {
				t.Fatalf("%s is %d", name, n)
			}
		}
		if in := a.InBounds(); !in.InBounds().Equal(in) {
			t.Fatalf("%+v is not what it is in bounds: %+v", in.InBounds(), in)
		}
	})
}

func TestTalliesShareNothingWithWhatTheyComeOf(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := anyTallies(small).Draw(t, "a"), anyTallies(small).Draw(t, "b")
		before := numbersOf(a)
		for _, got := range []v1alpha1.Tallies{a.Plus(b), a.Minus(b), a.Min(b), a.Max(b), a.Now(a.Epoch), a.InBounds()} {
			for i := range got.Sources {
				got.Sources[i].Packets = 4711
				if at := got.Sources[i].LastPacketAt; at != nil {
					at.Time = time.Unix(4711, 0)
				}
			}
			for i := range got.Rules {
				got.Rules[i].Packets = 4711
			}
		}
		if diff := gocmp.Diff(before, numbersOf(a)); diff != "" {
			t.Fatalf("changed by what came of it (-before +after):\n%s", diff)
		}
		for _, s := range a.Sources {
			if s.LastPacketAt != nil && s.LastPacketAt.Unix() == 4711 {
				t.Fatal("a time was changed by what came of it")
			}
		}
	})
}

func TestTheTalliesOfAnEntryAndOfWhatIsRetired(t *testing.T) {
	sources := []v1alpha1.SourceCounts{{InterfaceID: "b", Packets: 2}, {InterfaceID: "a", Packets: -1}, {InterfaceID: "b", Packets: 3}}
	sorted := []v1alpha1.SourceCounts{{InterfaceID: "a"}, {InterfaceID: "b", Packets: 2}}
	rules := []v1alpha1.RuleCounts{{Direction: "Ingress", Priority: 2, Packets: 5}, {Direction: "Egress", Priority: 9}, {Direction: "Ingress", Priority: 1}}
	entry := v1alpha1.Verification{
		Counts: v1alpha1.Counts{Packets: 5, Bytes: -1}, Sources: sources, Epoch: 3, InEpoch: &v1alpha1.Counts{Packets: 4}, Rules: rules,
	}
	want := v1alpha1.Tallies{
		Counts: v1alpha1.Counts{Packets: 5}, Sources: sorted, Epoch: 3, InEpoch: v1alpha1.Counts{Packets: 4},
		Rules: []v1alpha1.RuleCounts{rules[1], rules[2], rules[0]},
	}
	if diff := gocmp.Diff(want, v1alpha1.TalliesOf(&entry)); diff != "" {
		t.Errorf("of an entry (-want +got):\n%s", diff)
	}
	if diff := gocmp.Diff(v1alpha1.Tallies{}, v1alpha1.TalliesOf(&v1alpha1.Verification{})); diff != "" {
		t.Errorf("of an entry of before there were any (-want +got):\n%s", diff)
	}
	retired := v1alpha1.Retired{Counts: v1alpha1.Counts{Packets: 5}, Sources: sources}
	if diff := gocmp.Diff(v1alpha1.Tallies{Counts: retired.Counts, Sources: sorted}, v1alpha1.RetiredTallies(&retired)); diff != "" {
		t.Errorf("of what is retired (-want +got):\n%s", diff)
	}
	if diff := gocmp.Diff(v1alpha1.Tallies{}, v1alpha1.RetiredTallies(nil)); diff != "" {
		t.Errorf("of nothing retired (-want +got):\n%s", diff)
	}
}
