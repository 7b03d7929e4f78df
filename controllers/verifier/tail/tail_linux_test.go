package tail_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/gopacket/pcapgo"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/verifier/agent"
	"vpcmirror.io/operator/controllers/verifier/capture"
	"vpcmirror.io/operator/controllers/verifier/frametest"
	"vpcmirror.io/operator/controllers/verifier/memory"
	"vpcmirror.io/operator/controllers/verifier/tail"
	"vpcmirror.io/operator/controllers/verifier/tally"
	"vpcmirror.io/operator/controllers/verifier/vxlan"
)

// secret is what only --payload may show.
const secret = "a secret of the tenant"

// filter is the walkthrough's: TCP from the client to port 1234 of the source.
func filter() *v1alpha1.MirrorFilter {
	return &v1alpha1.MirrorFilter{
		ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "f", Generation: 1},
		Spec: v1alpha1.MirrorFilterSpec{Rules: []v1alpha1.FilterRule{{
			Direction: v1alpha1.DirectionIngress, Priority: 1, Action: v1alpha1.ActionAccept, EtherType: v1alpha1.EtherTypeIPv4, Protocol: v1alpha1.ProtocolTCP,
			Destination: &v1alpha1.RulePeer{Port: new(int32(1234))},
		}}},
		Status: v1alpha1.MirrorFilterStatus{CommonStatus: ready()},
	}
}

func ready() v1alpha1.CommonStatus {
	return v1alpha1.CommonStatus{ObservedGeneration: 1, Conditions: []metav1.Condition{{Type: v1alpha1.ConditionReady, Status: metav1.ConditionTrue}}}
}

// session is the walkthrough's, with VNI 1.
func session() *v1alpha1.MirrorSession {
	return &v1alpha1.MirrorSession{
		ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "s", UID: "uid", Generation: 1},
		Spec:       v1alpha1.MirrorSessionSpec{FilterRef: v1alpha1.FilterReference{Name: "f"}},
		Status: v1alpha1.MirrorSessionStatus{
			CommonStatus: ready(), VNI: new(int32(1)), Sessions: []v1alpha1.CloudSession{{ID: "id"}},
			Sources: []v1alpha1.ResolvedInterface{{InterfaceID: "s", Addresses: []string{frametest.SourceAddr.String()}, MAC: net.HardwareAddr(frametest.SourceMAC[:]).String()}},
			Target:  &v1alpha1.ResolvedTarget{ResolvedInterface: v1alpha1.ResolvedInterface{InterfaceID: "t", Addresses: []string{frametest.TargetAddr.String()}}},
		},
	}
}

// safe is a buffer that may be read while it is written.
type safe struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *safe) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *safe) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// running is a tail on the receiver's side of a wire.
type running struct {
	t          *testing.T
	pair       *frametest.Pair
	out, notes safe
	opened     chan struct{}
	stdin      *io.PipeWriter
	ended      chan error
}

// start runs a tail; edits change its options.
func start(t *testing.T, edits ...func(*tail.Options)) *running {
	t.Helper()
	r := &running{t: t, pair: frametest.NewPair(t), opened: make(chan struct{}, 8), ended: make(chan error, 1)}
	in, stdin := io.Pipe()
	r.stdin = stdin
	o := tail.Options{
		Session: types.NamespacedName{Namespace: "ns", Name: "s"}, Node: "node-1", Version: "test", Port: vxlan.Port, Limits: tail.DefaultLimits,
		In: in, Out: &r.out, Notes: &r.notes, Clock: time.Now,
		Find: func(context.Context) (*v1alpha1.MirrorSession, *v1alpha1.MirrorFilter, error) {
			return session(), filter(), nil
		},
		Interfaces: func() ([]agent.Interface, error) {
			return []agent.Interface{{Index: r.pair.Receiver.Index, Name: "right", Addresses: []netip.Addr{frametest.TargetAddr}}}, nil
		},
		Open: func(local agent.Interface, port uint16, n capture.Narrow) (ring *capture.Ring, err error) {
			r.pair.Receiver.Do(t, func() error {
				ring, err = capture.OpenRing(local.Index, port, tail.RingOptions(n))
				return nil
			})
			r.opened <- struct{}{}
			return ring, err
		},
		Memory: func() memory.Usage { return memory.Usage{} },
		Older:  func() int { return 0 },
		Every:  time.Hour,
	}
	for _, e := range edits {
		e(&o)
	}
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	go func() { r.ended <- tail.Run(ctx, o) }()
	select {
	case <-r.opened:
	case err := <-r.ended:
		r.ended <- err
	case <-time.After(30 * time.Second):
		t.Fatal("no ring was opened")
	}
	return r
}

// until waits until a text is what it should be.
func until(t *testing.T, what string, get func() string, want func(string) bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !want(get()); {
		if time.Now().After(end) {
			t.Fatalf("no %s in time: %q", what, get())
		}
		<-time.After(5 * time.Millisecond)
	}
}

func (r *running) lines(n int) string {
	r.t.Helper()
	until(r.t, fmt.Sprint(n, " lines"), r.out.String, func(s string) bool { return strings.Count(s, "\n") >= n })
	return r.out.String()
}

// end closes the standard input, as whoever started it does, and returns the error.
func (r *running) end() error {
	r.t.Helper()
	if err := r.stdin.Close(); err != nil {
		r.t.Fatal(err)
	}
	return r.wait()
}

func (r *running) wait() error {
	r.t.Helper()
	select {
	case err := <-r.ended:
		return err
	case <-time.After(30 * time.Second):
		r.t.Fatal("the tail does not end")
		return nil
	}
}

// copies are an accepted one, one that no rule accepts, and what is none of the session's.
func copies(t *testing.T, pair *frametest.Pair) [][]byte {
	t.Helper()
	to := func(p frametest.Packet) []byte {
		p.DestinationMAC = pair.Receiver.MAC
		return p.Bytes()
	}
	other := frametest.Inner(secret)
	other.DestinationPort = 22
	foreign := frametest.Copy(1, frametest.Inner(secret).Bytes())
	foreign.Source = frametest.ClientAddr
	return [][]byte{
		to(foreign),
		to(frametest.Copy(2, frametest.Inner(secret).Bytes())),
		to(frametest.Copy(1, frametest.Inner(secret).Bytes())),
		to(frametest.Copy(1, other.Bytes())),
		to(frametest.Copy(1, frametest.Inner(secret).Bytes()[:60])),
	}
}

// clocks are what is never the same twice, the MAC of the wire among it.
var clocks = regexp.MustCompile(`(?m)^\d\d:\d\d:\d\d\.\d{6}`)

func TestTheCopiesOfASessionAreLinesWithTheFiltersVerdict(t *testing.T) {
	const inner = "fa:16:3e:7e:d6:77 > fa:16:3e:7e:d6:bc, IPv4, length "
	const outer = "fa:16:3e:d1:6b:5d > MAC, IPv4, length %d: 192.168.0.230.32838 > 192.168.0.164.4789: VXLAN, flags [I] (0x08), vni 1: "
	const flow = "192.168.0.161.38944 > 192.168.0.230.1234: Flags [P.], seq 1, length 22"
	for name, c := range map[string]struct {
		view tail.View
		want []string
	}{
		"inner": {tail.View{}, []string{
			"TIME accepted by ingress rule 1, from 192.168.0.230: " + inner + "76: " + flow,
			"TIME unexpected, no rule accepts it, from 192.168.0.230: " + inner + "76: " + strings.Replace(flow, ".1234", ".22", 1),
			"TIME accepted by ingress rule 1, from 192.168.0.230: " + inner + "60 of 76: " + flow,
		}},
		"outer": {tail.View{Outer: true}, []string{
			"TIME accepted by ingress rule 1, from 192.168.0.230: " + fmt.Sprintf(outer, 126) + inner + "76: " + flow,
			"TIME unexpected, no rule accepts it, from 192.168.0.230: " + fmt.Sprintf(outer, 126) + inner + "76: " + strings.Replace(flow, ".1234", ".22", 1),
			"TIME accepted by ingress rule 1, from 192.168.0.230: " + fmt.Sprintf(outer, 110) + inner + "60 of 76: " + flow,
		}},
		"payload": {tail.View{Payload: true}, []string{
			"TIME accepted by ingress rule 1, from 192.168.0.230: " + inner + "76: " + flow,
			"\t00000000  61 20 73 65 63 72 65 74  20 6f 66 20 74 68 65 20  |a secret of the |",
			"\t00000010  74 65 6e 61 6e 74                                 |tenant|",
			"TIME unexpected, no rule accepts it, from 192.168.0.230: " + inner + "76: " + strings.Replace(flow, ".1234", ".22", 1),
			"\t00000000  61 20 73 65 63 72 65 74  20 6f 66 20 74 68 65 20  |a secret of the |",
			"\t00000010  74 65 6e 61 6e 74                                 |tenant|",
			"TIME accepted by ingress rule 1, from 192.168.0.230: " + inner + "60 of 76: " + flow,
			"\t00000000  61 20 73 65 63 72                                 |a secr|",
		}},
	} {
		t.Run(name, func(t *testing.T) {
			r := start(t, func(o *tail.Options) { o.View = c.view })
			r.pair.Sender.Send(t, copies(t, r.pair)...)
			r.lines(len(c.want))
			err := r.end()
			got := strings.ReplaceAll(clocks.ReplaceAllString(r.out.String(), "TIME"), net.HardwareAddr(r.pair.Receiver.MAC[:]).String(), "MAC")
			if diff := cmp.Diff(c.want, strings.Split(strings.TrimSuffix(got, "\n"), "\n")); diff != "" || err != nil {
				t.Errorf("%v (-want +got):\n%s", err, diff)
			}
			if !strings.HasSuffix(r.notes.String(), "ns/s: 3 copies were seen, 3 shown, 0 missing; ended because it was interrupted\n") {
				t.Errorf("what is told: %s", r.notes.String())
			}
		})
	}
}

func TestACaptureFileHasOnlyHeadersWithTheirOriginalLengthsAndTheVerdicts(t *testing.T) {
	type packet struct{ Captured, Length int }
	for name, c := range map[string]struct {
		view tail.View
		want []packet
	}{
		"inner":               {tail.View{}, []packet{{54, 76}, {54, 76}, {54, 76}}},
		"outer":               {tail.View{Outer: true}, []packet{{104, 126}, {104, 126}, {104, 110}}},
		"inner, with payload": {tail.View{Payload: true}, []packet{{76, 76}, {76, 76}, {60, 76}}},
		"outer, with payload": {tail.View{Outer: true, Payload: true}, []packet{{126, 126}, {126, 126}, {110, 110}}},
	} {
		t.Run(name, func(t *testing.T) {
			r := start(t, func(o *tail.Options) { o.View, o.Pcapng, o.Packets = c.view, true, 3 })
			r.pair.Sender.Send(t, copies(t, r.pair)...)
			if err := r.wait(); err != nil {
				t.Fatal(err)
			}
			content := r.out.String()
			path := filepath.Join(t.TempDir(), "copies.pcapng")
			if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
			file, err := pcapgo.NewNgReader(strings.NewReader(content), pcapgo.DefaultNgReaderOptions)
			if err != nil {
				t.Fatal(err)
			}
			var got []packet
			for {
				data, info, err := file.ReadPacketData()
				if errors.Is(err, io.EOF) {
					break
				}
				if err != nil {
					t.Fatal(err)
				}
				if shows := bytes.Contains(data, []byte("secr")); shows != c.view.Payload {
					t.Errorf("payload is shown: %v", shows)
				}
				if age := time.Since(info.Timestamp); age < 0 || age > time.Hour {
					t.Errorf("a packet of %s", info.Timestamp)
				}
				got = append(got, packet{info.CaptureLength, info.Length})
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			for _, comment := range []string{
				"accepted by ingress rule 1", "unexpected, no rule accepts it", "accepted by ingress rule 1; the mirror cut it to 60 bytes",
				"MirrorSession ns/s: ", "3 copies were seen, 3 shown, 0 missing",
			} {
				if !strings.Contains(content, comment) {
					t.Errorf("no comment %q", comment)
				}
			}
			if !strings.Contains(r.notes.String(), "ended because 3 copies were shown (--packets)") {
				t.Errorf("what is told: %s", r.notes.String())
			}
		})
	}
}

// stuck is a reader that takes nothing until it is released.
type stuck struct{ free chan struct{} }

func (s stuck) Write(p []byte) (int, error) {
	<-s.free
	return len(p), nil
}

func TestAReaderThatStopsReadingLosesLinesAndNoCounts(t *testing.T) {
	reader := stuck{make(chan struct{})}
	r := start(t, func(o *tail.Options) { o.Out, o.Packets = reader, 1_000_000 })
	counts := tally.New(vxlan.Port)
	c, here := agent.NewLocator().Locate(session(), filter(), []agent.Interface{{Index: r.pair.Receiver.Index, Name: "right", Addresses: []netip.Addr{frametest.TargetAddr}}})
	if !here {
		t.Fatal("the session is not counted here")
	}
	if _, err := counts.SetSessions([]tally.Session{c.Session}); err != nil {
		t.Fatal(err)
	}
	var ring *capture.Ring
	r.pair.Receiver.Do(t, func() (err error) {
		ring, err = capture.OpenRing(r.pair.Receiver.Index, vxlan.Port, capture.RingOptions{})
		return err
	})
	counted := make(chan error, 1)
	go func() {
		for {
			block, err := ring.Next(time.Minute)
			if err != nil {
				counted <- err
				return
			}
			if block != nil {
				counts.Count(block)
				block.Release()
			}
		}
	}()
	const sent = 20_000
	frame := copies(t, r.pair)[2]
	for range sent / 100 {
		batch := make([][]byte, 100)
		for i := range batch {
			batch[i] = frame
		}
		r.pair.Sender.Send(t, batch...)
	}
	until(t, "counts", func() string { s, _ := new(counts.Snapshot()).Session(c.Session.ID); return fmt.Sprint(s.Accepted) }, func(n string) bool { return n == fmt.Sprint(sent) })
	if err := r.end(); err != nil {
		t.Fatal(err)
	}
	close(reader.free)
	ring.Stop()
	if err := <-counted; !errors.Is(err, capture.ErrClosed) {
		t.Error(err)
	}
	if err := ring.Close(); err != nil {
		t.Error(err)
	}
	notes := r.notes.String()
	var seen, shown, missing, dropped int
	_, summary, _ := strings.Cut(notes, "\nns/s: ")
	if n, _ := fmt.Sscanf(summary, "%d copies were seen, %d shown, %d missing; the kernel dropped %d", &seen, &shown, &missing, &dropped); n < 3 {
		t.Fatalf("what is told: %s", notes)
	}
	if seen+dropped != sent || shown+missing != seen || missing == 0 || !strings.Contains(summary, "the last of them were not read") {
		t.Errorf("%d copies were sent; what is told: %s", sent, notes)
	}
}

func TestATailEndsWithWhoeverStartedItWithItsLimitsAndBeforeThePodsMemory(t *testing.T) {
	lines := func(o *tail.Options) { o.Lifeline = 100 * time.Millisecond }
	scarce := func(o *tail.Options) {
		first := true
		o.Memory = func() memory.Usage {
			u := memory.Usage{Pod: 40 << 20, PodLimit: 100 << 20}
			if !first {
				u.Pod = 90 << 20
			}
			first = false
			return u
		}
	}
	for name, c := range map[string]struct {
		edit      func(*tail.Options)
		err, note string
	}{
		"silence": {lines, "", "ended because nothing was heard for 100ms from whoever started it"},
		"time":    {func(o *tail.Options) { o.Time = 50 * time.Millisecond }, "", "ended because 50ms are over (--for)"},
		"memory":  {scarce, "the verifier's pod is nearly short of memory: it needs almost all of the 100 MiB that its control group has; the kernel then ends the process: raise both limits before it is; no more copies are shown, so that they go on being counted", "0 copies were seen"},
		"at once": {func(o *tail.Options) {
			o.Memory, o.Older = func() memory.Usage { return memory.Usage{Pod: 70 << 20, PodLimit: 128 << 20} }, func() int { return 1 }
		}, "the verifier's pod uses 70 of its 128 MiB of memory, and a tail may take 24 more beside the 1 that run there already: copies are not shown, so that they go on being counted; try again later, or raise verifier.resources.limits.memory of the chart", ""},
		"before it began": {func(o *tail.Options) {
			o.In = strings.NewReader("")
			o.Find = func(ctx context.Context) (*v1alpha1.MirrorSession, *v1alpha1.MirrorFilter, error) {
				<-ctx.Done()
				return nil, nil, fmt.Errorf("read: %w", ctx.Err())
			}
		}, "", "ns/s: ended because it was interrupted"},
		"unknown": {func(o *tail.Options) {
			o.Find = func(context.Context) (*v1alpha1.MirrorSession, *v1alpha1.MirrorFilter, error) { return nil, nil, nil }
		}, "there is no MirrorSession ns/s", ""},
		"elsewhere": {func(o *tail.Options) {
			o.Interfaces = func() ([]agent.Interface, error) { return nil, nil }
		}, "no copies of MirrorSession ns/s are expected on node node-1: its target is not here, or it is not in the cloud yet; kubectl mirror why says where it stands", ""},
	} {
		t.Run(name, func(t *testing.T) {
			r := start(t, c.edit)
			got := ""
			if err := r.wait(); err != nil {
				got = err.Error()
			}
			if got != c.err || !strings.Contains(r.notes.String(), c.note) {
				t.Errorf("error %q, want %q; what is told: %s", got, c.err, r.notes.String())
			}
		})
	}
}

// A session is read again and again: what its filter is by then decides, from the same ring.
func TestAChangeOfTheSessionIsFollowedAndAnAPIServerThatIsAwayEndsNothing(t *testing.T) {
	type answer struct {
		session *v1alpha1.MirrorSession
		filter  *v1alpha1.MirrorFilter
		err     error
	}
	rejecting := filter()
	rejecting.Spec.Rules[0].Action = v1alpha1.ActionReject
	more := session()
	more.Status.Sources = append(more.Status.Sources, v1alpha1.ResolvedInterface{InterfaceID: "s2", Addresses: []string{frametest.ClientAddr.String()}})
	answers := make(chan answer, 1)
	now := answer{session(), filter(), nil}
	r := start(t, func(o *tail.Options) {
		o.Every = time.Millisecond
		o.Find = func(context.Context) (*v1alpha1.MirrorSession, *v1alpha1.MirrorFilter, error) {
			select {
			case now = <-answers:
			default:
			}
			return now.session, now.filter, now.err
		}
	})
	sent := 0
	shows := func(a answer, note, verdict string) {
		t.Helper()
		answers <- a
		until(t, note, r.notes.String, func(s string) bool { return strings.HasSuffix(s, note) })
		r.pair.Sender.Send(t, copies(t, r.pair)[2])
		sent++
		if lines := r.lines(sent); !strings.Contains(lines[strings.LastIndexByte(lines[:len(lines)-1], '\n')+1:], verdict) {
			t.Errorf("after %q: %s", note, lines)
		}
	}
	const begins = "10000 copies, 67108864 bytes, 10m0s\n"
	shows(answer{session(), filter(), nil}, begins, "accepted by ingress rule 1, from")
	shows(answer{nil, nil, errors.New("the API server is away")}, "ns/s: copies are shown as of before: the API server is away\n", "accepted by ingress rule 1, from")
	shows(answer{session(), rejecting, nil}, "the session has changed\nMirrorSession ns/s: headers of inner frames with VNI 1 from 192.168.0.230, on right of node node-1; at most "+begins, "unexpected, rejected by ingress rule 1")
	if len(r.opened) != 0 {
		t.Error("a ring was opened for a filter that changed")
	}
	shows(answer{more, filter(), nil}, "from 192.168.0.230, 192.168.0.161, on right of node node-1; at most "+begins, "accepted by ingress rule 1, from")
	if len(r.opened) != 1 {
		t.Errorf("%d rings were opened for a source more", len(r.opened))
	}
	answers <- answer{}
	if err := r.wait(); err == nil || err.Error() != "there is no MirrorSession ns/s" {
		t.Errorf("the session was deleted: %v", err)
	}
	if !strings.Contains(r.notes.String(), "ns/s: 4 copies were seen, 4 shown, 0 missing\n") {
		t.Errorf("what is told: %s", r.notes.String())
	}
}
