package main

import (
	"testing"
)

func TestWhateverWillDoIsKeptAndTheRestIsFetchedOrBuilt(t *testing.T) {
	want := mark{minor: "1.37", system: "linux/amd64"}
	for _, row := range []struct {
		name    string
		present present
		index   string
		want    step
		why     string
	}{
		{name: "nothing is there", want: fetch},
		{name: "it was built from these sources", present: present{built: true, complete: true}, want: keep},
		{name: "it was built, and nothing is to be asked", present: present{built: true}, index: noIndex, want: keep},
		{name: "it was fetched", present: present{complete: true, fetched: want}, want: keep},
		{name: "it was fetched, and nothing is to be asked", present: present{complete: true, fetched: want}, index: noIndex, want: keep},
		{name: "one of what was fetched is missing", present: present{fetched: want}, want: fetch},
		{name: "another version was fetched", present: present{complete: true, fetched: mark{"1.36", "linux/amd64"}}, want: fetch},
		{name: "it was fetched for another processor", present: present{complete: true, fetched: mark{"1.37", "linux/arm64"}}, want: fetch},
		{name: "it was built from other sources", present: present{complete: true}, want: fetch},
		{name: "nothing is there and nothing is to be asked", index: noIndex, want: build, why: "ENVTEST_INDEX is none"},
	} {
		t.Run(row.name, func(t *testing.T) {
			if got, why := decide(row.present, want, row.index); got != row.want || why != row.why {
				t.Errorf("decided to %s (%q), not to %s (%q)", got, why, row.want, row.why)
			}
		})
	}
}

func TestOnlyTheStampOfWhatWasFetchedIsReadAsOne(t *testing.T) {
	fetched := mark{minor: "1.37", system: "linux/amd64"}
	for stamp, want := range map[string]mark{
		fetched.String():        fetched,
		fetched.String() + "\n": fetched,
		"":                      {},
		"0b5e66cfa3e2fd5d5ab1fb9fa8c6a0b7dd5b1ed5c6a9f8a2bf05d0e7d9c4a1d2": {},
		"envtest 1.37":                      {},
		"something 1.37 linux/amd64":        {},
		"envtest 1.37 linux/amd64 and more": {},
	} {
		if got := parseMark(stamp); got != want {
			t.Errorf("the stamp %q is read as %v, not as %v", stamp, got, want)
		}
	}
}
