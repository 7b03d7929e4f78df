package capture_test

import (
	"errors"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"vpcmirror.io/operator/controllers/verifier/capture"
	"vpcmirror.io/operator/controllers/verifier/frametest"
	"vpcmirror.io/operator/controllers/verifier/vxlan"
)

const deadline = 20 * time.Second

func openRing(t *testing.T, side *frametest.Side, o capture.RingOptions) *capture.Ring {
	t.Helper()
	var ring *capture.Ring
	side.Do(t, func() (err error) {
		ring, err = capture.OpenRing(side.Index, vxlan.Port, o)
		return err
	})
	t.Cleanup(func() {
		if err := ring.Close(); err != nil {
			t.Error(err)
		}
	})
	return ring
}

// drain reads n frames, or until the ring has an error.
func drain(t *testing.T, ring *capture.Ring, n int) (frames []record, err error) {
	t.Helper()
	until := time.Now().Add(deadline)
	for len(frames) < n {
		block, err := ring.Next(time.Second)
		if err != nil {
			return frames, err
		}
		if block == nil {
			if time.Now().After(until) {
				t.Fatalf("%d frames of %d came within %s", len(frames), n, deadline)
			}
			continue
		}
		var f capture.Frame
		for block.Next(&f) {
			frames = append(frames, record{string(f.Data), f.Length, f.Time})
		}
		block.Release()
	}
	return frames, nil
}

func TestTheRingHoldsTheFrameAsItWasOnTheWire(t *testing.T) {
	pair := frametest.NewPair(t)
	ring := openRing(t, &pair.Receiver, capture.RingOptions{})
	long := frametest.Copy(1, frametest.Inner(string(make([]byte, 1400))).Bytes()).Bytes()
	short := frametest.Copy(1, []byte("x")).Bytes()
	before := time.Now()
	pair.Sender.Send(t, long, short)
	frames, err := drain(t, ring, 2)
	if err != nil {
		t.Fatal(err)
	}
	after := time.Now()
	if frames[0].Data != string(long[:capture.SnapLength]) || frames[0].Length != len(long) {
		t.Errorf("%d bytes captured of %d: %x", len(frames[0].Data), frames[0].Length, frames[0].Data)
	}
	if frames[1].Data != string(short) || frames[1].Length != len(short) {
		t.Errorf("%d bytes captured of %d: %x", len(frames[1].Data), frames[1].Length, frames[1].Data)
	}
	for _, f := range frames {
		if at := time.Unix(0, f.Time); at.Before(before.Add(-time.Second)) || at.After(after.Add(time.Second)) {
			t.Errorf("seen at %s, sent between %s and %s", at, before, after)
		}
	}
}

func TestWhatTheHostItselfSendsIsNotCaptured(t *testing.T) {
	pair := frametest.NewPair(t)
	ring := openRing(t, &pair.Receiver, capture.RingOptions{})
	frame := frametest.Copy(1, []byte("x")).Bytes()
	pair.Receiver.Send(t, frame, frame, frame)
	pair.Sender.Send(t, frame)
	if _, err := drain(t, ring, 1); err != nil {
		t.Fatal(err)
	}
	if stats, err := ring.Stats(); err != nil || stats != (capture.Stats{Frames: 1, Read: 1}) {
		t.Errorf("%+v, %v", stats, err)
	}
}

func TestDropsAreCountedAndTheBooksStillBalance(t *testing.T) {
	pair := frametest.NewPair(t)
	ring := openRing(t, &pair.Receiver, capture.RingOptions{BlockSize: 1 << 16, Blocks: 2})
	frame := frametest.Copy(1, make([]byte, 96)).Bytes()
	frames := make([][]byte, 5000)
	for i := range frames {
		frames[i] = frame
	}
	pair.Sender.Send(t, frames...) // nobody reads meanwhile
	stats, err := ring.Stats()
	if err != nil {
		t.Fatal(err)
	}
	if stats.Frames != uint64(len(frames)) || stats.Drops == 0 || stats.Freezes == 0 {
		t.Fatalf("%+v", stats)
	}
	capacity := uint64(2<<16) / uint64(len(frame)+48) // each frame has a header of 48 bytes at least
	if held := stats.Frames - stats.Drops; held > capacity {
		t.Errorf("the ring holds %d frames, more than its capacity of %d", held, capacity)
	}
	got, err := drain(t, ring, int(stats.Frames-stats.Drops))
	if err != nil {
		t.Fatal(err)
	}
	if uint64(len(got)) != stats.Frames-stats.Drops {
		t.Errorf("%d frames were read, %+v", len(got), stats)
	}
	// The ring works again.
	pair.Sender.Send(t, frame)
	if _, err := drain(t, ring, 1); err != nil {
		t.Fatal(err)
	}
}

// untilInRing waits until the kernel has put so many frames into the ring.
func untilInRing(t *testing.T, ring *capture.Ring, frames uint64) {
	t.Helper()
	poll := time.NewTicker(time.Millisecond)
	defer poll.Stop()
	for end := time.Now().Add(10 * time.Second); ; <-poll.C {
		stats, err := ring.Stats()
		if err != nil || time.Now().After(end) {
			t.Fatalf("%d frames should be in the ring: %+v, %v", frames, stats, err)
		}
		if stats.Frames >= frames {
			return
		}
	}
}

func TestALostInterfaceIsReportedAfterItsLastFrames(t *testing.T) {
	for name, lose := range map[string]func(*frametest.Side, netlink.Link) error{
		"set down": func(s *frametest.Side, l netlink.Link) error { return s.Netlink.LinkSetDown(l) },
		"removed":  func(s *frametest.Side, l netlink.Link) error { return s.Netlink.LinkDel(l) },
	} {
		t.Run(name, func(t *testing.T) {
			pair := frametest.NewPair(t)
			ring := openRing(t, &pair.Receiver, capture.RingOptions{})
			pair.Sender.Send(t, frametest.Copy(1, []byte("x")).Bytes())
			untilInRing(t, ring, 1) // on a busy machine the frame may still be on its way
			if err := lose(&pair.Receiver, pair.Receiver.Link(t)); err != nil {
				t.Fatal(err)
			}
			frames, err := drain(t, ring, 2)
			if !errors.Is(err, capture.ErrInterfaceDown) || len(frames) != 1 {
				t.Errorf("%d frames, then %v", len(frames), err)
			}
		})
	}
}

func TestAnInterfaceThatIsNotThereIsReported(t *testing.T) {
	pair := frametest.NewPair(t)
	if err := pair.Receiver.Netlink.LinkSetDown(pair.Receiver.Link(t)); err != nil {
		t.Fatal(err)
	}
	for name, index := range map[string]int{"down": pair.Receiver.Index, "missing": 9999} {
		t.Run(name, func(t *testing.T) {
			pair.Receiver.Do(t, func() error {
				if _, err := capture.OpenRing(index, vxlan.Port, capture.RingOptions{}); !errors.Is(err, capture.ErrInterfaceDown) {
					t.Errorf("%v", err)
				}
				return nil
			})
		})
	}
}

func TestStopEndsAWaitingRead(t *testing.T) {
	pair := frametest.NewPair(t)
	ring := openRing(t, &pair.Receiver, capture.RingOptions{})
	done := make(chan error, 1)
	go func() {
		_, err := ring.Next(time.Hour)
		done <- err
	}()
	ring.Stop()
	select {
	case err := <-done:
		if !errors.Is(err, capture.ErrClosed) {
			t.Error(err)
		}
	case <-time.After(deadline):
		t.Error("Next still waits")
	}
}

func TestAQuietRingSaysSo(t *testing.T) {
	pair := frametest.NewPair(t)
	ring := openRing(t, &pair.Receiver, capture.RingOptions{})
	if block, err := ring.Next(time.Millisecond); block != nil || err != nil {
		t.Errorf("%v, %v", block, err)
	}
}

// A process opens spare sockets while it has the capability, gives it up, and
// can still begin to capture.
func TestASpareSocketNeedsNoCapabilityToCapture(t *testing.T) {
	pair := frametest.NewPair(t)
	frame := frametest.Copy(1, []byte("x")).Bytes()
	var ring *capture.Ring
	pair.Receiver.Do(t, func() error {
		spare, err := capture.NewSocket(vxlan.Port)
		if err != nil {
			return err
		}
		dropCapabilities(t)
		if _, err := capture.NewSocket(vxlan.Port); !errors.Is(err, unix.EPERM) {
			t.Errorf("a thread without capabilities opened a packet socket: %v", err)
		}
		ring, err = spare.Ring(pair.Receiver.Index, capture.RingOptions{})
		return err
	})
	defer ring.Close()
	pair.Sender.Send(t, frame)
	if frames, err := drain(t, ring, 1); err != nil || frames[0].Data != string(frame) {
		t.Errorf("%v, %v", frames, err)
	}
}

// dropCapabilities makes the calling thread, which dies soon, unprivileged.
func dropCapabilities(t *testing.T) {
	t.Helper()
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var none [2]unix.CapUserData
	if err := unix.Capset(&header, &none[0]); err != nil {
		t.Fatal(err)
	}
}

func TestUnfitSizesAreRefused(t *testing.T) {
	for name, o := range map[string]capture.RingOptions{
		"a block that is no power of two":    {BlockSize: 100000},
		"a block smaller than a page":        {BlockSize: 1024},
		"one block":                          {Blocks: 1},
		"a block timeout below what is kept": {BlockTimeout: time.Microsecond},
	} {
		t.Run(name, func(t *testing.T) {
			pair := frametest.NewPair(t)
			pair.Receiver.Do(t, func() error {
				if _, err := capture.OpenRing(pair.Receiver.Index, vxlan.Port, o); err == nil {
					t.Error("accepted")
				}
				return nil
			})
		})
	}
}

// The kernel gives the device the types of others, which it can't make everywhere.
func TestWhatIsReadOfAnInterfaceIsChosenByItsType(t *testing.T) {
	packet := frametest.Copy(1, frametest.Inner("x").Bytes()).Bytes()[14:]
	for name, e := range map[string]struct {
		kind int
		want error
	}{
		"tun or WireGuard": {unix.ARPHRD_NONE, nil},
		"a modem":          {unix.ARPHRD_RAWIP, nil},
		"IP in IP":         {unix.ARPHRD_TUNNEL, nil},
		"IP in IPv6":       {unix.ARPHRD_TUNNEL6, nil},
		"IPv6 in IP":       {unix.ARPHRD_SIT, nil},
		"PPP":              {unix.ARPHRD_PPP, nil},
		"InfiniBand":       {unix.ARPHRD_INFINIBAND, capture.ErrLinkLayer},
		"a radio monitor":  {unix.ARPHRD_IEEE80211_RADIOTAP, capture.ErrLinkLayer},
	} {
		t.Run(name, func(t *testing.T) {
			pair := frametest.NewPair(t)
			tun := frametest.NewTun(t, &pair.Receiver, "tun7")
			tun.SetType(t, e.kind)
			var ring *capture.Ring
			var err error
			tun.Do(t, func() error {
				ring, err = capture.OpenRing(tun.Index, vxlan.Port, capture.RingOptions{})
				return nil
			})
			if !errors.Is(err, e.want) {
				t.Fatalf("%v, want %v", err, e.want)
			}
			if err != nil {
				return
			}
			defer ring.Close()
			tun.Put(t, packet)
			frames, err := drain(t, ring, 1)
			if want := string(make([]byte, 12)) + "\x08\x00" + string(packet); err != nil || frames[0].Data != want || frames[0].Length != len(want) {
				t.Errorf("%x, %v, want %x", frames, err, want)
			}
		})
	}
}
