package core

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestTwoCoresAreThreadsOfOneOnlyWhereThereIsNoOther(t *testing.T) {
	for name, test := range map[string]struct {
		allowed  []int
		siblings map[int][]int
		want     [2]int
		apart    bool
	}{
		"two cores":              {[]int{0, 1}, map[int][]int{0: {0}}, [2]int{0, 1}, true},
		"the kernel tells none":  {[]int{2, 5}, nil, [2]int{2, 5}, true},
		"siblings are neighbors": {[]int{0, 1, 2, 3}, map[int][]int{0: {0, 1}}, [2]int{0, 2}, true},
		"siblings are far":       {[]int{0, 1, 2, 3}, map[int][]int{0: {0, 2}}, [2]int{0, 1}, true},
		"one core, two threads":  {[]int{0, 1}, map[int][]int{0: {0, 1}}, [2]int{0, 1}, false},
	} {
		first, second, apart := two(test.allowed, func(cpu int) []int { return test.siblings[cpu] })
		if got := [2]int{first, second}; got != test.want || apart != test.apart {
			t.Errorf("%s: %v, apart %t", name, got, apart)
		}
	}
}

func TestListsOfCoresAreReadAsTheKernelWritesThem(t *testing.T) {
	for text, want := range map[string][]int{"0\n": {0}, "0,4\n": {0, 4}, "0-2,7": {0, 1, 2, 7}, "": nil, "x,3": {3}} {
		if diff := cmp.Diff(want, list(text)); diff != "" {
			t.Errorf("%q: %s", text, diff)
		}
	}
}
