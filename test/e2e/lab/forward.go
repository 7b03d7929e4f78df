package lab

import (
	"fmt"
	"io"
	"net"
	"net/netip"
	"sync"
	"time"

	"vpcmirror.io/operator/test/cloudsim/dataplane/netns"
)

// forwarder makes one address of the control plane's namespace reachable as a port of
// 127.0.0.1 in the machine's own.
type forwarder struct {
	address  netip.AddrPort // of 127.0.0.1
	listener net.Listener

	mu     sync.Mutex
	open   map[net.Conn]bool
	closed bool
	busy   sync.WaitGroup
}

const dialTimeout = 5 * time.Second

// forward starts a forwarder on any free port.
func forward(namespace string, to netip.AddrPort) (*forwarder, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen for connections to %s: %w", to, err)
	}
	f := &forwarder{
		address: listener.Addr().(*net.TCPAddr).AddrPort(), listener: listener, open: map[net.Conn]bool{},
	}
	f.busy.Go(func() {
		for {
			near, err := listener.Accept()
			if err != nil {
				return // closed
			}
			f.busy.Go(func() { f.join(near, namespace, to) })
		}
	})
	return f, nil
}

// join joins one connection with the other side until one of the two ends.
func (f *forwarder) join(near net.Conn, namespace string, to netip.AddrPort) {
	defer f.drop(near)
	if !f.keep(near) {
		return
	}
	var far net.Conn
	err := netns.In(namespace, func() (err error) {
		far, err = net.DialTimeout("tcp", to.String(), dialTimeout)
		return err
	})
	if err != nil {
		return // as when nobody listens: the client sees the connection end
	}
	defer f.drop(far)
	if !f.keep(far) {
		return
	}
	ended := make(chan struct{}, 2)
	for _, way := range [][2]net.Conn{{near, far}, {far, near}} {
		f.busy.Go(func() {
			_, _ = io.Copy(way[0], way[1]) // how a connection ends is its users' business
			ended <- struct{}{}
		})
	}
	<-ended
}

func (f *forwarder) keep(c net.Conn) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.closed {
		f.open[c] = true
	}
	return !f.closed
}

func (f *forwarder) drop(c net.Conn) {
	_ = c.Close()
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.open, c)
}

// close ends every connection and returns when all is quiet.
func (f *forwarder) close() error {
	err := f.listener.Close()
	f.mu.Lock()
	f.closed = true
	for c := range f.open {
		_ = c.Close()
	}
	f.mu.Unlock()
	f.busy.Wait()
	return err
}
