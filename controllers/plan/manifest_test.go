package plan_test

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/cloud"
	"vpcmirror.io/operator/controllers/plan"
)

const exportedID = "3f1c7a52-8d4e-4b6a-9c0d-5e2f7a1b8c9d"

var (
	portA, portB, portC = "00000000-0000-4000-8000-00000000000a", "00000000-0000-4000-8000-00000000000b", "00000000-0000-4000-8000-00000000000c"
	exporter            = plan.Mark{Cluster: plan.ClusterID("c"), UID: "0f3c2b1a-0000-4000-8000-0123456789ab", Part: 1}
)

// foreignText draws what somebody else may have written, in any length that the cloud takes, and beyond.
func foreignText(t *rapid.T, name string) string {
	return rapid.OneOf(
		rapid.Just(""), rapid.SampledFrom([]string{" by Terraform\n", "a <b>", "x [retained from vpcmirror 0a1b2c3d/11111111-2222-3333-4444-555555555555]"}),
		rapid.StringOfN(rapid.SampledFrom([]rune("aü镜𝄞 []/")), 0, 300, -1),
	).Draw(t, name)
}

func foreignName(t *rapid.T) string {
	return rapid.SampledFrom([]string{"", "tf-web", "web 1", "镜像_a.b", strings.Repeat("n", 64), strings.Repeat("n", 65), "a\nb"}).Draw(t, "name")
}

func foreignPrefix(t *rapid.T, name string, ipv6 bool) netip.Prefix {
	four := []string{"0.0.0.0/0", "10.0.0.0/8", "10.0.0.1/8", "192.168.0.161/32"}
	six := []string{"::/0", "2001:db8::/64", "2001:db8::1/64", "::1/128"}
	from := four
	if ipv6 {
		from = six
	}
	if rapid.IntRange(0, 19).Draw(t, name+" odd") == 0 {
		from = []string{"0.0.0.0/0", "::/0", "::ffff:10.0.0.0/104", "2001:db8::/64", "10.0.0.0/8"}
	}
	text := rapid.SampledFrom(append([]string{""}, from...)).Draw(t, name)
	if text == "" {
		return netip.Prefix{}
	}
	return netip.MustParsePrefix(text)
}

// foreignFilter draws filters as the adapter may give them.
func foreignFilter(t *rapid.T) cloud.Filter {
	ports := func(name string, protocol cloud.Protocol) cloud.PortRange {
		rare := protocol != cloud.TCP && protocol != cloud.UDP && rapid.IntRange(0, 19).Draw(t, name+" odd") > 0
		if rare || rapid.Bool().Draw(t, name+" any") {
			return cloud.PortRange{}
		}
		low := rapid.Uint16Range(1, 65535).Draw(t, name+" low")
		return cloud.PortRange{Low: low, High: rapid.OneOf(rapid.Just(low), rapid.Just(uint16(65535)), rapid.Uint16Range(low, 65535)).Draw(t, name+" high")}
	}
	f := cloud.Filter{ID: exportedID, Name: foreignName(t), Description: foreignText(t, "description")}
	for i := range rapid.OneOf(rapid.IntRange(0, 4), rapid.IntRange(0, 24)).Draw(t, "rules") {
		r := cloud.Rule{ID: fmt.Sprint(i), RuleSpec: cloud.RuleSpec{
			Direction: rapid.SampledFrom([]cloud.Direction{cloud.Ingress, cloud.Egress}).Draw(t, "direction"),
			Priority:  rapid.OneOf(rapid.IntRange(1, 65535), rapid.IntRange(1, 20)).Draw(t, "priority"), Accept: rapid.Bool().Draw(t, "accept"), IPv6: rapid.Bool().Draw(t, "IPv6"),
		}}
		r.Protocol = rapid.SampledFrom([]cloud.Protocol{cloud.TCP, cloud.UDP, cloud.All, cloud.ICMP, cloud.ICMPv6}).Draw(t, "protocol")
		if rapid.IntRange(0, 9).Draw(t, "ICMP fits") > 0 && (r.Protocol == cloud.ICMP || r.Protocol == cloud.ICMPv6) {
			r.IPv6 = r.Protocol == cloud.ICMPv6
		}
		r.Source, r.Destination = foreignPrefix(t, "source", r.IPv6), foreignPrefix(t, "destination", r.IPv6)
		r.SourcePorts, r.DestinationPorts = ports("source ports", r.Protocol), ports("destination ports", r.Protocol)
		if rapid.IntRange(0, 9).Draw(t, "rule has text") == 0 {
			r.Description = foreignText(t, "rule description")
		}
		if rapid.IntRange(0, 39).Draw(t, "unreadable") == 0 {
			r.Unreadable, r.Protocol = `protocol "GRE"`, ""
		}
		f.Rules = append(f.Rules, r)
	}
	return f
}

func foreignSession(t *rapid.T) cloud.Session {
	id := rapid.SampledFrom([]string{portA, portB, portC})
	odd := func(usual *rapid.Generator[int], odd ...int) *rapid.Generator[int] {
		return rapid.OneOf(usual, usual, usual, rapid.SampledFrom(odd))
	}
	return cloud.Session{ID: exportedID, SessionSpec: cloud.SessionSpec{
		Name: foreignName(t), Description: foreignText(t, "description"), FilterID: "f",
		TargetID:   rapid.OneOf(rapid.Just("00000000-0000-4000-8000-00000000000f"), id, rapid.SampledFrom([]string{"", "00000000-0000-4000-8000-00000000000F"})).Draw(t, "target"),
		TargetType: rapid.SampledFrom([]cloud.TargetType{cloud.TargetInterface, cloud.TargetLoadBalancer, cloud.TargetInterface, "gwlb"}).Draw(t, "type"),
		VNI:        odd(rapid.IntRange(0, 1<<24-1), -1, 1<<24).Draw(t, "vni"), PacketLength: odd(rapid.IntRange(1, 1460), 0, 9000).Draw(t, "length"),
		Priority: odd(rapid.IntRange(1, 32766), 0, 32767).Draw(t, "priority"), Enabled: rapid.Bool().Draw(t, "enabled"),
	}, Sources: rapid.SliceOfN(id, 0, 4).Draw(t, "sources")}
}

// observes or manages what is exported as its spec says, and gives what differs.
func filterApplied(t *rapid.T, spec v1alpha1.MirrorFilterSpec, have cloud.Filter) []plan.Change {
	f := &v1alpha1.MirrorFilter{Spec: spec}
	want, err := plan.FilterFrom(f, exporter)
	if err != nil {
		t.Fatalf("the spec can't be read: %v", err)
	}
	if spec.Observes() {
		want = plan.ObservedFilter(want, &spec.CloudSpec, exporter, have)
	} else {
		want = plan.ImportFilter(want, &spec.CloudSpec, exporter, have)
	}
	diff := plan.DiffFilter(want, have)
	return diff.Changes
}

func sessionApplied(spec v1alpha1.MirrorSessionSpec, have cloud.Session) []plan.Change {
	var sources []string
	for _, s := range spec.Sources {
		sources = append(sources, s.InterfaceID)
	}
	want := plan.SessionFrom(&v1alpha1.MirrorSession{Spec: spec}, exporter, have.FilterID, spec.Target.InterfaceID+spec.Target.LoadBalancerID, sources, int(*spec.VNI), int(*spec.Priority))
	if spec.Observes() {
		want = plan.ObservedSession(want, &spec, exporter, have)
	} else {
		want = plan.ImportSession(want, &spec.CloudSpec, exporter, have)
	}
	diff := plan.DiffSession(want, have)
	return diff.Changes
}

// onlyMarked holds that applying writes a mark and nothing else, or nothing where it only observes.
func onlyMarked(t *rapid.T, spec v1alpha1.CloudSpec, description string, changes []plan.Change) {
	var fields []string
	for _, c := range changes {
		fields = append(fields, c.Field)
	}
	want := []string{"description"}
	if spec.Observes() {
		want = nil
	}
	if diff := cmp.Diff(want, fields); diff != "" {
		t.Fatalf("%s: what applying changes (-want +got):\n%s", plan.Summary(changes), diff)
	}
	if spec.Observes() {
		return
	}
	if after := plan.Unmarked(changes[0].Want); after != plan.Unmarked(description) {
		t.Fatalf("the text %q becomes %q", description, after)
	}
}

func TestAFilterThatIsExportedAndAppliedGetsAMarkAndNothingElse(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		have := foreignFilter(t)
		spec, said := plan.FilterManifest(have)
		if said.LeftOut == "" {
			onlyMarked(t, spec.CloudSpec, have.Description, filterApplied(t, spec, have))
		}
		spec.ManagementPolicy = v1alpha1.ManagementObserve
		if said.LeftOut == "" {
			onlyMarked(t, spec.CloudSpec, have.Description, filterApplied(t, spec, have))
		}
	})
}

func TestASessionThatIsExportedAndAppliedGetsAMarkAndNothingElse(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		have := foreignSession(t)
		spec, said := plan.SessionManifest(have)
		if said.LeftOut == "" {
			onlyMarked(t, spec.CloudSpec, have.Description, sessionApplied(spec, have))
		}
		spec.ManagementPolicy = v1alpha1.ManagementObserve
		if said.LeftOut == "" {
			onlyMarked(t, spec.CloudSpec, have.Description, sessionApplied(spec, have))
		}
	})
}

func TestAnExportedSpecSaysAllThatTheCloudHas(t *testing.T) {
	filter, said := plan.FilterManifest(cloud.Filter{ID: exportedID, Name: "tf-web", Description: " by Terraform\n", Rules: []cloud.Rule{
		{RuleSpec: cloud.RuleSpec{Direction: cloud.Egress, Priority: 7, IPv6: true, Protocol: cloud.ICMPv6, Description: "pings"}},
		{RuleSpec: cloud.RuleSpec{
			Direction: cloud.Ingress, Priority: 2, Accept: true, Protocol: cloud.TCP, Source: netip.MustParsePrefix("10.1.2.3/8"),
			DestinationPorts: cloud.PortRange{Low: 80, High: 80}, SourcePorts: cloud.PortRange{Low: 1024, High: 65535},
		}},
	}})
	want := v1alpha1.MirrorFilterSpec{CloudSpec: v1alpha1.CloudSpec{
		CloudName: "tf-web", Description: "by Terraform", Import: &v1alpha1.Import{ID: exportedID}, ManagementPolicy: v1alpha1.ManagementManaged, DeletionPolicy: v1alpha1.DeletionRetain,
	}, Rules: []v1alpha1.FilterRule{
		{
			Direction: "Ingress", Priority: 2, Action: "Accept", EtherType: "IPv4", Protocol: "TCP",
			Source: &v1alpha1.RulePeer{CIDR: "10.0.0.0/8", Port: new(int32(1024)), EndPort: new(int32(65535))}, Destination: &v1alpha1.RulePeer{Port: new(int32(80))},
		},
		{Direction: "Egress", Priority: 7, Action: "Reject", EtherType: "IPv6", Protocol: "ICMPv6", Description: "pings"},
	}}
	if diff := cmp.Diff([]any{want, plan.Said{}}, []any{filter, said}); diff != "" {
		t.Errorf("the filter (-want +got):\n%s", diff)
	}
	session, said := plan.SessionManifest(cloud.Session{ID: exportedID, SessionSpec: cloud.SessionSpec{
		Name: "tf mirror", FilterID: "f", TargetID: portC, TargetType: cloud.TargetLoadBalancer, VNI: 0, PacketLength: 96, Priority: 42,
	}, Sources: []string{portB, portA, portB}})
	source := func(id string) v1alpha1.SourceSelector {
		return v1alpha1.SourceSelector{InterfaceSelector: v1alpha1.InterfaceSelector{InterfaceID: id}}
	}
	wantSession := v1alpha1.MirrorSessionSpec{
		CloudSpec: v1alpha1.CloudSpec{Import: &v1alpha1.Import{ID: exportedID}, ManagementPolicy: v1alpha1.ManagementManaged, DeletionPolicy: v1alpha1.DeletionRetain},
		Sources:   []v1alpha1.SourceSelector{source(portA), source(portB)}, Target: v1alpha1.TargetSelector{LoadBalancerID: portC},
		VNI: new(int32(0)), PacketLength: new(int32(96)), Priority: new(int32(42)), Enabled: new(false),
	}
	wantSaid := plan.Said{Notes: []string{"spec.cloudName takes no such name: the cloud's stays as it is"}}
	if diff := cmp.Diff([]any{wantSession, wantSaid}, []any{session, said}); diff != "" {
		t.Errorf("the session (-want +got):\n%s", diff)
	}
}

func TestWhatNoSpecCanSayIsNamed(t *testing.T) {
	type said struct{ LeftOut, Observe, Notes string }
	of := func(s plan.Said) said {
		return said{s.LeftOut, strings.Join(s.Observe, "|"), strings.Join(s.Notes, "|")}
	}
	rule := func(edit func(*cloud.Rule)) func(*cloud.Filter) {
		r := cloud.Rule{RuleSpec: cloud.RuleSpec{Direction: cloud.Ingress, Priority: 3, Protocol: cloud.TCP}}
		edit(&r)
		return func(f *cloud.Filter) { f.Rules = append(f.Rules, r) }
	}
	const noText = "spec.description takes no such text: the cloud's stays as it is"
	for name, tc := range map[string]struct {
		edit func(*cloud.Filter)
		want said
	}{
		"an ID in capitals":       {func(f *cloud.Filter) { f.ID = strings.ToUpper(f.ID) }, said{LeftOut: "its ID is no UUID in lower case, which spec.import.id has to be"}},
		"a long description":      {func(f *cloud.Filter) { f.Description = strings.Repeat("a", 161) }, said{Notes: noText}},
		"one that leaves no room": {func(f *cloud.Filter) { f.Description = strings.Repeat("镜", 66) }, said{Observe: "its description has 198 bytes, of which the mark leaves room for 197"}},
		"one with <":              {func(f *cloud.Filter) { f.Description = "a < b" }, said{Observe: "its description has < or >, with which the cloud would not take the mark", Notes: noText}},
		"an unreadable rule":      {rule(func(r *cloud.Rule) { r.Unreadable = `protocol "GRE"` }), said{LeftOut: `rules[Ingress 3] has something that no spec can say: protocol "GRE"`}},
		"ports without TCP":       {rule(func(r *cloud.Rule) { r.Protocol, r.SourcePorts = cloud.All, cloud.PortRange{Low: 1, High: 2} }), said{LeftOut: "rules[Ingress 3] has ports with protocol All, and a spec has them with TCP and UDP"}},
		"ICMP of the other IP":    {rule(func(r *cloud.Rule) { r.Protocol, r.IPv6 = cloud.ICMP, true }), said{LeftOut: "rules[Ingress 3] has protocol ICMP with etherType IPv6, which a spec has not"}},
		"a CIDR of the other":     {rule(func(r *cloud.Rule) { r.Source = netip.MustParsePrefix("2001:db8::/64") }), said{LeftOut: "rules[Ingress 3] has a CIDR that is not of its etherType, IPv4"}},
		"a rule's description":    {rule(func(r *cloud.Rule) { r.Description = "a > b" }), said{Observe: "rules[Ingress 3] has a description that no spec takes, and managing it would take that away"}},
		"one priority for two":    {func(f *cloud.Filter) { rule(func(*cloud.Rule) {})(f); rule(func(*cloud.Rule) {})(f) }, said{LeftOut: "it has two Ingress rules with the priority 3, and a spec has one"}},
		"more rules than ten": {func(f *cloud.Filter) {
			for i := range 11 {
				rule(func(r *cloud.Rule) { r.Priority = i + 1 })(f)
			}
		}, said{LeftOut: "it has more than 10 Ingress rules, which are the most that a spec has"}},
	} {
		t.Run(name, func(t *testing.T) {
			have := cloud.Filter{ID: exportedID, Name: "tf"}
			tc.edit(&have)
			_, got := plan.FilterManifest(have)
			if diff := cmp.Diff(tc.want, of(got)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
	for name, tc := range map[string]struct {
		edit func(*cloud.Session)
		want said
	}{
		"no target":                 {func(s *cloud.Session) { s.TargetID = "" }, said{LeftOut: "its target has no UUID in lower case, by which a spec names it"}},
		"a target of a new kind":    {func(s *cloud.Session) { s.TargetType = "gwlb" }, said{LeftOut: `its target is of the type "gwlb", and a spec has an interface or a load balancer`}},
		"a target that is a source": {func(s *cloud.Session) { s.Sources = []string{s.TargetID} }, said{LeftOut: "its target is one of its sources, which a spec can't say"}},
		"a source that has no ID":   {func(s *cloud.Session) { s.Sources = []string{"x"} }, said{LeftOut: "one of its sources has no UUID in lower case, by which a spec names it"}},
		"no source":                 {func(s *cloud.Session) { s.Sources = nil }, said{Observe: "it has no source, without which no session is managed"}},
		"too many sources": {func(s *cloud.Session) {
			for i := range 101 {
				s.Sources = append(s.Sources, fmt.Sprintf("00000000-0000-4000-8000-%012d", i))
			}
		}, said{LeftOut: "it has 102 sources, and a spec has at most 100 for such a target"}},
		"a packet length beyond": {func(s *cloud.Session) { s.PacketLength = 9000 }, said{LeftOut: "its packet length is 9000, and a spec takes 1 to 1460"}},
		"a priority beyond":      {func(s *cloud.Session) { s.Priority = 0 }, said{LeftOut: "its priority is 0, and a spec takes 1 to 32766"}},
	} {
		t.Run(name, func(t *testing.T) {
			have := cloud.Session{ID: exportedID, SessionSpec: cloud.SessionSpec{
				Name: "tf", FilterID: "f", TargetID: portC, TargetType: cloud.TargetInterface, VNI: 7, PacketLength: 96, Priority: 42,
			}, Sources: slices.Clone([]string{portA})}
			tc.edit(&have)
			_, got := plan.SessionManifest(have)
			if diff := cmp.Diff(tc.want, of(got)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}
