package diagnosis

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/google/go-cmp/cmp"

	"vpcmirror.io/operator/api/v1alpha1"
)

const (
	// each is how many datagrams go to a source where nothing is edited.
	each = 3
	// between is the time between two datagrams, and most how many there are at most while the spec is edited. Those of a
	// second fit into the queue of a device.
	between, most = 2500 * time.Microsecond, 60_000
)

// herd is a session of many sources, with what was sent to each and which copies of that came.
type herd struct {
	*site
	conn net.PacketConn
	to   map[string]nic // by ID

	mu sync.Mutex
	// sent is how many datagrams went to a source, by its ID. Each bears its number, from 1.
	sent map[string]uint64
	// mirrored is how many of them went there while it was a source of the session.
	mirrored map[string]uint64
	got      map[copied]int
	wrong    error
}

// copied names a copy: the source that it came from, and was sent to, its VNI and its number.
type copied struct {
	From, To netip.Addr
	VNI      uint32
	Number   uint64
}

func newHerd(s *site) *herd {
	h := &herd{site: s, to: map[string]nic{}, sent: map[string]uint64{}, mirrored: map[string]uint64{}, got: map[copied]int{}}
	for _, source := range s.sources {
		h.to[source.id] = source
	}
	s.must(s.receive())
	s.must(s.inside(s.target.host, h.take))
	s.must(s.inside(s.peer.host, func() (err error) {
		h.conn, err = net.ListenPacket("udp4", netip.AddrPortFrom(s.peer.addr, peerPort).String())
		return err
	}))
	later(h.conn.Close)
	return h
}

// take is a consumer that keeps which copies come.
func (h *herd) take() error {
	c, err := net.ListenUDP("udp4", &net.UDPAddr{Port: 4789})
	if err != nil {
		return fmt.Errorf("listening as a consumer: %w", err)
	}
	if err := c.SetReadBuffer(4 << 20); err != nil {
		return fmt.Errorf("making room for copies: %w", err)
	}
	later(c.Close)
	go func() {
		buffer := make([]byte, 2048)
		for {
			n, from, err := c.ReadFromUDPAddrPort(buffer)
			if err != nil {
				return
			}
			h.note(from.Addr().Unmap(), buffer[:n])
		}
	}()
	return nil
}

// note reads a copy: VXLAN (RFC 7348 section 5), Ethernet, IPv4 without options, UDP, the number.
func (h *herd) note(from netip.Addr, b []byte) {
	const vxlan, ethernet, ip, udp, number = 8, 14, 20, 8, 8
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(b) != vxlan+ethernet+ip+udp+number {
		h.wrong = fmt.Errorf("a copy of %d bytes came from %s: % x", len(b), from, b)
		return
	}
	header := b[vxlan+ethernet : vxlan+ethernet+ip]
	h.got[copied{
		From: from, To: netip.AddrFrom4([4]byte(header[16:20])), VNI: binary.BigEndian.Uint32(b[4:8]) >> 8,
		Number: binary.BigEndian.Uint64(b[len(b)-number:]),
	}]++
}

// send sends one numbered datagram to a source.
func (h *herd) send(id string) error {
	h.mu.Lock()
	h.sent[id]++
	payload := binary.BigEndian.AppendUint64(nil, h.sent[id])
	h.mu.Unlock()
	_, err := h.conn.WriteTo(payload, net.UDPAddrFromAddrPort(netip.AddrPortFrom(h.to[id].addr, uint16(h.service()))))
	if err != nil {
		return fmt.Errorf("sending to %s: %w", h.to[id].addr, err)
	}
	return nil
}

// sendEach sends to sources of the session, and sendUnmirrored to those that are none any more.
func (h *herd) sendEach(ids []string) {
	h.t.Helper()
	h.sendUnmirrored(ids)
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, id := range ids {
		h.mirrored[id] = h.sent[id]
	}
}

func (h *herd) sendUnmirrored(ids []string) {
	h.t.Helper()
	tick := time.NewTicker(between)
	defer tick.Stop()
	for range each {
		for _, id := range ids {
			h.must(h.send(id))
			<-tick.C
		}
	}
}

// hurry sends to sources in turn, until it is stopped. stop returns how many datagrams there were.
func (h *herd) hurry(ids []string) (stop func() int) {
	ended, ends := make(chan struct{}), make(chan error, 1)
	count := 0
	go func() {
		ends <- func() error {
			tick := time.NewTicker(between)
			defer tick.Stop()
			for ; ; count++ {
				select {
				case <-ended:
					return nil
				case <-tick.C:
				}
				if count == most {
					return errors.New("all datagrams were sent before the spec was edited")
				}
				if err := h.send(ids[count%len(ids)]); err != nil {
					return err
				}
			}
		}()
	}()
	return func() int {
		close(ended)
		h.must(<-ends)
		h.mu.Lock()
		defer h.mu.Unlock()
		for _, id := range ids {
			h.mirrored[id] = h.sent[id]
		}
		return count
	}
}

// round waits until one more datagram went to each source.
func (h *herd) round(ids []string) {
	h.t.Helper()
	sent := func(id string) uint64 {
		h.mu.Lock()
		defer h.mu.Unlock()
		return h.sent[id]
	}
	before := map[string]uint64{}
	for _, id := range ids {
		before[id] = sent(id)
	}
	h.until("a datagram went to each source", startDeadline, func() error {
		for _, id := range ids {
			if sent(id) == before[id] {
				return fmt.Errorf("none went to %s", h.to[id].addr)
			}
		}
		return nil
	})
}

// books are what the counts are to be when these are the session's sources.
func (h *herd) books(ids []string) books {
	h.mu.Lock()
	defer h.mu.Unlock()
	want := books{Sources: map[string]int64{}}
	for _, n := range h.mirrored {
		want.Total.Packets += int64(n)
	}
	for _, id := range ids {
		want.Sources[id] = int64(h.mirrored[id])
	}
	return want
}

// copiesDiffer says which copies are missing, came twice or should not be there: those of each datagram that was sent to a
// source of the session are to be there once, in one VNI.
func (h *herd) copiesDiffer() error {
	m := &v1alpha1.MirrorSession{}
	if err := h.read(m, h.id); err != nil {
		return err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	want := map[copied]int{}
	for id, n := range h.mirrored {
		addr := h.to[id].addr
		for number := uint64(1); number <= n; number++ {
			want[copied{From: addr, To: addr, VNI: uint32(*m.Status.VNI), Number: number}] = 1
		}
	}
	if diff := cmp.Diff(want, h.got); diff != "" {
		return fmt.Errorf("copies (-sent +came):\n%.4000s", diff)
	}
	return h.wrong
}
