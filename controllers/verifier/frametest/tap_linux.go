package frametest

import (
	"encoding/binary"
	"testing"

	"golang.org/x/sys/unix"
)

// Device is a TAP or TUN device whose frames the test hands in as a hypervisor would: each with a
// virtio header.
type Device struct {
	Side
	fd int
}

// NewTap makes a TAP device in the namespace of a side, with an MTU of jumbo frames, and sets
// it up. It skips the test where the kernel has none.
func NewTap(t *testing.T, in *Side, name string) *Device {
	t.Helper()
	d := newDevice(t, in, name, unix.IFF_TAP)
	d.MAC = [6]byte(d.Link(t).Attrs().HardwareAddr)
	return d
}

// NewTun makes a TUN device like it, which has no link layer: its frames are IP packets.
func NewTun(t *testing.T, in *Side, name string) *Device {
	t.Helper()
	d := newDevice(t, in, name, unix.IFF_TUN)
	d.MAC = [6]byte{}
	return d
}

func newDevice(t *testing.T, in *Side, name string, kind uint16) *Device {
	t.Helper()
	d := &Device{Side: *in}
	d.Name = name
	var opened error
	in.Do(t, func() error {
		d.fd, opened = unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC, 0)
		return nil
	})
	if opened != nil {
		t.Skipf("the kernel makes no such device: open /dev/net/tun: %v", opened)
	}
	t.Cleanup(func() { must(t, unix.Close(d.fd)) })
	request, err := unix.NewIfreq(name)
	must(t, err)
	request.SetUint16(kind | unix.IFF_NO_PI | unix.IFF_VNET_HDR)
	d.Do(t, func() error { return unix.IoctlIfreq(d.fd, unix.TUNSETIFF, request) })
	link := d.Link(t)
	must(t, d.Netlink.LinkSetMTU(link, 9000))
	must(t, d.Netlink.LinkSetUp(link))
	d.Index = link.Attrs().Index
	return d
}

// SetType makes a TUN device one of another type of link layer, by linux/if_arp.h, though its
// frames stay IP packets.
func (d *Device) SetType(t *testing.T, kind int) {
	t.Helper()
	must(t, d.Netlink.LinkSetDown(d.Link(t))) // the kernel lets none be changed that is up
	must(t, unix.IoctlSetInt(d.fd, unix.TUNSETLINK, kind))
	must(t, d.Netlink.LinkSetUp(d.Link(t)))
}

// Put hands in a plain frame.
func (d *Device) Put(t *testing.T, frame []byte) {
	t.Helper()
	d.write(t, make([]byte, 10), frame)
}

// PutJoined hands in a frame in which UDP datagrams of size bytes of payload are joined under the
// header that begins at start.
func (d *Device) PutJoined(t *testing.T, frame []byte, start, size int) {
	t.Helper()
	const needsChecksum, datagrams, checksum = 1, 5, 6
	h := []byte{needsChecksum, datagrams, 0, 0, 0, 0, 0, 0, 0, 0}
	for i, field := range []int{start + 8, size, start, checksum} {
		binary.NativeEndian.PutUint16(h[2+2*i:], uint16(field))
	}
	d.write(t, h, frame)
}

// PutRefused hands in a super-frame of an outer UDP datagram over IPv4 that is to be cut into
// fragments (virtio GSO type 3). Its kind is a legacy one that the kernel takes from a
// hypervisor but can't describe to a capture.
func (d *Device) PutRefused(t *testing.T, frame []byte) {
	t.Helper()
	const needsChecksum, fragments = 1, 3
	h := []byte{needsChecksum, fragments, 0, 0, 0, 0, 0, 0, 0, 0}
	for i, field := range []uint16{42, 1480, 34, 6} { // all headers, size of a piece, where the checksum begins, where it goes
		binary.NativeEndian.PutUint16(h[2+2*i:], field)
	}
	d.write(t, h, frame)
}

func (d *Device) write(t *testing.T, header, frame []byte) {
	t.Helper()
	if _, err := unix.Write(d.fd, append(header, frame...)); err != nil {
		t.Fatal(err)
	}
}
