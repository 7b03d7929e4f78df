package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"

	"vpcmirror.io/operator/test/cloudsim/dataplane/netns"
)

// conversation is a TCP connection from one server to another, as two `nc` have it: one
// listens, the other connects and sends lines. Both ends are ours, so each line is known
// to have arrived.
type conversation struct {
	near, far *net.TCPConn
	read      *bufio.Reader // at the far end
	answers   *bufio.Reader // at the near end
}

// connect opens a conversation.
func (d *demo) connect(ctx context.Context, from, to server, port uint16) (_ *conversation, err error) {
	doing := fmt.Sprintf("connecting from %s to TCP port %d of %s", from.name, port, to.name)
	deadline := time.Now().Add(patience)
	var listener *net.TCPListener
	err = netns.In(d.namespace(to), func() (err error) {
		listener, err = net.ListenTCP("tcp4", net.TCPAddrFromAddrPort(to.at(port)))
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("listening on TCP port %d of %s: %w", port, to.name, err)
	}
	defer listener.Close()
	if err := listener.SetDeadline(deadline); err != nil {
		return nil, fmt.Errorf("%s: %w", doing, err)
	}
	c := &conversation{}
	err = netns.In(d.namespace(from), func() error {
		near, err := (&net.Dialer{Deadline: deadline}).DialContext(ctx, "tcp4", to.at(port).String())
		if err == nil {
			c.near = near.(*net.TCPConn)
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", doing, err)
	}
	if c.far, err = listener.AcceptTCP(); err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", doing, err), c.near.Close())
	}
	c.read, c.answers = bufio.NewReader(c.far), bufio.NewReader(c.near)
	return c, errors.Join(c.near.SetDeadline(deadline), c.far.SetDeadline(deadline))
}

// say sends a line and returns when it has arrived.
func (c *conversation) say(line string) error { return pass(line, c.near, c.read) }

// answer sends a line the other way and returns when it has arrived.
func (c *conversation) answer(line string) error { return pass(line, c.far, c.answers) }

func pass(line string, from net.Conn, to *bufio.Reader) error {
	if _, err := fmt.Fprintln(from, line); err != nil {
		return fmt.Errorf("sending %q: %w", line, err)
	}
	got, err := to.ReadString('\n')
	if err != nil {
		return fmt.Errorf("waiting until %q arrives: %w", line, err)
	}
	if got != line+"\n" {
		return fmt.Errorf("%q was sent, %q arrived", line, got)
	}
	return nil
}

// hangUp ends the conversation as Ctrl-C of a `nc` does: each end says that it is done,
// and knows that the other is.
func (c *conversation) hangUp() error {
	if c.near == nil {
		return nil
	}
	err := c.near.CloseWrite()
	if err == nil {
		err = end(c.read)
	}
	err = errors.Join(err, c.far.Close())
	if err == nil {
		err = end(c.answers)
	}
	err = errors.Join(err, c.near.Close())
	c.near = nil
	if err != nil {
		return fmt.Errorf("ending a conversation: %w", err)
	}
	return nil
}

// drop ends the conversation without a word, where hangUp was not reached.
func (c *conversation) drop() error {
	if c.near == nil {
		return nil
	}
	return errors.Join(c.near.Close(), c.far.Close())
}

// end reads the end of what was sent.
func end(r *bufio.Reader) error {
	if rest, err := r.ReadString('\n'); err == nil || rest != "" {
		return fmt.Errorf("%q came where the end was expected", rest)
	}
	return nil
}

// talkOnce is a whole conversation.
func (d *demo) talkOnce(ctx context.Context, from, to server, port uint16, lines ...string) error {
	c, err := d.connect(ctx, from, to, port)
	if err != nil {
		return err
	}
	for _, line := range lines {
		err = errors.Join(err, c.say(line))
	}
	return errors.Join(err, c.hangUp())
}

// sendUDP sends datagrams of one server to another from a port of its own. Where the
// other is to receive them (heard), it returns when all have arrived.
func (d *demo) sendUDP(from, to server, port uint16, heard bool, payloads ...[]byte) error {
	var near, far net.PacketConn
	err := netns.In(d.namespace(from), func() (err error) {
		near, err = net.ListenPacket("udp4", netip.AddrPortFrom(from.address, 0).String())
		return err
	})
	if err != nil {
		return fmt.Errorf("opening a UDP socket in %s: %w", from.name, err)
	}
	defer near.Close()
	if heard {
		err := netns.In(d.namespace(to), func() (err error) {
			far, err = net.ListenPacket("udp4", to.at(port).String())
			return err
		})
		if err != nil {
			return fmt.Errorf("listening on UDP port %d of %s: %w", port, to.name, err)
		}
		defer far.Close()
		if err := far.SetDeadline(time.Now().Add(patience)); err != nil {
			return fmt.Errorf("listening on UDP port %d of %s: %w", port, to.name, err)
		}
	}
	buffer := make([]byte, 1<<16)
	for _, payload := range payloads {
		if _, err := near.WriteTo(payload, net.UDPAddrFromAddrPort(to.at(port))); err != nil {
			return fmt.Errorf("sending UDP from %s to %s: %w", from.name, to.name, err)
		}
		if far == nil {
			continue
		}
		if _, _, err := far.ReadFrom(buffer); err != nil {
			return fmt.Errorf("waiting for UDP from %s at %s: %w", from.name, to.name, err)
		}
	}
	return nil
}

// linePause is how often a line is said: many between two reports of the verifier.
const linePause = 200 * time.Millisecond

// chatter is a conversation that goes on, line after line, until it is stopped.
type chatter struct {
	talk   *conversation
	mu     sync.Mutex // held while a line is on its way
	cancel context.CancelFunc
	done   chan error
}

// chat begins to talk.
func (d *demo) chat(ctx context.Context, from, to server, port uint16) (*chatter, error) {
	talk, err := d.connect(ctx, from, to, port)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	c := &chatter{talk: talk, cancel: cancel, done: make(chan error, 1)}
	d.later("the conversation that goes on", func() error {
		cancel()
		return nil
	})
	go c.run(ctx)
	return c, nil
}

func (c *chatter) run(ctx context.Context) {
	pace := time.NewTicker(linePause)
	defer pace.Stop()
	for {
		err := c.pause(func() error {
			deadline := time.Now().Add(patience)
			return errors.Join(c.talk.near.SetDeadline(deadline), c.talk.far.SetDeadline(deadline), c.talk.say("12345"))
		})
		if err != nil {
			c.done <- errors.Join(err, c.talk.drop())
			return
		}
		select {
		case <-ctx.Done():
			c.done <- c.talk.hangUp()
			return
		case <-pace.C:
		}
	}
}

// pause does something between two lines: every packet of those before has arrived.
func (c *chatter) pause(do func() error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return do()
}

// stop hangs up, and returns what went wrong with any line.
func (c *chatter) stop() error {
	c.cancel()
	return <-c.done
}
