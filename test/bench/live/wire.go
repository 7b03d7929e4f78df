package live

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"time"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"

	"vpcmirror.io/operator/test/bench/core"
)

// wire is two network namespaces joined by a veth pair. They have no names: when this process and
// those that it started have ended, however they did, nothing is left of them.
//
// The sides have cores of their own. What a frame costs the kernel, up to and including the copy for
// a packet socket, is paid where it is sent; what it costs the reader, on the reader's core alone.
type wire struct {
	sender, receiver side
	apart            bool // the cores are no threads of one
}

type side struct {
	core   int
	name   string
	index  int
	mac    [6]byte
	space  netns.NsHandle
	kernel *netlink.Handle
}

// newWire makes the namespaces. Datagrams that reach the receiver are dropped right behind the
// packet sockets: it neither answers nor spends more on them.
func newWire() (w *wire, err error) {
	w = &wire{sender: side{name: "left", space: -1}, receiver: side{name: "right", space: -1}}
	if w.sender.core, w.receiver.core, w.apart, err = core.Two(); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			w.close()
		}
	}()
	for _, s := range []*side{&w.sender, &w.receiver} {
		if err := s.open(); err != nil {
			return nil, err
		}
	}
	veth := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: w.sender.name}, PeerName: w.receiver.name, PeerNamespace: netlink.NsFd(w.receiver.space)}
	if err := w.sender.kernel.LinkAdd(veth); err != nil {
		return nil, fmt.Errorf("make a veth pair: %w", err)
	}
	for _, s := range []*side{&w.sender, &w.receiver} {
		link, err := s.kernel.LinkByName(s.name)
		if err != nil {
			return nil, fmt.Errorf("find the interface %s: %w", s.name, err)
		}
		s.index, s.mac = link.Attrs().Index, [6]byte(link.Attrs().HardwareAddr)
		// Whatever is longer, as every burst is, is cut up before it leaves.
		if err := s.kernel.LinkSetGSOMaxSize(link, 2048); err != nil {
			return nil, fmt.Errorf("bound what the interface %s sends joined: %w", s.name, err)
		}
		if err := s.kernel.LinkSetUp(link); err != nil {
			return nil, fmt.Errorf("set up the interface %s: %w", s.name, err)
		}
	}
	if err := w.receiver.drop(); err != nil {
		return nil, err
	}
	return w, w.untilUp()
}

// close gives back what holds the namespaces. They go with the last process in them.
func (w *wire) close() {
	for _, s := range []*side{&w.sender, &w.receiver} {
		if s.kernel != nil {
			s.kernel.Close()
		}
		if s.space.IsOpen() {
			_ = s.space.Close() // nothing was written to it
		}
	}
}

// untilUp waits until both ends carry frames: the kernel drops without a word what is sent before.
func (w *wire) untilUp() error {
	poll := time.NewTicker(time.Millisecond)
	defer poll.Stop()
	end := time.Now().Add(10 * time.Second)
	for _, s := range []*side{&w.sender, &w.receiver} {
		for ; ; <-poll.C {
			link, err := s.kernel.LinkByName(s.name)
			if err != nil {
				return fmt.Errorf("find the interface %s: %w", s.name, err)
			}
			if link.Attrs().OperState == netlink.OperUp {
				break
			}
			if time.Now().After(end) {
				return fmt.Errorf("the interface %s does not come up", s.name)
			}
		}
	}
	return nil
}

// open makes the namespace, without chatter of the kernel's own on its wire.
func (s *side) open() error {
	err := core.Do(-1, func() (err error) {
		if s.space, err = netns.New(); err != nil {
			return fmt.Errorf("make a network namespace: %w", err)
		}
		err = os.WriteFile("/proc/sys/net/ipv6/conf/default/disable_ipv6", []byte("1"), 0)
		if err != nil && !errors.Is(err, os.ErrNotExist) { // a kernel without IPv6 has no chatter of it
			return fmt.Errorf("switch off IPv6 in a network namespace: %w", err)
		}
		return nil
	})
	if err != nil {
		return err
	}
	if s.kernel, err = netlink.NewHandleAt(s.space); err != nil {
		return fmt.Errorf("speak to the kernel about a network namespace: %w", err)
	}
	return nil
}

// drop lets the kernel drop all that comes, at its first chance after the packet sockets.
func (s *side) drop() error {
	c, err := nftables.New(nftables.WithNetNSFd(int(s.space)))
	if err != nil {
		return fmt.Errorf("speak to nftables: %w", err)
	}
	table := c.AddTable(&nftables.Table{Name: "bench", Family: nftables.TableFamilyIPv4})
	chain := c.AddChain(&nftables.Chain{
		Name: "drop", Table: table, Type: nftables.ChainTypeFilter,
		Hooknum: nftables.ChainHookPrerouting, Priority: nftables.ChainPriorityRaw,
	})
	c.AddRule(&nftables.Rule{Table: table, Chain: chain, Exprs: []expr.Any{&expr.Verdict{Kind: expr.VerdictDrop}}})
	if err := c.Flush(); err != nil {
		return fmt.Errorf("let nftables drop what arrives (does the kernel have nftables?): %w", err)
	}
	return nil
}

// received is the number of frames that the kernel counted at the interface.
func (s *side) received() (uint64, error) {
	link, err := s.kernel.LinkByName(s.name)
	if err != nil {
		return 0, fmt.Errorf("read the counters of the interface %s: %w", s.name, err)
	}
	return link.Attrs().Statistics.RxPackets, nil
}

// process is a program that runs on one side of the wire, on its core.
type process struct {
	*exec.Cmd
	ended chan struct{}
	err   error // of Wait, once ended is closed
}

// start starts a command on a side, and sees that it dies with this process.
func (s *side) start(command *exec.Cmd) (*process, error) {
	p := &process{Cmd: command, ended: make(chan struct{})}
	command.SysProcAttr = &unix.SysProcAttr{Pdeathsig: unix.SIGKILL}
	started := make(chan error, 1)
	go func() {
		defer close(p.ended)
		// The thread that starts it has to outlive it: Pdeathsig is about that thread.
		err := core.Do(s.core, func() error {
			if err := netns.Set(s.space); err != nil {
				return fmt.Errorf("enter a network namespace: %w", err)
			}
			if err := command.Start(); err != nil {
				return err
			}
			started <- nil
			p.err = command.Wait()
			return nil
		})
		if err != nil {
			started <- fmt.Errorf("start %s: %w", command.Path, err)
		}
	}()
	if err := <-started; err != nil {
		return nil, err
	}
	return p, nil
}
