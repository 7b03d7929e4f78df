package scenario

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestTheWalkthroughIsTheGuides(t *testing.T) {
	sc := Walkthrough()
	hosts := map[string][]string{}
	for _, h := range sc.Hosts {
		nic := h.Interfaces[0]
		hosts[h.Name] = []string{nic.ID, nic.Name, nic.MAC.String(), nic.Addresses[0].String(), h.Flavor, h.ProjectID, nic.VPCID}
	}
	want := map[string][]string{
		"ecs-source": {WalkthroughSource, "eth0", "fa:16:3e:7e:d6:bc", "192.168.0.230", "c7t.large.2", WalkthroughProject, WalkthroughVPC},
		"ecs-test":   {WalkthroughTest, "eth0", "fa:16:3e:7e:d6:77", "192.168.0.161", "c7t.large.2", WalkthroughProject, WalkthroughVPC},
		"ecs-target": {WalkthroughTarget, "eth0", "fa:16:3e:7e:d6:7a", "192.168.0.164", "c7t.large.2", WalkthroughProject, WalkthroughVPC},
	}
	if diff := cmp.Diff(want, hosts); diff != "" {
		t.Errorf("hosts (-want +got):\n%s", diff)
	}
	subnet, ok := sc.Subnet(sc.Hosts[0].Interfaces[0].SubnetID)
	if !ok || subnet.GatewayMAC.String() != "fa:16:3e:d1:6b:5d" || subnet.CIDR != netip.MustParsePrefix("192.168.0.0/24") {
		t.Errorf("subnet = %+v", subnet)
	}
	rules := map[string][]string{}
	for _, g := range sc.SecurityGroups {
		for _, r := range g.Rules {
			peer := r.RemotePrefix
			if r.RemoteGroup == g.ID {
				peer = "members"
			}
			rules[g.Name] = append(rules[g.Name], strings.Join([]string{r.Direction, r.EtherType, r.Protocol, r.Multiport, peer, r.Action}, " "))
		}
	}
	common := []string{"ingress IPv4 tcp 22,3389 0.0.0.0/0 allow", "ingress IPv4   members allow", "ingress IPv6   members allow"}
	egress := []string{"egress IPv4   0.0.0.0/0 allow", "egress IPv6   ::/0 allow"}
	group := func(own ...string) []string { return append(append(append([]string{}, common...), own...), egress...) }
	wantRules := map[string][]string{
		"sg-source": group("ingress IPv4 tcp 1234 192.168.0.161/32 allow"), "sg-test": group(),
		"sg-target": group("ingress IPv4 udp 4789 192.168.0.230/32 allow"),
	}
	if diff := cmp.Diff(wantRules, rules); diff != "" {
		t.Errorf("security group rules (-want +got):\n%s", diff)
	}
}

func TestAMistakeIsOneSentenceWithLineAndField(t *testing.T) {
	for _, tc := range []struct {
		name, old, new string
		below          int // lines from the replaced text to the mistake
		want           string
	}{
		{"a MAC address", "mac: fa:16:3e:7e:d6:bc", "mac: fa:16", 0, `hosts[0].interfaces[0].mac: "fa:16" is not right; write six pairs of hex digits, like fa:16:3e:7e:d6:bc`},
		{"a MAC address used twice", "mac: fa:16:3e:7e:d6:77", "mac: fa:16:3e:7e:d6:bc", 0, `hosts[1].interfaces[0].mac: "fa:16:3e:7e:d6:bc" is already the MAC address of hosts[0].interfaces[0].mac; give another`},
		{"an unknown field", "    flavor: c7t.large.2", "    flavour: c7t.large.2", 0, `hosts[0].flavour: there is no such field; the fields here are id, name, flavor, stopped, interfaces`},
		{"a field given twice", "    mirroring: true", "    mirroring: true\n    mirroring: true", 1, `flavors[0].mirroring: the field is given twice; remove one of the two`},
		{"an address outside of its subnet", "[192.168.0.161]", "[10.0.0.1]", 0, `hosts[1].interfaces[0].addresses[0]: "10.0.0.1" is outside of the subnet; write an address within 192.168.0.0/24`},
		{"an address used twice", "[192.168.0.161]", "[192.168.0.230]", 0, `hosts[1].interfaces[0].addresses[0]: "192.168.0.230" is already the address in VPC 5a1f0c7e-0000-4000-8000-000000000001 of hosts[0].interfaces[0].addresses[0]; give another`},
		{"an unknown subnet", "subnet: subnet-default", "subnet: nowhere", 0, `hosts[0].interfaces[0].subnet: there is no subnet "nowhere"; give the name or id of one in vpcs`},
		{"an unknown security group", "security_groups: [sg-test]", "security_groups: [sg-x]", 0, `hosts[1].interfaces[0].security_groups[0]: there is no security group "sg-x"; give the name or id of one in security_groups`},
		{"a project ID", "id: 0123456789abcdef0123456789abcdef", "id: mine", 0, `accounts[0].projects[0].id: "mine" is not right; write 32 hex digits`},
		{"an interface ID", "id: 5a1f0c7e-0000-4000-8000-000000000230", "id: nic-1", 0, `hosts[0].interfaces[0].id: "nic-1" is not right; write a UUID, like 5a1f0c7e-0000-4000-8000-000000000001`},
		{"a network with host bits", "cidr: 192.168.0.0/24", "cidr: 192.168.0.9/24", 0, `vpcs[0].subnets[0].cidr: "192.168.0.9/24" has bits beyond its mask; write 192.168.0.0/24`},
		{"a missing region", "region: cn-north-4", "", 2, `region: the value is missing; give one`},
		{"a direction", "direction: ingress, protocol: tcp", "direction: inward, protocol: tcp", 0, `security_groups[0].rules[0].direction: "inward" is none of ingress, egress`},
		{"a family", "ethertype: IPv6, remote_ip_prefix: \"::/0\"", "ethertype: IPv6, remote_ip_prefix: 0.0.0.0/0", 0, `security_groups[0].rules[5].remote_ip_prefix: "0.0.0.0/0" is not of family IPv6; set ethertype`},
		{"a boolean", "mirroring: true", "mirroring: yes", 0, `flavors[0].mirroring: "yes" is neither true nor false`},
		{"a number", "vcpus: 2", "vcpus: two", 0, `flavors[0].vcpus: "two" is not a whole number of 1-1024`},
		{"a list where a mapping is due", "region: cn-north-4", "region: [a]", 0, `region: a list is given where a single value is needed`},
		{"a value where a list is due", "addresses: [192.168.0.230]", "addresses: 192.168.0.230", 0, `hosts[0].interfaces[0].addresses: "192.168.0.230" is given where a list is needed; begin each member with a dash`},
		{"a quota", "region: cn-north-4", "region: cn-north-4\nquotas: {traffic_mirror_session: -2}", 1, `quotas.traffic_mirror_session: "-2" is not a whole number of -1-1073741824`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			text := strings.Replace(string(WalkthroughYAML), tc.old, tc.new, 1)
			if text == string(WalkthroughYAML) {
				t.Fatalf("the walkthrough does not hold %q", tc.old)
			}
			_, err := Parse("my.yaml", []byte(text))
			var mistake *Error
			if !errors.As(err, &mistake) {
				t.Fatalf("error = %v; want an *Error", err)
			}
			before, _, _ := strings.Cut(string(WalkthroughYAML), tc.old)
			want := fmt.Sprintf("my.yaml:%d: %s", 1+strings.Count(before, "\n")+tc.below, tc.want)
			if diff := cmp.Diff(want, err.Error()); diff != "" {
				t.Fatalf("message (-want +got):\n%s", diff)
			}
		})
	}
	t.Run("YAML that is none", func(t *testing.T) {
		_, err := Parse("my.yaml", []byte("region: a\n\tb: c\n"))
		if err == nil || !strings.HasPrefix(err.Error(), "my.yaml:2: not valid YAML: ") {
			t.Fatalf("error = %v; want one of line 2", err)
		}
	})
	t.Run("an empty file", func(t *testing.T) {
		_, err := Parse("my.yaml", nil)
		if want := "my.yaml: the file is empty; print an example with: cloudsim scenario"; err == nil || err.Error() != want {
			t.Fatalf("error = %v; want %q", err, want)
		}
	})
	t.Run("no accounts", func(t *testing.T) {
		_, err := Parse("my.yaml", []byte("region: a\nhosts: []\n"))
		if want := "my.yaml:1: accounts: there is no account; give at least one, or nobody can sign a request"; err == nil || err.Error() != want {
			t.Fatalf("error = %v; want %q", err, want)
		}
	})
}

func TestAScenarioIsReadFromAFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s.yaml")
	extra := "\nquotas:\n  traffic_mirror_session: 3\nload_balancers:\n  - {name: lb, subnet: subnet-default, address: 192.168.0.9}\n"
	if err := os.WriteFile(path, append(bytes.Clone(WalkthroughYAML), extra...), 0o600); err != nil {
		t.Fatal(err)
	}
	sc, err := Load(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]int{"traffic_mirror_session": 3}, sc.Quotas); diff != "" {
		t.Errorf("quotas (-want +got):\n%s", diff)
	}
	if lb := sc.LoadBalancers[0]; lb.VPCID != WalkthroughVPC || lb.ID == "" {
		t.Errorf("load balancer = %+v", lb)
	}
	if _, err := Load(path + ".missing"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a missing file gives %v", err)
	}
}

// FuzzAScenarioIsReadOrRefused: no file makes the reader panic, and each refusal names the file.
func FuzzAScenarioIsReadOrRefused(f *testing.F) {
	f.Add(WalkthroughYAML)
	f.Add([]byte("region: &a [*a]\n"))
	f.Add([]byte("accounts: [{projects: [{}]}]"))
	f.Add([]byte("hosts:\n- &h {name: x, interfaces: [*h]}"))
	f.Fuzz(func(t *testing.T, data []byte) {
		sc, err := Parse("f.yaml", data)
		if err == nil {
			if sc.Region == "" || len(sc.Accounts) == 0 {
				t.Fatalf("%q was read without region or account", data)
			}
			return
		}
		if !strings.HasPrefix(err.Error(), "f.yaml:") {
			t.Fatalf("the mistake %q does not begin with the file", err)
		}
	})
}
