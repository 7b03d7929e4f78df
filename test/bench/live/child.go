package live

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"runtime"
	"time"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/verifier/agent"
	"vpcmirror.io/operator/controllers/verifier/capture"
	"vpcmirror.io/operator/controllers/verifier/tally"
	"vpcmirror.io/operator/controllers/verifier/vxlan"
	"vpcmirror.io/operator/test/bench/copies"
)

// The arguments by which the program finds that it is a sender or a reader of its own ladder: the
// first, and then what it is to do as JSON.
const (
	sendWord = "live-send"
	readWord = "live-read"
)

// reading says what a reader is to do.
type reading struct {
	Reader reader
	Index  int
}

// Child does the work of a process that the ladder started: the program calls it before all else.
// It reports false where the arguments are somebody else's.
func Child(args []string) (code int, is bool) {
	if len(args) != 3 || args[1] != sendWord && args[1] != readWord {
		return 0, false
	}
	if err := child(args[1], args[2]); err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", args[1], err)
		return 1, true
	}
	return 0, true
}

func child(word, what string) error {
	if word == sendWord {
		runtime.LockOSThread()
		var s sending
		if err := json.Unmarshal([]byte(what), &s); err != nil {
			return fmt.Errorf("read what to send: %w", err)
		}
		sent, err := s.run()
		if err != nil {
			return err
		}
		return json.NewEncoder(os.Stdout).Encode(sent)
	}
	var r reading
	if err := json.Unmarshal([]byte(what), &r); err != nil {
		return fmt.Errorf("read what to do: %w", err)
	}
	books, err := r.start()
	if err != nil {
		return err
	}
	return answer(books)
}

// answer says that the reader is there, and what is in its books for each line that comes, until
// there are no more.
func answer(books func() (books, error)) error {
	to, lines := json.NewEncoder(os.Stdout), bufio.NewScanner(os.Stdin)
	for ok := true; ok; ok = lines.Scan() {
		b, err := books()
		if err != nil {
			return err
		}
		if err := to.Encode(b); err != nil {
			return fmt.Errorf("answer: %w", err)
		}
	}
	return lines.Err()
}

// start begins to read and returns what tells how far that is.
func (r *reading) start() (func() (books, error), error) {
	if r.Reader == refusing {
		return r.refuse()
	}
	// The ring that the agent opens, with its sizes and its waiting.
	ring, err := agent.OpenRing(agent.Interface{Index: r.Index}, vxlan.Port)
	if err != nil {
		return nil, err
	}
	if r.Reader == unread {
		go read(ring, func(*capture.Block) {})
		return func() (books, error) {
			stats, err := ring.Stats()
			return books{Counted: stats.Delivered(), Drops: stats.Drops}, err
		}, nil
	}
	counts, err := count(ring)
	if err != nil {
		return nil, err
	}
	return func() (books, error) {
		stats, err := ring.Stats()
		return booksOf(counts.Snapshot(), stats), err
	}, nil
}

// count counts what comes in a ring.
func count(ring *capture.Ring) (*tally.Tally, error) {
	counts := tally.New(vxlan.Port)
	if _, err := counts.SetSessions(sessions()); err != nil {
		return nil, err
	}
	go read(ring, func(b *capture.Block) { counts.Count(b) })
	return counts, nil
}

// read is what a capturer of the agent does with its ring.
func read(ring *capture.Ring, with func(*capture.Block)) {
	for {
		block, err := ring.Next(500 * time.Millisecond)
		if errors.Is(err, capture.ErrClosed) {
			_ = ring.Close() // its counts were asked for before
			return
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, "the ring can't be read:", err)
			os.Exit(1)
		}
		if block != nil {
			with(block)
			block.Release()
		}
	}
}

// booksOf says how many frames became an accepted copy of a session. All that are sent are to.
func booksOf(counts tally.Snapshot, stats capture.Stats) books {
	b := books{Drops: stats.Drops}
	for i := range counts.Sessions {
		b.Counted += counts.Sessions[i].Accepted
	}
	b.Unlike = counts.Frames.Read - b.Counted
	return b
}

// sessions are what is counted for: each with all sources of its VNI and ten rules, of which the
// packets go by each equally often.
func sessions() []tally.Session {
	all := make([]tally.Session, sessionCount)
	for v := range all {
		s := tally.Session{ID: fmt.Sprintf("session-%d", v), VNI: uint32(copies.FirstVNI + v)}
		for n := range sourceCount {
			address := netip.AddrFrom4([4]byte{192, 168, 203, copies.Source(n)})
			s.Sources = append(s.Sources, tally.Source{
				ID: address.String(), OuterAddrs: []netip.Addr{address}, Addrs: []netip.Addr{address}, MAC: copies.MAC(n),
			})
		}
		for n := range ruleCount {
			port := uint16(firstPort + n)
			s.Rules = append(s.Rules, v1alpha1.Rule{
				Direction: v1alpha1.DirectionIngress, Priority: n + 1, Accept: true, Protocol: v1alpha1.ProtocolTCP,
				Source:      v1alpha1.Peer{Prefix: netip.MustParsePrefix("192.168.0.161/32")},
				Destination: v1alpha1.Peer{Prefix: netip.MustParsePrefix("192.168.203.0/24"), Ports: v1alpha1.PortRange{Low: port, High: port}},
			})
		}
		all[v] = s
	}
	return all
}

// refuse opens a packet socket whose filter takes nothing: what is left is the cost of asking it.
func (r *reading) refuse() (func() (books, error), error) {
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open a packet socket: %w", err)
	}
	program, err := bpf.Assemble([]bpf.Instruction{bpf.RetConstant{Val: 0}})
	if err != nil {
		return nil, fmt.Errorf("assemble the filter: %w", err)
	}
	filter := unix.SockFilter{Code: program[0].Op, Jt: program[0].Jt, Jf: program[0].Jf, K: program[0].K}
	if err := unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &unix.SockFprog{Len: 1, Filter: &filter}); err != nil {
		return nil, fmt.Errorf("attach the filter: %w", err)
	}
	const all = unix.ETH_P_ALL>>8 | unix.ETH_P_ALL&0xff<<8 // in the network's order
	if err := unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: all, Ifindex: r.Index}); err != nil {
		return nil, fmt.Errorf("bind to interface %d: %w", r.Index, err)
	}
	return func() (books, error) { return books{}, nil }, nil
}
