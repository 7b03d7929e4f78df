package wire

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
)

// Copy is a VXLAN datagram and the packet inside.
type Copy struct {
	At time.Time
	// Outer and Inner are the two frames.
	Outer, Inner Frame
	// Flags of the VXLAN header, and its network identifier.
	Flags uint8
	VNI   uint32
}

// Frame is an Ethernet frame with an IPv4 packet, and TCP or UDP in it.
type Frame struct {
	// Length in bytes, without a frame check sequence.
	Length                    int
	SourceMAC, DestinationMAC string
	Source, Destination       netip.AddrPort
	// TCP is nil for UDP.
	TCP *layers.TCP
	// Payload of TCP or UDP.
	Payload []byte
}

// PushACK reports whether exactly the flags PSH and ACK of TCP are set.
func (f Frame) PushACK() bool { return f.TCP != nil && flags(f.TCP) == "P." }

// Decode takes a frame apart. isCopy is false for anything but UDP to port 4789 over
// IPv4; the error says what is wrong inside of such a datagram.
func Decode(at time.Time, data []byte) (c Copy, isCopy bool, err error) {
	outer, problem := decodeFrame(data)
	isCopy = problem == nil && outer.TCP == nil && outer.Destination.Port() == Port
	if !isCopy {
		return Copy{}, false, nil
	}
	c = Copy{At: at, Outer: outer}
	if len(outer.Payload) < 8 {
		return c, true, errors.New("no room for a VXLAN header")
	}
	c.Flags = outer.Payload[0]
	c.VNI = uint32(outer.Payload[4])<<16 | uint32(outer.Payload[5])<<8 | uint32(outer.Payload[6])
	c.Inner, err = decodeFrame(outer.Payload[8:])
	return c, true, err
}

func decodeFrame(data []byte) (Frame, error) {
	var (
		ethernet layers.Ethernet
		ip       layers.IPv4
		tcp      layers.TCP
		udp      layers.UDP
		payload  gopacket.Payload
		found    []gopacket.LayerType
	)
	parser := gopacket.NewDecodingLayerParser(layers.LayerTypeEthernet, &ethernet, &ip, &tcp, &udp, &payload)
	// What UDP carries by its port (VXLAN) is not for this parser: we look ourselves.
	parser.IgnoreUnsupported = true
	if err := parser.DecodeLayers(data, &found); err != nil {
		return Frame{}, err
	}
	f := Frame{Length: len(data), SourceMAC: ethernet.SrcMAC.String(), DestinationMAC: ethernet.DstMAC.String()}
	source, _ := netip.AddrFromSlice(ip.SrcIP)
	destination, _ := netip.AddrFromSlice(ip.DstIP)
	for _, layer := range found {
		switch layer {
		case layers.LayerTypeTCP:
			f.Source = netip.AddrPortFrom(source, uint16(tcp.SrcPort))
			f.Destination = netip.AddrPortFrom(destination, uint16(tcp.DstPort))
			f.TCP, f.Payload = &tcp, tcp.Payload
			return f, nil
		case layers.LayerTypeUDP:
			f.Source = netip.AddrPortFrom(source, uint16(udp.SrcPort))
			f.Destination = netip.AddrPortFrom(destination, uint16(udp.DstPort))
			f.Payload = udp.Payload
			return f, nil
		}
	}
	return Frame{}, errors.New("neither TCP nor UDP over IPv4")
}

// Line renders the copy in the manner of `tcpdump -nne`: one line for the datagram
// and one for the packet inside.
func (c Copy) Line() string {
	flag := "."
	if c.Flags&0x08 != 0 {
		flag = "I"
	}
	return fmt.Sprintf("%s %s > %s, ethertype IPv4 (0x0800), length %d: %s > %s: VXLAN, flags [%s] (0x%02x), vni %d\n%s > %s, ethertype IPv4 (0x0800), length %d: %s > %s: %s",
		c.At.Format("15:04:05.000000"), c.Outer.SourceMAC, c.Outer.DestinationMAC, c.Outer.Length,
		dotted(c.Outer.Source), dotted(c.Outer.Destination), flag, c.Flags, c.VNI,
		c.Inner.SourceMAC, c.Inner.DestinationMAC, c.Inner.Length,
		dotted(c.Inner.Source), dotted(c.Inner.Destination), c.Inner.transport())
}

// dotted writes an address and a port as tcpdump does.
func dotted(a netip.AddrPort) string { return fmt.Sprintf("%s.%d", a.Addr(), a.Port()) }

func (f Frame) transport() string {
	if f.TCP == nil {
		return fmt.Sprintf("UDP, length %d", len(f.Payload))
	}
	var b strings.Builder
	fmt.Fprintf(&b, "Flags [%s]", flags(f.TCP))
	switch n := uint32(len(f.Payload)); {
	case n > 0:
		fmt.Fprintf(&b, ", seq %d:%d", f.TCP.Seq, f.TCP.Seq+n)
	case f.TCP.SYN || f.TCP.FIN || f.TCP.RST:
		fmt.Fprintf(&b, ", seq %d", f.TCP.Seq)
	}
	if f.TCP.ACK {
		fmt.Fprintf(&b, ", ack %d", f.TCP.Ack)
	}
	fmt.Fprintf(&b, ", win %d", f.TCP.Window)
	if list := options(f.TCP); list != "" {
		fmt.Fprintf(&b, ", options [%s]", list)
	}
	fmt.Fprintf(&b, ", length %d", len(f.Payload))
	return b.String()
}

// flags are tcpdump's letters, in its order.
func flags(t *layers.TCP) string {
	var b strings.Builder
	for _, flag := range []struct {
		set    bool
		letter string
	}{
		{t.FIN, "F"}, {t.SYN, "S"}, {t.RST, "R"}, {t.PSH, "P"}, {t.ACK, "."}, {t.URG, "U"}, {t.ECE, "E"}, {t.CWR, "W"},
	} {
		if flag.set {
			b.WriteString(flag.letter)
		}
	}
	return b.String()
}

func options(t *layers.TCP) string {
	var list []string
	for _, o := range t.Options {
		switch {
		case o.OptionType == layers.TCPOptionKindNop:
			list = append(list, "nop")
		case o.OptionType == layers.TCPOptionKindEndList:
			list = append(list, "eol")
		case o.OptionType == layers.TCPOptionKindTimestamps && len(o.OptionData) == 8:
			list = append(list, fmt.Sprintf("TS val %d ecr %d", number(o.OptionData[:4]), number(o.OptionData[4:])))
		case o.OptionType == layers.TCPOptionKindMSS && len(o.OptionData) == 2:
			list = append(list, fmt.Sprintf("mss %d", number(o.OptionData)))
		case o.OptionType == layers.TCPOptionKindWindowScale && len(o.OptionData) == 1:
			list = append(list, fmt.Sprintf("wscale %d", number(o.OptionData)))
		case o.OptionType == layers.TCPOptionKindSACKPermitted:
			list = append(list, "sackOK")
		default:
			list = append(list, fmt.Sprintf("opt-%d", o.OptionType))
		}
	}
	return strings.Join(list, ",")
}

// number reads up to 4 bytes in network order.
func number(b []byte) (n uint32) {
	for _, x := range b {
		n = n<<8 | uint32(x)
	}
	return n
}
