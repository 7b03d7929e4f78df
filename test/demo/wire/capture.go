// Package wire is the demo's own view of the wire: it captures VXLAN datagrams at a
// host, takes one apart with gopacket, and makes false ones to send. It shares nothing
// with the verifier, whose judge it is.
//
// It may import test/cloudsim/dataplane/netns of ours.
package wire

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"time"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"github.com/google/gopacket/pcapgo"
	"github.com/mdlayher/socket"
	"golang.org/x/sys/unix"

	"vpcmirror.io/operator/test/cloudsim/dataplane/netns"
)

// Port is the UDP port of VXLAN.
const Port = 4789

const (
	longest = 1 << 16
	// bufferSize is the socket's buffer; the demo's few thousand small frames fit in at once.
	bufferSize = 8 << 20
)

// Capture keeps the VXLAN datagrams that a host has received, in memory and in a pcap
// file.
type Capture struct {
	conn   *socket.Conn
	cancel context.CancelFunc
	done   chan struct{}

	mu     sync.Mutex
	copies []Copy
	failed error
}

// Open captures at a device of a host, and writes what it sees to a pcap file, until it
// is closed: that ctx ends does not end it.
func Open(ctx context.Context, namespace, device, path string) (*Capture, error) {
	conn, err := openSocket(namespace, device)
	if err != nil {
		return nil, fmt.Errorf("capturing at %s in %s: %w", device, namespace, err)
	}
	file, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o644)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("making the capture file: %w", err), conn.Close())
	}
	writer := pcapgo.NewWriterNanos(file)
	if err := writer.WriteFileHeader(longest, layers.LinkTypeEthernet); err != nil {
		return nil, errors.Join(fmt.Errorf("writing the capture file: %w", err), file.Close(), conn.Close())
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	c := &Capture{conn: conn, cancel: cancel, done: make(chan struct{})}
	go func() {
		defer close(c.done)
		err := errors.Join(c.read(ctx, writer), file.Close())
		c.mu.Lock()
		c.failed = err
		c.mu.Unlock()
	}()
	return c, nil
}

func openSocket(namespace, device string) (*socket.Conn, error) {
	var conn *socket.Conn
	err := netns.In(namespace, func() error {
		nic, err := net.InterfaceByName(device)
		if err != nil {
			return err
		}
		// Protocol 0: nothing is captured before the socket is bound to the device.
		conn, err = socket.Socket(unix.AF_PACKET, unix.SOCK_RAW, 0, "packet", nil)
		if err != nil {
			return netns.Needs("CAP_NET_RAW", err)
		}
		if err := conn.SetReadBuffer(bufferSize); err != nil {
			return err
		}
		return conn.Bind(&unix.SockaddrLinklayer{Protocol: networkOrder(unix.ETH_P_IP), Ifindex: nic.Index})
	})
	if err != nil && conn != nil {
		err = errors.Join(err, conn.Close())
	}
	return conn, err
}

// networkOrder turns a protocol's number into what bind(2) wants on the little-endian
// machines that we build for (amd64, arm64).
func networkOrder(protocol uint16) uint16 { return protocol<<8 | protocol>>8 }

// read keeps copies until the capture is closed.
func (c *Capture) read(ctx context.Context, writer *pcapgo.Writer) error {
	buffer := make([]byte, longest)
	for {
		n, from, err := c.conn.Recvfrom(ctx, buffer, 0)
		if err != nil {
			return failure(ctx, err)
		}
		if link, ok := from.(*unix.SockaddrLinklayer); ok && link.Pkttype == unix.PACKET_OUTGOING {
			continue
		}
		at := time.Now()
		frame, isCopy, err := Decode(at, append([]byte(nil), buffer[:n]...))
		if !isCopy {
			continue
		}
		if err != nil {
			return fmt.Errorf("a VXLAN datagram that can't be read was captured: %w", err)
		}
		if err := writer.WritePacket(gopacket.CaptureInfo{Timestamp: at, CaptureLength: n, Length: n}, buffer[:n]); err != nil {
			return fmt.Errorf("writing the capture file: %w", err)
		}
		c.mu.Lock()
		c.copies = append(c.copies, frame)
		c.mu.Unlock()
	}
}

// failure is nil where the capture was closed.
func failure(ctx context.Context, err error) error {
	if ctx.Err() == nil {
		return fmt.Errorf("capturing: %w", err)
	}
	return nil
}

// Copies are those captured so far. It fails when the capture has ended by itself.
func (c *Capture) Copies() ([]Copy, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]Copy(nil), c.copies...), c.failed
}

// Close ends the capture and finishes the file. Closing twice is no error.
func (c *Capture) Close() error {
	c.cancel()
	<-c.done
	err := c.conn.Close()
	if errors.Is(err, os.ErrClosed) {
		err = nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return errors.Join(c.failed, err)
}
