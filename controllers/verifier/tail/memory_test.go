package tail

import (
	"fmt"
	"strings"
	"testing"
	"testing/fstest"

	"pgregory.net/rapid"

	"vpcmirror.io/operator/controllers/verifier/memory"
)

const mib = 1 << 20

// However many are started at the same moment, all that begin fit into the pod beside what it used, when each uses all
// that it may.
func TestAllTailsThatBeginFitIntoThePod(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		u := memory.Usage{Pod: rapid.Uint64Range(0, 200*mib).Draw(t, "used"), PodLimit: rapid.Uint64Range(0, 400*mib).Draw(t, "limit")}
		begun := 0
		for begun < 50 && room(u, begun) == nil {
			begun++
		}
		if u.PodLimit == 0 {
			if begun != 50 {
				t.Fatalf("without a limit %d tails begin", begun)
			}
			return
		}
		if begun > 0 && u.Pod+uint64(begun)*Memory > u.PodLimit/100*85 {
			t.Fatalf("%d tails begin, of %d MiB each, in %+v", begun, Memory/mib, u)
		}
	})
	// The chart's limit, and a verifier with few sessions and with as many as it is made for.
	for used, want := range map[uint64]bool{20 * mib: true, 80 * mib: true, 90 * mib: false} {
		if err := room(memory.Usage{Pod: used, PodLimit: 128 * mib}, 0); (err == nil) != want {
			t.Errorf("a verifier that uses %d MiB: %v", used/mib, err)
		}
	}
}

func TestTailsThatBeganBeforeAreOlder(t *testing.T) {
	files := fstest.MapFS{}
	process := func(id int, name string, began int, arguments ...string) {
		files[fmt.Sprintf("%d/cmdline", id)] = &fstest.MapFile{Data: []byte(strings.Join(arguments, "\x00") + "\x00")}
		files[fmt.Sprintf("%d/stat", id)] = &fstest.MapFile{Data: fmt.Appendf(nil, "%d (%s) S %s %d 0 0\n", id, name, strings.TrimSpace(strings.Repeat("7 ", 18)), began)}
	}
	process(1, "verifier", 100, "/verifier", "run")
	process(20, "verifier", 500, "/verifier", "tail", "ns/a")
	process(21, "a ) b", 500, "/verifier", "tail", "ns/b")
	process(19, "verifier", 600, "/verifier", "tail", "ns/c")
	process(30, "tail", 50, "tail", "-f")
	process(31, "verifier", 50, "/verifier")
	files["self/stat"] = &fstest.MapFile{}
	for self, want := range map[int]int{20: 0, 21: 1, 19: 2, 99: 0} {
		if got := Older(files, self); got != want {
			t.Errorf("before process %d %d began, want %d", self, got, want)
		}
	}
}
