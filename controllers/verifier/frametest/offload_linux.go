package frametest

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The names that ethtool gives to features of an interface.
const (
	// GRO joins what is received; for a veth it also begins to receive in batches.
	GRO = "rx-gro"
	// GROForwarding joins UDP datagrams for which the host has no socket.
	GROForwarding = "rx-udp-gro-forwarding"
	// GROList joins them as a list of packets.
	GROList = "rx-gro-list"
	// SegmentUDP sends joined datagrams as they are; without it they are cut up before they
	// leave, all of them in one batch.
	SegmentUDP = "tx-udp-segmentation"
)

// Offload switches features of the side's interface, as "ethtool -K" does. It skips the test
// where the kernel does not know one.
func (s *Side) Offload(t *testing.T, on bool, features ...string) {
	t.Helper()
	unknown := ""
	s.Do(t, func() error {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return fmt.Errorf("open a socket for ethtool: %w", err)
		}
		defer unix.Close(fd)
		known, err := featureNames(fd, s.Name)
		if err != nil {
			return err
		}
		for _, name := range features {
			at, ok := known[name]
			if !ok {
				unknown = name
				return nil
			}
			if err := setFeature(fd, s.Name, at, len(known), on); err != nil {
				return fmt.Errorf("set %s of %s: %w", name, s.Name, err)
			}
		}
		return nil
	})
	if unknown != "" {
		t.Skipf("the kernel does not know the feature %s of an interface", unknown)
	}
}

// The numbers of linux/ethtool.h that x/sys/unix does not have.
const (
	setOfFeatures = 4  // ETH_SS_FEATURES
	nameLength    = 32 // ETH_GSTRING_LEN
	mostFeatures  = 256
)

// featureNames are the numbers of the features by their names.
func featureNames(fd int, name string) (map[string]int, error) {
	count := make([]byte, 24)
	binary.NativeEndian.PutUint32(count, unix.ETHTOOL_GSSET_INFO)
	binary.NativeEndian.PutUint64(count[8:], 1<<setOfFeatures)
	if err := ethtool(fd, name, count); err != nil {
		return nil, fmt.Errorf("count the features of %s: %w", name, err)
	}
	features := min(binary.NativeEndian.Uint32(count[16:]), mostFeatures)
	request := make([]byte, 12+features*nameLength)
	binary.NativeEndian.PutUint32(request, unix.ETHTOOL_GSTRINGS)
	binary.NativeEndian.PutUint32(request[4:], setOfFeatures)
	binary.NativeEndian.PutUint32(request[8:], features)
	if err := ethtool(fd, name, request); err != nil {
		return nil, fmt.Errorf("list the features of %s: %w", name, err)
	}
	out := map[string]int{}
	for i := range int(features) {
		text, _, _ := bytes.Cut(request[12+i*nameLength:][:nameLength], []byte{0})
		out[string(text)] = i
	}
	return out, nil
}

func setFeature(fd int, name string, at, features int, on bool) error {
	words := (features + 31) / 32
	request := make([]byte, 8+8*words)
	binary.NativeEndian.PutUint32(request, unix.ETHTOOL_SFEATURES)
	binary.NativeEndian.PutUint32(request[4:], uint32(words))
	word := request[8+8*(at/32):]
	binary.NativeEndian.PutUint32(word, 1<<(at%32))
	if on {
		binary.NativeEndian.PutUint32(word[4:], 1<<(at%32))
	}
	return ethtool(fd, name, request)
}

// ethtool makes a request, whose memory the kernel reads and writes.
func ethtool(fd int, name string, request []byte) error {
	var ifreq struct {
		name [unix.IFNAMSIZ]byte
		data unsafe.Pointer
		_    [16]byte
	}
	copy(ifreq.name[:unix.IFNAMSIZ-1], name)
	ifreq.data = unsafe.Pointer(&request[0])
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.SIOCETHTOOL, uintptr(unsafe.Pointer(&ifreq))); errno != 0 {
		return errno
	}
	return nil
}

// SendJoined sends datagrams over one socket, which the kernel is given joined: all but the last
// must be of size bytes. With [SegmentUDP] off it cuts them up before they leave.
func (s *Side) SendJoined(t *testing.T, from, to netip.AddrPort, size int, joined ...[]byte) {
	t.Helper()
	s.Do(t, func() error {
		// Not connected: that nobody listens is no error of the next write.
		conn, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(from))
		if err != nil {
			return err
		}
		defer conn.Close()
		raw, err := conn.SyscallConn()
		if err != nil {
			return err
		}
		var optionErr error
		if err := raw.Control(func(fd uintptr) {
			optionErr = unix.SetsockoptInt(int(fd), unix.IPPROTO_UDP, unix.UDP_SEGMENT, size)
		}); err != nil {
			return err
		}
		if optionErr != nil {
			return fmt.Errorf("let the kernel cut datagrams up: %w", optionErr)
		}
		for i, payload := range joined {
			if _, err := conn.WriteToUDPAddrPort(payload, to); err != nil {
				return fmt.Errorf("send datagrams %d, joined: %w", i, err)
			}
		}
		return nil
	})
}
