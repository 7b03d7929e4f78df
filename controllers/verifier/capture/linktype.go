package capture

import "fmt"

const linkEthernet = 1

// LinkTypeError means that the frames of a capture are not Ethernet.
type LinkTypeError struct {
	// Type is the number that tcpdump.org's list of link types gives it.
	Type uint16
}

// Error names the link type and the way out.
func (e *LinkTypeError) Error() string {
	return fmt.Sprintf("its link type is %s, only Ethernet (1) can be read: capture on one Ethernet interface, as with tcpdump -i eth0 -w FILE", e.Name())
}

// Name is the name and number of the link type.
func (e *LinkTypeError) Name() string {
	if name, ok := linkNames[e.Type]; ok {
		return fmt.Sprintf("%s (%d)", name, e.Type)
	}
	return fmt.Sprintf("number %d, which has no name here", e.Type)
}

// linkNames are those that a VXLAN capture can have by mistake, by the list at
// tcpdump.org/linktypes.html.
var linkNames = map[uint16]string{
	0:   "NULL",
	6:   "IEEE802_5",
	8:   "SLIP",
	9:   "PPP",
	10:  "FDDI",
	12:  "RAW",
	14:  "RAW",
	50:  "PPP_HDLC",
	51:  "PPP_ETHER",
	101: "RAW",
	104: "C_HDLC",
	105: "IEEE802_11",
	107: "FRELAY",
	108: "LOOP",
	113: "LINUX_SLL",
	117: "PFLOG",
	119: "IEEE802_11_PRISM",
	127: "IEEE802_11_RADIOTAP",
	147: "USER0",
	163: "IEEE802_11_AVS",
	187: "BLUETOOTH_HCI_H4",
	189: "USB_LINUX",
	192: "PPI",
	195: "IEEE802_15_4_WITHFCS",
	220: "USB_LINUX_MMAPPED",
	228: "IPV4",
	229: "IPV6",
	239: "NFLOG",
	249: "USBPCAP",
	253: "NETLINK",
	276: "LINUX_SLL2",
}
