package e2e

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"testing"
	"time"
)

// line is a TCP connection from ecs-test to TCP 1234 of ecs-source, as two `nc` have it.
// Both ends are ours, so what was said is known to have arrived.
type line struct {
	near, far net.Conn
	heard     *bufio.Reader
}

// connect opens a line.
func (w *world) connect(t *testing.T) *line {
	t.Helper()
	var listener net.Listener
	err := w.InNode(ecsSource, func() (err error) {
		listener, err = net.Listen("tcp4", "192.168.0.230:1234")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	l := &line{}
	err = w.InNode(ecsTest, func() (err error) {
		l.near, err = net.DialTimeout("tcp4", "192.168.0.230:1234", 10*time.Second)
		return err
	})
	if err != nil {
		t.Fatalf("connecting from ecs-test to ecs-source: %v", err)
	}
	if l.far, err = listener.Accept(); err != nil {
		t.Fatal(err)
	}
	l.heard = bufio.NewReader(l.far)
	t.Cleanup(func() { _ = errors.Join(l.near.Close(), l.far.Close()) }) // no news when it was hung up
	return l
}

// say sends a line of text and returns when it has arrived.
func (l *line) say(text string) error {
	deadline := time.Now().Add(20 * time.Second)
	if err := errors.Join(l.near.SetDeadline(deadline), l.far.SetDeadline(deadline)); err != nil {
		return err
	}
	if _, err := fmt.Fprintln(l.near, text); err != nil {
		return err
	}
	got, err := l.heard.ReadString('\n')
	if err == nil && got != text+"\n" {
		err = fmt.Errorf("%q was sent, %q arrived", text, got)
	}
	return err
}

// hangUp closes both ends.
func (l *line) hangUp(t *testing.T) {
	t.Helper()
	if err := errors.Join(l.near.Close(), l.far.Close()); err != nil {
		t.Fatal(err)
	}
}

// chatter talks on and on, about 50 lines a second, until it is told to stop.
type chatter struct {
	cancel context.CancelFunc
	done   chan error
}

func (w *world) chat(t *testing.T) *chatter {
	t.Helper()
	l := w.connect(t)
	ctx, cancel := context.WithCancel(t.Context())
	c := &chatter{cancel: cancel, done: make(chan error, 1)}
	t.Cleanup(cancel)
	go func() {
		pace := time.NewTicker(20 * time.Millisecond)
		defer pace.Stop()
		for {
			select {
			case <-ctx.Done():
				c.done <- errors.Join(l.near.Close(), l.far.Close())
				return
			case <-pace.C:
				if err := l.say("12345"); err != nil {
					c.done <- fmt.Errorf("talking: %w", err)
					return
				}
			}
		}
	}()
	return c
}

// stop ends the talk and reports whether every line has arrived.
func (c *chatter) stop(t *testing.T) {
	t.Helper()
	c.cancel()
	if err := <-c.done; err != nil {
		t.Fatal(err)
	}
}

// sendUDP sends datagrams from a node to an address.
func (w *world) sendUDP(t *testing.T, node, to string, count int, payload []byte) {
	t.Helper()
	var conn net.PacketConn
	err := w.InNode(node, func() (err error) {
		conn, err = net.ListenPacket("udp4", ":0")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	address, err := net.ResolveUDPAddr("udp4", to)
	if err != nil {
		t.Fatal(err)
	}
	for range count {
		if _, err := conn.WriteTo(payload, address); err != nil {
			t.Fatal(err)
		}
	}
}
