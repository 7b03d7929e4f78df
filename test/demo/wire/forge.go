package wire

import (
	"fmt"
	"net"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
)

// Forgery is the inside of a false copy: a TCP segment with a few bytes of payload.
type Forgery struct {
	VNI   uint32
	Inner Frame
}

// Datagram is what to send to UDP port 4789: the VXLAN header and the inner frame.
func (f Forgery) Datagram() ([]byte, error) {
	from, err := net.ParseMAC(f.Inner.SourceMAC)
	if err != nil {
		return nil, fmt.Errorf("making a false copy: %w", err)
	}
	to, err := net.ParseMAC(f.Inner.DestinationMAC)
	if err != nil {
		return nil, fmt.Errorf("making a false copy: %w", err)
	}
	ip := &layers.IPv4{
		Version: 4, IHL: 5, TTL: 64, Protocol: layers.IPProtocolTCP,
		SrcIP: f.Inner.Source.Addr().AsSlice(), DstIP: f.Inner.Destination.Addr().AsSlice(),
	}
	tcp := &layers.TCP{
		SrcPort: layers.TCPPort(f.Inner.Source.Port()), DstPort: layers.TCPPort(f.Inner.Destination.Port()),
		Seq: 1, Ack: 1, PSH: true, ACK: true, Window: 502,
	}
	if err := tcp.SetNetworkLayerForChecksum(ip); err != nil {
		return nil, fmt.Errorf("making a false copy: %w", err)
	}
	buffer := gopacket.NewSerializeBuffer()
	err = gopacket.SerializeLayers(buffer, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true},
		&layers.VXLAN{ValidIDFlag: true, VNI: f.VNI},
		&layers.Ethernet{SrcMAC: from, DstMAC: to, EthernetType: layers.EthernetTypeIPv4},
		ip, tcp, gopacket.Payload(f.Inner.Payload))
	if err != nil {
		return nil, fmt.Errorf("making a false copy: %w", err)
	}
	return buffer.Bytes(), nil
}
