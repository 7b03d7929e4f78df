package diagnosis

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

const (
	servicePort = 1234
	// lowPort is one from which no client opens connections.
	lowPort  = 514
	peerPort = 40000
	// pace is the time between two packets of a flow, and size what they carry.
	pace = 500 * time.Millisecond
	size = 64
)

// flow is packets from one address to another.
type flow struct {
	conn    net.PacketConn
	to      net.Addr
	payload []byte
	off     atomic.Bool
}

// traffic sends the packets of all flows.
type traffic struct {
	mu    sync.Mutex
	flows []*flow
}

func (tr *traffic) add(f *flow) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	tr.flows = append(tr.flows, f)
}

// start sends until the test ends.
func (tr *traffic) start(t *testing.T) {
	t.Helper()
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(pace)
		defer tick.Stop()
		for {
			select {
			case <-stop:
				return
			case <-tick.C:
				tr.send()
			}
		}
	}()
	later(func() error { close(stop); <-done; return nil })
}

func (tr *traffic) send() {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	for _, f := range tr.flows {
		if !f.off.Load() {
			_, _ = f.conn.WriteTo(f.payload, f.to) // what does not pass is what is looked at
		}
	}
}

// open makes a flow of UDP from an interface to an address.
func (w *world) open(from nic, port int, to netip.AddrPort, payload []byte) (*flow, error) {
	f := &flow{to: net.UDPAddrFromAddrPort(to), payload: payload}
	err := w.inside(from.host, func() (err error) {
		config := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
			var failed error
			err := c.Control(func(fd uintptr) { failed = syscall.BindToDevice(int(fd), from.device) })
			if err == nil {
				err = failed
			}
			return err
		}}
		f.conn, err = config.ListenPacket(w.t.Context(), "udp4", netip.AddrPortFrom(from.addr, uint16(port)).String())
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("opening a flow from %s to %s: %w", from.addr, to, err)
	}
	later(f.conn.Close)
	w.traffic.add(f)
	return f, nil
}

// receive opens the sinks of a row's sources, one on each server.
func (s *site) receive() error {
	open := map[string]bool{}
	for _, source := range s.sources {
		if open[source.host] {
			continue
		}
		open[source.host] = true
		if err := errors.Join(s.allowAnyWay(source.host), s.sink(source.host, s.service())); err != nil {
			return fmt.Errorf("opening the sink of %s: %w", source.host, err)
		}
	}
	return nil
}

// listen opens the sinks of a row's sources, and its flows.
func (s *site) listen() error {
	if err := s.receive(); err != nil {
		return err
	}
	for i, source := range s.sources {
		length := size
		if s.needs.size != 0 {
			length = s.needs.size
		}
		from, to := s.peer, source
		if s.needs.egress {
			from, to = source, s.peer
		}
		port := 0 // of the kernel's choice: one host sends to all
		if s.needs.egress {
			port = peerPort
		}
		f, err := s.open(from, port, netip.AddrPortFrom(to.addr, uint16(s.service())), make([]byte, length))
		if err != nil {
			return err
		}
		f.off.Store(s.needs.quiet && i == 0)
		s.sent = append(s.sent, f)
	}
	return nil
}
