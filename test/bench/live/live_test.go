package live

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netns"

	"vpcmirror.io/operator/controllers/verifier/agent"
	"vpcmirror.io/operator/controllers/verifier/capture"
	"vpcmirror.io/operator/controllers/verifier/tally"
	"vpcmirror.io/operator/controllers/verifier/vxlan"
	"vpcmirror.io/operator/test/bench/core"
	"vpcmirror.io/operator/test/env/need"
)

// newLadder makes a wire for a test, whose rounds are short.
func newLadder(t *testing.T, seconds float64) *ladder {
	t.Helper()
	need.Root(t)
	need.Tool(t, "tcpdump")
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	w, err := newWire()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.close)
	return &ladder{wire: w, self: self, seconds: seconds}
}

func TestEachReadersBooksBalanceToTheFrame(t *testing.T) {
	l := newLadder(t, 0.1)
	for _, who := range readers {
		for _, rate := range []int{20_000, full} {
			r, err := l.measure(t.Context(), rate, who)
			if err != nil {
				t.Fatalf("%s: %v", who, err)
			}
			t.Log(r.String())
			if why := r.unbalanced(); why != "" {
				t.Errorf("%s: %s", who, why)
			}
			if r.sent.Frames == 0 || r.arrived == 0 || r.sent.Burst == 0 {
				t.Errorf("%s: nothing was sent: %+v", who, r)
			}
			if who.readsFrames() && r.books.sum() != 0 && r.cpu == 0 {
				t.Errorf("%s has read and used no time: %+v", who, r)
			}
		}
	}
}

func TestEachSourceOfEachSessionSendsEquallyOftenByEachRule(t *testing.T) {
	l := newLadder(t, 0)
	var ring *capture.Ring
	err := core.Do(-1, func() (err error) {
		if err = netns.Set(l.receiver.space); err != nil {
			return err
		}
		ring, err = agent.OpenRing(agent.Interface{Index: l.receiver.index}, vxlan.Port)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	counts, err := count(ring)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(ring.Stop)
	const all, rate = sessionCount * sourceCount * ruleCount, 20_000
	s := sending{Index: l.sender.index, To: l.receiver.mac, Rate: rate, Seconds: float64(all) / rate}
	err = core.Do(-1, func() error {
		if err := netns.Set(l.sender.space); err != nil {
			return err
		}
		_, err := s.run()
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	got := counts.Snapshot()
	for end := time.Now().Add(patience); got.Frames.Read < all && time.Now().Before(end); got = counts.Snapshot() {
		if err := sleep(t.Context(), patience/1000); err != nil {
			t.Fatal(err)
		}
	}
	if want := (tally.Frames{Read: all, Attributed: all}); got.Frames != want || len(got.Sessions) != sessionCount {
		t.Errorf("%+v of %d sessions, want %+v of %d", got.Frames, len(got.Sessions), want, sessionCount)
	}
	for _, s := range got.Sessions {
		if s.Accepted != sourceCount*ruleCount || len(s.Sources) != sourceCount || len(s.Rules) != ruleCount {
			t.Errorf("%s: %d accepted of %d sources by %d rules", s.ID, s.Accepted, len(s.Sources), len(s.Rules))
		}
		for _, source := range s.Sources {
			if source.Accepted != ruleCount {
				t.Errorf("%s: %d packets from %s, want %d", s.ID, source.Accepted, source.ID, ruleCount)
			}
		}
		for _, rule := range s.Rules {
			if rule.Packets != sourceCount {
				t.Errorf("%s: %d packets by rule %d, want %d", s.ID, rule.Packets, rule.Priority, sourceCount)
			}
		}
	}
}

// children are the processes that this one has started.
func children(t *testing.T) string {
	t.Helper()
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", os.Getpid()))
	if err != nil || len(files) == 0 {
		t.Skip("the kernel does not tell the children of a process")
	}
	all := ""
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil && !errors.Is(err, os.ErrNotExist) { // a thread that has ended meanwhile
			t.Fatal(err)
		}
		all += string(content)
	}
	return strings.TrimSpace(all)
}

func TestAnInterruptedRoundLeavesNoProcessBehind(t *testing.T) {
	l := newLadder(t, 600)
	for _, who := range []reader{counting, printing, nobody} {
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		before, err := l.receiver.received()
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			_, err := l.measure(ctx, 1000, who)
			ended <- err
		}()
		for arrived := before; arrived == before; {
			if err := sleep(t.Context(), patience/1000); err != nil {
				t.Fatal(err)
			}
			if arrived, err = l.receiver.received(); err != nil {
				t.Fatal(err)
			}
		}
		cancel()
		if err := <-ended; err == nil {
			t.Errorf("%s: an interrupted round ended as if it was whole", who)
		}
		if left := children(t); left != "" {
			t.Errorf("%s: processes %s are left", who, left)
		}
	}
}
