package recipes

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"vpcmirror.io/operator/controllers/verifier/frametest"
	"vpcmirror.io/operator/test/env/need"
)

// recipe is the folder of Suricata's.
const recipe = "../../config/samples/suricata"

// counters are those of Suricata's event "stats" that the page of the recipe names.
type counters struct {
	Capture struct {
		Packets uint64 `json:"kernel_packets"`
		Drops   uint64 `json:"kernel_drops"`
	} `json:"capture"`
	Decoder decoder `json:"decoder"`
}

// decoder are counters of packets, but for the first outer and inner ones together.
type decoder struct {
	Packets uint64 `json:"pkts"`
	VXLAN   uint64 `json:"vxlan"`
	IPv4    uint64 `json:"ipv4"`
	IPv6    uint64 `json:"ipv6"`
	TCP     uint64 `json:"tcp"`
	UDP     uint64 `json:"udp"`
	ICMPv4  uint64 `json:"icmpv4"`
	ICMPv6  uint64 `json:"icmpv6"`
	Event   struct {
		IPv4 struct {
			Truncated uint64 `json:"trunc_pkt"`
		} `json:"ipv4"`
	} `json:"event"`
}

// inner are the mirrored IP packets, and whole those of them that Suricata could look into, as the page
// of the recipe reckons them.
func (d decoder) inner() uint64 { return d.IPv4 + d.IPv6 - d.VXLAN }
func (d decoder) whole() uint64 { return d.TCP + d.UDP - d.VXLAN + d.ICMPv4 + d.ICMPv6 }

// suricata is a running one. The counters are of its last event.
type suricata struct {
	command *exec.Cmd
	ended   chan struct{}

	mu       sync.Mutex
	stats    *counters
	alerts   []alert
	words    bytes.Buffer // what it said for people
	received *sync.Cond
}

// alert is an event of a rule that fitted.
type alert struct {
	SourceIP  string `json:"src_ip"`
	Signature struct {
		ID int `json:"signature_id"`
	} `json:"alert"`
	Tunnel struct {
		SourceIP string `json:"src_ip"`
	} `json:"tunnel"`
}

// start runs Suricata with the recipe's configuration and the capabilities of its pod. By is the side
// whose network namespace it runs in, nil for this one. What is set beside the recipe are the places of
// files, which in the pod are where its volumes are, and how often it tells.
func start(t *testing.T, by *frametest.Side, args ...string) *suricata {
	t.Helper()
	need.Root(t)
	program, limit := need.Tool(t, "suricata"), need.Tool(t, "setpriv")
	folder, err := filepath.Abs(recipe)
	if err != nil {
		t.Fatal(err)
	}
	s := &suricata{ended: make(chan struct{})}
	s.received = sync.NewCond(&s.mu)
	s.command = exec.Command(limit, append([]string{
		"--bounding-set=-all,+net_raw", "--no-new-privs", program, "-c", filepath.Join(folder, "suricata.yaml"),
		"--set", "default-rule-path=" + folder, "--set", "default-log-dir=" + t.TempDir(), "--set", "stats.interval=1",
	}, args...)...)
	out, err := s.command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	complaints, err := s.command.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if by == nil {
		err = s.command.Start()
	} else {
		by.Do(t, s.command.Start)
	}
	if err != nil {
		t.Fatal(err)
	}
	go s.read(bufio.NewScanner(out), bufio.NewScanner(complaints))
	t.Cleanup(func() {
		_ = s.command.Process.Kill()
		<-s.ended
		if t.Failed() {
			t.Logf("Suricata said:\n%s", s.words.String())
		}
	})
	return s
}

// read takes in what the process writes, until it ends.
func (s *suricata) read(events, words *bufio.Scanner) {
	var both sync.WaitGroup
	each := func(lines *bufio.Scanner, take func([]byte)) {
		lines.Buffer(nil, 1<<20)
		for lines.Scan() {
			s.mu.Lock()
			take(lines.Bytes())
			s.received.Broadcast()
			s.mu.Unlock()
		}
	}
	both.Go(func() { each(events, s.event) })
	both.Go(func() { each(words, func(line []byte) { s.words.Write(append(line, '\n')) }) })
	both.Wait()
	_ = s.command.Wait()
	close(s.ended)
}

func (s *suricata) event(line []byte) {
	var e struct {
		Type  string    `json:"event_type"`
		Stats *counters `json:"stats"`
		alert
	}
	switch err := json.Unmarshal(line, &e); {
	case err != nil:
		fmt.Fprintf(&s.words, "no event: %s\n", line)
	case e.Type == "stats":
		s.stats = e.Stats
	case e.Type == "alert":
		s.alerts = append(s.alerts, e.alert)
	}
}

// until waits until it has said or counted something.
func (s *suricata) until(t *testing.T, what string, is func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	defer context.AfterFunc(ctx, s.received.Broadcast)()
	gone := errors.New("it ended")
	go func() { <-s.ended; s.received.Broadcast() }()
	s.mu.Lock()
	defer s.mu.Unlock()
	for !is() {
		select {
		case <-s.ended:
			t.Fatalf("Suricata has not %s: %v; %+v\n%s", what, gone, s.stats, s.words.String())
		default:
		}
		if ctx.Err() != nil {
			t.Fatalf("Suricata has not %s within a minute: %+v", what, s.stats)
		}
		s.received.Wait()
	}
}

func (s *suricata) said(words string) func() bool {
	return func() bool { return strings.Contains(s.words.String(), words) }
}

// stop ends it and returns what it has counted at its end.
func (s *suricata) stop(t *testing.T) counters {
	t.Helper()
	if err := s.command.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	return s.last(t)
}

// last waits for the end.
func (s *suricata) last(t *testing.T) counters {
	t.Helper()
	select {
	case <-s.ended:
	case <-time.After(time.Minute):
		t.Fatal("Suricata does not end")
	}
	if s.stats == nil {
		t.Fatalf("Suricata told no counters:\n%s", s.words.String())
	}
	return *s.stats
}

// offline lets Suricata read a file.
func offline(t *testing.T, file string) (counters, []alert) {
	t.Helper()
	s := start(t, nil, "-r", file)
	return s.last(t), s.alerts
}
