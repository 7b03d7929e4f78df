package v1alpha1_test

import (
	"math"
	"math/big"
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"vpcmirror.io/operator/api/v1alpha1"
)

// eachCount calls check for every field of Counts, by reflection: a count that the
// arithmetic forgets is found.
func eachCount(check func(name string, at func(v1alpha1.Counts) int64)) {
	for i := range reflect.TypeFor[v1alpha1.Counts]().NumField() {
		check(reflect.TypeFor[v1alpha1.Counts]().Field(i).Name, func(c v1alpha1.Counts) int64 {
			return reflect.ValueOf(c).Field(i).Int()
		})
	}
}

func anyCounts(t *rapid.T, label string) v1alpha1.Counts {
	var c v1alpha1.Counts
	for i := range reflect.TypeOf(c).NumField() {
		reflect.ValueOf(&c).Elem().Field(i).SetInt(rapid.Int64Range(0, 1<<40).Draw(t, label))
	}
	return c
}

func TestArithmeticOfCountsGoesOverEveryCount(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := anyCounts(t, "a"), anyCounts(t, "b")
		eachCount(func(name string, at func(v1alpha1.Counts) int64) {
			for what, got := range map[string][2]int64{
				"sum":        {at(a.Plus(b)), at(a) + at(b)},
				"difference": {at(a.Minus(b)), at(a) - at(b)},
				"larger":     {at(a.Max(b)), max(at(a), at(b))},
				"smaller":    {at(a.Min(b)), min(at(a), at(b))},
			} {
				if got[0] != got[1] {
					t.Errorf("the %s of %s is %d, want %d", what, name, got[0], got[1])
				}
			}
			if one := (v1alpha1.Counts{}).Any(b, func(mine, theirs int64) bool { return mine == 0 && theirs == at(b) }); !one {
				t.Errorf("no count of %+v is compared that is like %s", b, name)
			}
		})
	})
}

// A count that wraps around turns what arrived into nothing.
func TestCountsNeverWrapAround(t *testing.T) {
	wild := rapid.OneOf(rapid.Int64(), rapid.SampledFrom([]int64{math.MaxInt64, math.MaxInt64 - 51, math.MinInt64, -51, 0, v1alpha1.MaxCount, -v1alpha1.MaxCount}))
	rapid.Check(t, func(t *rapid.T) {
		a, b := v1alpha1.Counts{Packets: wild.Draw(t, "a")}, v1alpha1.Counts{Packets: wild.Draw(t, "b")}
		exact := func(f func(z, x, y *big.Int) *big.Int) int64 {
			bound := big.NewInt(v1alpha1.MaxCount)
			within := func(n *big.Int) *big.Int {
				if n.CmpAbs(bound) > 0 {
					return new(big.Int).Mul(bound, big.NewInt(int64(n.Sign())))
				}
				return n
			}
			return within(f(new(big.Int), within(big.NewInt(a.Packets)), within(big.NewInt(b.Packets)))).Int64()
		}
		for what, got := range map[string][2]int64{
			"sum":        {a.Plus(b).Packets, exact((*big.Int).Add)},
			"difference": {a.Minus(b).Packets, exact((*big.Int).Sub)},
			"count":      {a.InBounds().Packets, min(max(a.Packets, 0), v1alpha1.MaxCount)},
		} {
			if got[0] != got[1] {
				t.Errorf("the %s of %d and %d is %d, want %d", what, a.Packets, b.Packets, got[0], got[1])
			}
		}
	})
}

func TestEachVerifierHasANameOfItsOwnThatTheAPIServerTakes(t *testing.T) {
	first, second, long := v1alpha1.VerifierName("node-1"), v1alpha1.VerifierName("node-2"), v1alpha1.VerifierName(strings.Repeat("n", 253))
	// A field manager has at most 128 characters, and a Lease's name is longer still.
	if first == second || len(long) > 128 || !strings.HasPrefix(first, v1alpha1.VerifierPrefix) {
		t.Errorf("names %q, %q, %q", first, second, long)
	}
}
