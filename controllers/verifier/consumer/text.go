package consumer

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"vpcmirror.io/operator/api/v1alpha1"
)

// seen is the verdict that something takes the copies.
func seen(consumer, message string) *Verdict {
	return &Verdict{Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonConsumerSeen, Consumer: consumer, Message: message}
}

// dropped is the verdict that the host throws copies away.
func dropped(consumer, message, remedy string) *Verdict {
	return &Verdict{Status: metav1.ConditionFalse, Reason: v1alpha1.ReasonDroppedOnNode, Consumer: consumer, Message: message, Remedy: remedy}
}

// droppedOnTheWay is the verdict that copies are thrown away before they come to a socket.
// It says too whether somebody waits for them there.
func (f *facts) droppedOnTheWay(how, remedy string) *Verdict {
	var consumer string
	if devices := f.listening(); len(devices) > 0 {
		consumer = deviceName(devices[0])
	} else if sockets := f.matching(); len(sockets) > 0 {
		consumer = socketName(sockets[0])
	}
	behind := "nothing listens behind that"
	if consumer != "" {
		behind = consumer + " waits for them"
	} else {
		remedy += "; then " + f.start()
	}
	return dropped(consumer, fmt.Sprintf("%s came%s to %s, and the host threw them away: %s; %s", f.counts(), f.within(), f.where(), how, behind), remedy)
}

func (f *facts) unknown(reason string, message, remedy string) *Verdict {
	return &Verdict{Status: metav1.ConditionUnknown, Reason: reason, Message: message, Remedy: remedy}
}

// outOfSight is the verdict that somebody else may take the copies.
func (f *facts) outOfSight(how string) *Verdict {
	return f.unknown(v1alpha1.ReasonOutOfSight, fmt.Sprintf("%s came%s to %s, and no socket of this host got them: %s", f.counts(), f.within(), f.where(), how),
		"if nothing takes them there: "+f.start())
}

// where names the place.
func (f *facts) where() string {
	return fmt.Sprintf("%s (%s)", f.Node, f.Interface)
}

// counts are the copies.
func (f *facts) counts() string {
	if f.copies == 1 {
		return "1 copy"
	}
	return number10(f.copies) + " copies"
}

func number10(n uint64) string { return strconv.FormatUint(n, 10) }

// within is the time between the observations.
func (f *facts) within() string {
	if f.before == nil {
		return ""
	}
	if d := f.after.At.Sub(f.before.At); d > 0 {
		return " within " + max(d.Round(time.Second), time.Second).String()
	}
	return ""
}

// start says how something is made to take the copies.
func (f *facts) start() string {
	return fmt.Sprintf("start the IDS on %s, or: %s", f.where(), f.addDevice())
}

// addDevice is the command that makes a vxlan device, by a name that is free. One of the VNI on
// another port was meant for this, and is made anew.
func (f *facts) addDevice() string {
	for i := range f.after.Devices {
		if d := &f.after.Devices[i]; f.misplaced(d) {
			name := printable(d.Name)
			return "ip link del " + name + " && " + f.makeDevice(name)
		}
	}
	name := "mirror0"
	for n := 1; f.taken(name); n++ {
		name = "mirror" + strconv.Itoa(n)
	}
	return f.makeDevice(name)
}

func (f *facts) makeDevice(name string) string {
	family := ""
	if f.Address.Is6() {
		family = " local " + f.Address.String()
	}
	return fmt.Sprintf("ip link add %s type vxlan id %d dev %s%s dstport %d && ip link set %s up", name, f.VNI, f.Interface, family, f.Port, name)
}

func (f *facts) taken(name string) bool {
	for i := range f.after.Links {
		if f.after.Links[i].Name == name {
			return true
		}
	}
	return false
}

// misplaced says whether a vxlan device is of the VNI but listens where no copy comes. Linux
// takes port 8472 when none is given.
func (f *facts) misplaced(d *Device) bool {
	return !d.External && !d.Elsewhere && d.VNI == f.VNI && !f.fits(d)
}

// nearMiss names what almost takes the copies, at most three.
func (f *facts) nearMiss() string {
	var misses []string
	for i := range f.after.Devices {
		if d := &f.after.Devices[i]; f.deviceMiss(d) != "" {
			misses = append(misses, deviceName(d)+" "+f.deviceMiss(d))
		}
	}
	if len(f.listening()) == 0 { // else the sockets are the devices' own
		for i := range f.after.Sockets {
			s := &f.after.Sockets[i]
			misses = append(misses, socketName(s)+" "+f.socketMiss(s))
		}
	}
	for i := range f.after.PacketSockets {
		if s := &f.after.PacketSockets[i]; s.Ring && !s.Running {
			misses = append(misses, f.packetSocketName(s)+" is not running")
		}
	}
	if len(misses) == 0 {
		return ""
	}
	return "; but " + join(misses)
}

// deviceMiss says why a vxlan device does not take the copies, if it almost does.
func (f *facts) deviceMiss(d *Device) string {
	switch {
	case f.misplaced(d) && d.Port != f.Port:
		return fmt.Sprintf("listens on UDP %d", d.Port)
	case f.misplaced(d):
		return "takes the other family of addresses only"
	case f.fits(d) && d.Up && !f.takes(d):
		return "takes another VNI"
	}
	return ""
}

// socketMiss says why a socket of the port does not take the copies.
func (f *facts) socketMiss(s *Socket) string {
	switch {
	case !s.Remote.Addr().IsUnspecified():
		return fmt.Sprintf("takes only what %s sends", s.Remote)
	case slices.Contains(f.matching(), s):
		return "is bound to another interface, or takes IPv6 alone"
	}
	return "is bound to another address"
}

// join names at most three.
func join(names []string) string {
	const most = 3
	if len(names) > most {
		names = append(names[:most:most], fmt.Sprintf("%d more", len(names)-most))
	}
	return strings.Join(names, ", ")
}

// few joins names and adds what one does, or several do.
func few(names []string, one, several string) string {
	if len(names) == 1 {
		return names[0] + " " + one
	}
	return join(names) + " " + several
}

// readers says whether a packet socket reads a device.
func (f *facts) readers(d *Device) string {
	for i := range f.after.PacketSockets {
		if s := &f.after.PacketSockets[i]; s.Running && s.Interface == d.Index {
			return ", and a packet socket reads it"
		}
	}
	if d.External {
		return "; if it belongs to an overlay network of the host, no IDS gets them"
	}
	return ""
}

func deviceName(d *Device) string {
	vni := fmt.Sprintf("VNI %d", d.VNI)
	switch {
	case d.VNIFilter:
		vni = "the VNIs of a list"
	case d.External:
		vni = "any VNI"
	}
	return fmt.Sprintf("vxlan device %s (%s)", printable(d.Name), vni)
}

func socketName(s *Socket) string {
	return fmt.Sprintf("UDP socket on %s (user %d, inode %d)", s.Local, s.UID, s.Inode)
}

func (f *facts) packetSocketName(s *PacketSocket) string {
	on := "all interfaces"
	if s.Interface != 0 {
		on = "interface " + strconv.Itoa(s.Interface)
		if link := f.after.link(s.Interface); link != nil {
			on = printable(link.Name)
		}
	}
	return fmt.Sprintf("packet socket on %s (user %d, inode %d)", on, s.UID, s.Inode)
}

// printable is the name of an interface as a text may hold it: the kernel allows any byte
// but "/", ":" and white space.
func printable(name string) string {
	for _, r := range name {
		if r < 0x21 || r > 0x7e {
			return strconv.QuoteToASCII(name)
		}
	}
	return name
}

func nonEmpty(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}
