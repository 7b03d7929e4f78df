package wire

import (
	"context"
	"errors"
	"fmt"
	"net"

	"golang.org/x/sys/unix"

	"vpcmirror.io/operator/test/cloudsim/dataplane/netns"
)

// Take takes what arrives at a device of a host, and forgets it, until ctx ends. As tcpdump
// and an IDS do, it asks for frames to others too (packet(7), PACKET_MR_PROMISC).
func Take(ctx context.Context, namespace, device string) error {
	conn, err := openSocket(namespace, device)
	if err != nil {
		return fmt.Errorf("listening at %s in %s: %w", device, namespace, err)
	}
	err = netns.In(namespace, func() error {
		nic, err := net.InterfaceByName(device)
		if err != nil {
			return err
		}
		all := &unix.PacketMreq{Ifindex: int32(nic.Index), Type: unix.PACKET_MR_PROMISC}
		return conn.SetsockoptPacketMreq(unix.SOL_PACKET, unix.PACKET_ADD_MEMBERSHIP, all)
	})
	for buffer := make([]byte, longest); err == nil; {
		_, _, err = conn.Recvfrom(ctx, buffer, 0)
	}
	if ctx.Err() != nil {
		err = nil
	}
	return errors.Join(err, conn.Close())
}
