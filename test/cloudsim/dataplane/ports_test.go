package dataplane

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/gopacket/layers"
)

// portOf gives the configuration's port with this ID.
func portOf(c *Config, id string) *Port {
	for i := range c.Ports {
		if c.Ports[i].ID == id {
			return &c.Ports[i]
		}
	}
	panic("no port " + id)
}

// arpRequest asks who has the address of a port.
func arpRequest(t testing.TB, from, about string) []byte {
	t.Helper()
	h := hosts(walkthroughLayout(""))
	a, b := h[from].nic, h[about].nic
	return build(t,
		&layers.Ethernet{SrcMAC: a.MAC, DstMAC: []byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, EthernetType: layers.EthernetTypeARP},
		&layers.ARP{
			AddrType: layers.LinkTypeEthernet, Protocol: layers.EthernetTypeIPv4, HwAddressSize: 6, ProtAddressSize: 4, Operation: layers.ARPRequest,
			SourceHwAddress: a.MAC, SourceProtAddress: a.Addresses[0].Addr().AsSlice(),
			DstHwAddress: make([]byte, 6), DstProtAddress: b.Addresses[0].Addr().AsSlice(),
		})
}

func TestACutOffInterfaceNeitherSendsNorReceives(t *testing.T) {
	gone := func(id string) func(*Config) {
		return func(c *Config) {
			for i := range c.Ports {
				if c.Ports[i].ID == id {
					c.Ports = append(c.Ports[:i:i], c.Ports[i+1:]...)
					return
				}
			}
		}
	}
	for name, cut := range map[string]func(id string) func(*Config){
		"because its server is stopped":       func(id string) func(*Config) { return func(c *Config) { portOf(c, id).Down = true } },
		"because its port is gone":            gone,
		"because its port is plugged nowhere": func(id string) func(*Config) { return func(c *Config) { portOf(c, id).Interface = "nowhere" } },
	} {
		t.Run(name, func(t *testing.T) {
			syn := tcp(t, portTest, portSource, 40000, 1234, "S", "")
			run(t, walkthrough(t, cut(portSource)), []step{
				{0, portTest, syn, false, "to it"},
				{0, portSource, echo(t, portSource, portTest, true, 7), false, "from it"},
				{0, portSource, arpRequest(t, portSource, portTest), false, "ARP from it"},
			})
			l := walkthrough(t, cut(portSource))
			if diff := cmp.Diff(map[string]int{portTarget: 1}, l.arrivals(portTest, arpRequest(t, portTest, portSource))); diff != "" {
				t.Errorf("ARP about it (-want +got):\n%s", diff)
			}
		})
	}
}

func TestABroadcastStaysInItsSubnet(t *testing.T) {
	arp := arpRequest(t, portTest, portSource)
	e, ip := ethernetIP4(portTest, portSource, layers.IPProtocolUDP)
	e.DstMAC, ip.DstIP = []byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, []byte{255, 255, 255, 255}
	broadcast := build(t, e, ip, &layers.UDP{SrcPort: 1, DstPort: 2})
	for name, frame := range map[string][]byte{"ARP": arp, "IPv4": broadcast} {
		apartly := func(c *Config) { portOf(c, portTarget).Subnet = portTest }
		l := walkthrough(t, apart(map[string]*ACL{portTest: {}}), apartly)
		if diff := cmp.Diff(map[string]int{portTarget: 1}, l.arrivals(portTest, frame)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestNoCopyReachesATargetThatIsGoneOrStopped(t *testing.T) {
	syn := tcp(t, portTest, portSource, 40000, 1234, "S", "")
	for _, test := range []struct {
		name   string
		change func(*Config)
		want   SessionStats
	}{
		{"running", func(*Config) {}, SessionStats{Copies: 1, Delivered: 1}},
		{"stopped", func(c *Config) { portOf(c, portTarget).Down = true }, SessionStats{Copies: 1, TargetDown: 1}},
		{"gone", func(c *Config) { c.Ports = c.Ports[:2] }, SessionStats{Copies: 1, NoTarget: 1}},
		{"replaced by a port with another ID", func(c *Config) {
			*portOf(c, portTarget) = Port{ID: "port-new", Interface: portTarget, Groups: []string{"sg-target"}}
		}, SessionStats{Copies: 1, NoTarget: 1}},
		{"replaced, and the session follows", func(c *Config) {
			*portOf(c, portTarget) = Port{ID: "port-new", Interface: portTarget, Groups: []string{"sg-target"}}
			c.Sessions[0].Target = "port-new"
		}, SessionStats{Copies: 1, Delivered: 1}},
	} {
		t.Run(test.name, func(t *testing.T) {
			l := walkthrough(t, test.change)
			l.send(portTest, syn)
			got := l.sw.Stats().Sessions["session-1"]
			got.InnerBytes = 0
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestAReplacedSourceIsCopiedOnlyUnderItsNewID(t *testing.T) {
	replaced := func(c *Config) {
		p := portOf(c, portSource)
		p.ID, p.Interface = "port-new", portSource
	}
	syn := tcp(t, portTest, portSource, 40000, 1234, "S", "")
	for name, test := range map[string]struct {
		sources []string
		want    map[string]int
	}{
		"the old ID":  {[]string{portSource}, map[string]int{portSource: 1}},
		"the new one": {[]string{"port-new"}, map[string]int{portSource: 1, portTarget: 1}},
	} {
		t.Run(name, func(t *testing.T) {
			l := walkthrough(t, replaced, func(c *Config) { c.Sessions[0].Sources = test.sources })
			if diff := cmp.Diff(test.want, l.arrivals(portTest, syn)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestAPortWithoutPortSecurityObeysNoGroupAndSendsAsItLikes(t *testing.T) {
	frame := udp(t, portTest, portTarget, 1, 2, "")
	copy(frame[6:12], mustMAC("02:00:00:00:00:01"))
	for _, unsecured := range []bool{false, true} {
		l := walkthrough(t, func(c *Config) {
			portOf(c, portTest).Unsecured, portOf(c, portTarget).Unsecured = unsecured, unsecured
			c.Groups[2].Rules = nil
		})
		want := map[string]int{}
		if unsecured {
			want = map[string]int{portTarget: 1}
		}
		if diff := cmp.Diff(want, l.arrivals(portTest, frame)); diff != "" {
			t.Errorf("unsecured %v (-want +got):\n%s", unsecured, diff)
		}
		l.send(portTest, tcp(t, portTest, portSource, 40000, 1234, "S", ""))
		if got := l.sw.Stats().Sessions["session-1"].Delivered; (got == 1) != unsecured {
			t.Errorf("unsecured %v: %d copies arrived", unsecured, got)
		}
	}
}
