package integration_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/test/cloudsim/scenario"
	"vpcmirror.io/operator/test/integration/harness"
)

// rules is an edit that sets the rules of a filter.
func rules(all ...v1alpha1.FilterRule) func(*v1alpha1.MirrorFilter) {
	return func(f *v1alpha1.MirrorFilter) { f.Spec.Rules = all }
}

// rule is an edit of the walkthrough's rule.
func rule(edit func(*v1alpha1.FilterRule)) func(*v1alpha1.MirrorFilter) {
	return func(f *v1alpha1.MirrorFilter) { edit(&f.Spec.Rules[0]) }
}

func many(count int, direction v1alpha1.Direction) []v1alpha1.FilterRule {
	var all []v1alpha1.FilterRule
	for i := range count {
		r := harness.Rule(int32(i + 1))
		r.Direction = direction
		all = append(all, r)
	}
	return all
}

// refusals are specs that the API server has to refuse, with the sentence that it says,
// each beside the nearest spec that it has to take.
type refusal[T client.Object] struct {
	name      string
	bad, good func(T)
	says      string
}

var filterRefusals = []refusal[*v1alpha1.MirrorFilter]{
	{
		"two rules of one direction with one priority", rules(harness.Rule(1), harness.Rule(1)),
		rules(harness.Rule(1), many(1, v1alpha1.DirectionEgress)[0]),
		"two rules of one direction have the same priority: give each rule of a direction a priority of its own",
	},
	{
		"eleven Ingress rules", rules(many(11, v1alpha1.DirectionIngress)...), rules(many(10, v1alpha1.DirectionIngress)...),
		"the cloud takes at most 10 Ingress rules in a filter: join CIDRs or port ranges, or use a second filter and session",
	},
	{
		"eleven Egress rules", rules(many(11, v1alpha1.DirectionEgress)...),
		rules(append(many(10, v1alpha1.DirectionEgress), many(10, v1alpha1.DirectionIngress)...)...),
		"the cloud takes at most 10 Egress rules in a filter: join CIDRs or port ranges, or use a second filter and session",
	},
	{
		"a CIDR that is none", rule(func(r *v1alpha1.FilterRule) { r.Source.CIDR = "192.168.0.161" }),
		rule(func(r *v1alpha1.FilterRule) { r.Source.CIDR = "192.168.0.161/32" }),
		"cidr must be an address with a prefix length, such as 192.168.0.161/32 or 2001:db8::/64",
	},
	{
		"a CIDR with bits behind its prefix", rule(func(r *v1alpha1.FilterRule) { r.Source.CIDR = "10.0.0.1/8" }),
		rule(func(r *v1alpha1.FilterRule) { r.Source.CIDR = "10.0.0.0/8" }),
		"cidr has bits set behind its prefix length: write the network's own address, such as 10.0.0.0/8 in place of 10.0.0.1/8, or /32 (IPv6: /128) for one address",
	},
	{
		"a source of the other family", rule(func(r *v1alpha1.FilterRule) { r.Source.CIDR = "2001:db8::/64" }),
		rule(func(r *v1alpha1.FilterRule) {
			r.EtherType, r.Source.CIDR, r.Destination.CIDR = v1alpha1.EtherTypeIPv6, "2001:db8::/64", ""
		}),
		"source.cidr is not of the family of etherType: change one of the two",
	},
	{
		"a destination of the other family", rule(func(r *v1alpha1.FilterRule) { r.Source, r.EtherType = nil, v1alpha1.EtherTypeIPv6 }),
		rule(func(r *v1alpha1.FilterRule) { r.Source = nil }),
		"destination.cidr is not of the family of etherType: change one of the two",
	},
	{
		"a port on ICMP", rule(func(r *v1alpha1.FilterRule) { r.Protocol = v1alpha1.ProtocolICMP }),
		rule(func(r *v1alpha1.FilterRule) { r.Protocol, r.Destination.Port = v1alpha1.ProtocolICMP, nil }),
		"ports go with protocol TCP or UDP only: remove the ports or change the protocol",
	},
	{
		"a source's port on every protocol", rule(func(r *v1alpha1.FilterRule) {
			r.Protocol, r.Destination, r.Source.Port = v1alpha1.ProtocolAll, nil, new(int32(53))
		}),
		rule(func(r *v1alpha1.FilterRule) {
			r.Protocol, r.Destination, r.Source.Port = v1alpha1.ProtocolUDP, nil, new(int32(53))
		}),
		"ports go with protocol TCP or UDP only: remove the ports or change the protocol",
	},
	{
		"ICMP over IPv6", rule(func(r *v1alpha1.FilterRule) {
			*r = v1alpha1.FilterRule{Direction: r.Direction, Priority: 1, Action: r.Action, Protocol: v1alpha1.ProtocolICMP, EtherType: v1alpha1.EtherTypeIPv6}
		}),
		rule(func(r *v1alpha1.FilterRule) {
			*r = v1alpha1.FilterRule{Direction: r.Direction, Priority: 1, Action: r.Action, Protocol: v1alpha1.ProtocolICMPv6, EtherType: v1alpha1.EtherTypeIPv6}
		}),
		"protocol ICMP goes with etherType IPv4: write ICMPv6 for IPv6",
	},
	{
		"ICMPv6 over IPv4", rule(func(r *v1alpha1.FilterRule) {
			r.Protocol, r.Destination.Port = v1alpha1.ProtocolICMPv6, nil
		}),
		rule(func(r *v1alpha1.FilterRule) { r.Protocol, r.Destination.Port = v1alpha1.ProtocolICMP, nil }),
		"protocol ICMPv6 goes with etherType IPv6: write ICMP for IPv4",
	},
	{
		"a range without its begin", rule(func(r *v1alpha1.FilterRule) { r.Destination.Port, r.Destination.EndPort = nil, new(int32(80)) }),
		rule(func(r *v1alpha1.FilterRule) {
			r.Destination.Port, r.Destination.EndPort = new(int32(80)), new(int32(80))
		}),
		"endPort needs port: set port to the first port of the range",
	},
	{
		"a range that runs backwards", rule(func(r *v1alpha1.FilterRule) { r.Destination.EndPort = new(int32(1233)) }),
		rule(func(r *v1alpha1.FilterRule) { r.Destination.EndPort = new(int32(1234)) }),
		"endPort is below port: swap the two",
	},
	{
		"the port 0", rule(func(r *v1alpha1.FilterRule) { r.Destination.Port = new(int32(0)) }),
		rule(func(r *v1alpha1.FilterRule) { r.Destination.Port = new(int32(1)) }),
		"a port is a number from 1 to 65535; leave port out to match every port",
	},
	{
		"an end of 65536", rule(func(r *v1alpha1.FilterRule) { r.Destination.EndPort = new(int32(65536)) }),
		rule(func(r *v1alpha1.FilterRule) { r.Destination.EndPort = new(int32(65535)) }),
		"a port is a number from 1 to 65535",
	},
	{
		"a rule's priority of 65536", rule(func(r *v1alpha1.FilterRule) { r.Priority = 65536 }),
		rule(func(r *v1alpha1.FilterRule) { r.Priority = 65535 }),
		"a rule's priority is a number from 1 to 65535",
	},
	{
		"a rule's priority of 0", rule(func(r *v1alpha1.FilterRule) { r.Priority = 0 }),
		rule(func(r *v1alpha1.FilterRule) { r.Priority = 1 }),
		"a rule's priority is a number from 1 to 65535",
	},
	{
		"a rule's description with a tag", rule(func(r *v1alpha1.FilterRule) { r.Description = "<b>" }),
		rule(func(r *v1alpha1.FilterRule) { r.Description = strings.Repeat("字", 255) }),
		"the cloud refuses < and > in a description: leave them out",
	},
	{
		"an action that is none", rule(func(r *v1alpha1.FilterRule) { r.Action = "Drop" }),
		rule(func(r *v1alpha1.FilterRule) { r.Action = v1alpha1.ActionReject }), `supported values: "Accept", "Reject"`,
	},
	{
		"a direction that is none", rule(func(r *v1alpha1.FilterRule) { r.Direction = "Both" }),
		rule(func(r *v1alpha1.FilterRule) { r.Direction = v1alpha1.DirectionEgress }), `supported values: "Ingress", "Egress"`,
	},
	{
		"a region that is none", func(f *v1alpha1.MirrorFilter) { f.Spec.Region = "CN North" },
		func(f *v1alpha1.MirrorFilter) { f.Spec.Region = "cn-north-4" },
		"a region is written like cn-north-4: lower-case letters, digits and hyphens",
	},
	{
		"a project that is none", func(f *v1alpha1.MirrorFilter) { f.Spec.ProjectID = strings.Repeat("A", 32) },
		func(f *v1alpha1.MirrorFilter) { f.Spec.ProjectID = scenario.WalkthroughProject },
		"a project ID has 32 lower-case hexadecimal digits; the console shows it under My Credentials",
	},
	{
		"a name in the cloud with a blank", func(f *v1alpha1.MirrorFilter) { f.Spec.CloudName = "my filter" },
		func(f *v1alpha1.MirrorFilter) { f.Spec.CloudName = "my_filter-1.镜像" },
		"the cloud takes letters, digits, Chinese characters and the signs _ - . in a name; leave spec.cloudName out to have one made",
	},
	{
		"a name in the cloud of 65 characters", func(f *v1alpha1.MirrorFilter) { f.Spec.CloudName = strings.Repeat("a", 65) },
		func(f *v1alpha1.MirrorFilter) { f.Spec.CloudName = strings.Repeat("a", 64) }, "may not be more than 64",
	},
	{
		"a description with a tag", func(f *v1alpha1.MirrorFilter) { f.Spec.Description = "a > b" },
		func(f *v1alpha1.MirrorFilter) { f.Spec.Description = "a, b" },
		"the cloud refuses < and > in a description: leave them out",
	},
	{
		"a description of 161 characters", func(f *v1alpha1.MirrorFilter) { f.Spec.Description = strings.Repeat("字", 161) },
		func(f *v1alpha1.MirrorFilter) { f.Spec.Description = strings.Repeat("字", 160) }, "may not be more than 160",
	},
	{
		"a deletion policy that is none", func(f *v1alpha1.MirrorFilter) { f.Spec.DeletionPolicy = "Orphan" },
		func(f *v1alpha1.MirrorFilter) { f.Spec.DeletionPolicy = v1alpha1.DeletionRetain }, `supported values: "Delete", "Retain"`,
	},
}

func sources(all ...v1alpha1.InterfaceSelector) func(*v1alpha1.MirrorSession) {
	return func(s *v1alpha1.MirrorSession) { s.Spec.Sources = harness.Sources(all...) }
}

func numbered(count int) []v1alpha1.InterfaceSelector {
	var all []v1alpha1.InterfaceSelector
	for i := range count {
		all = append(all, harness.At(fmt.Sprintf("10.0.0.%d", i+1)))
	}
	return all
}

var sessionRefusals = []refusal[*v1alpha1.MirrorSession]{
	{
		"a VNI of 25 bits", func(s *v1alpha1.MirrorSession) { s.Spec.VNI = new(int32(16777216)) },
		func(s *v1alpha1.MirrorSession) { s.Spec.VNI = new(int32(16777215)) },
		"a VNI has 24 bits: choose a number from 0 to 16777215, or leave vni out to have one allocated",
	},
	{
		"a negative VNI", func(s *v1alpha1.MirrorSession) { s.Spec.VNI = new(int32(-1)) },
		func(s *v1alpha1.MirrorSession) { s.Spec.VNI = new(int32(0)) },
		"a VNI has 24 bits: choose a number from 0 to 16777215, or leave vni out to have one allocated",
	},
	{
		"a session's priority of 32767", func(s *v1alpha1.MirrorSession) { s.Spec.Priority = new(int32(32767)) },
		func(s *v1alpha1.MirrorSession) { s.Spec.Priority = new(int32(32766)) },
		"a session's priority is a number from 1 to 32766; leave priority out to have a free one allocated",
	},
	{
		"a packet length of 1461", func(s *v1alpha1.MirrorSession) { s.Spec.PacketLength = new(int32(1461)) },
		func(s *v1alpha1.MirrorSession) { s.Spec.PacketLength = new(int32(1)) },
		"packetLength is a number of bytes from 1 to 1460: longer copies would not fit the network's MTU",
	},
	{
		"a source with both members set", func(s *v1alpha1.MirrorSession) { s.Spec.Sources[0].Address = harness.At("10.0.0.1").Address },
		sources(harness.At("10.0.0.1")),
		"set exactly one of interfaceID, address and nodeName: remove the others, or add the one that is missing",
	},
	{
		"a target with no member set", func(s *v1alpha1.MirrorSession) { s.Spec.Target = v1alpha1.TargetSelector{} },
		func(s *v1alpha1.MirrorSession) { s.Spec.Target = harness.Target(harness.At("10.0.0.1")) },
		"set exactly one of interfaceID, address and nodeName: remove the others, or add the one that is missing",
	},
	{
		"an interface ID that is no UUID", sources(harness.ID("../filters")),
		sources(harness.ID(scenario.WalkthroughTest)),
		"interfaceID must be the UUID of an elastic network interface in lower case, as the console shows it under the server's network interfaces",
	},
	{
		"an address with a prefix length", sources(harness.At("10.0.0.1/32")), sources(harness.At("2001:db8::1")),
		"ip must be one address, such as 192.168.0.230, without a prefix length",
	},
	{
		"a VPC that is no UUID", func(s *v1alpha1.MirrorSession) {
			s.Spec.Sources = harness.Sources(numbered(1)...)
			s.Spec.Sources[0].Address.VPCID = "vpc-1"
		},
		func(s *v1alpha1.MirrorSession) {
			s.Spec.Sources = harness.Sources(numbered(1)...)
			s.Spec.Sources[0].Address.VPCID = scenario.WalkthroughVPC
		},
		"vpcID must be a UUID in lower case, as the console shows it",
	},
	{
		"a target that is a source by ID", sources(harness.ID(scenario.WalkthroughTarget)),
		sources(harness.ID(scenario.WalkthroughTest)),
		"the target is one of the sources: the cloud takes no interface as both, so choose another target",
	},
	{
		"a target that is a source by address", func(s *v1alpha1.MirrorSession) {
			s.Spec.Sources, s.Spec.Target = harness.Sources(numbered(3)...), harness.Target(harness.At("10.0.0.2"))
		},
		func(s *v1alpha1.MirrorSession) {
			s.Spec.Sources, s.Spec.Target = harness.Sources(numbered(3)...), harness.Target(harness.At("10.0.0.4"))
		},
		"the target is one of the sources: the cloud takes no interface as both, so choose another target",
	},
	{
		"a source that is named twice", sources(append(numbered(2), numbered(1)...)...), sources(numbered(2)...),
		"a source is named twice: remove one",
	},
	{"eleven sources", sources(numbered(11)...), sources(numbered(10)...), "must have at most 10 items"},
	{
		"a filter without a name", func(s *v1alpha1.MirrorSession) { s.Spec.FilterRef.Name = "" },
		func(s *v1alpha1.MirrorSession) { s.Spec.FilterRef.Name = "f" }, "should be at least 1 chars long",
	},
	{
		"a Secret without a name", func(s *v1alpha1.MirrorSession) { s.Spec.CredentialsRef.Name = "" },
		func(s *v1alpha1.MirrorSession) { s.Spec.CredentialsRef = nil }, "should be at least 1 chars long",
	},
}

// refuses tries the bad object and then the good one, without storing either.
func refuses[T client.Object](t *testing.T, w *harness.World, fresh func() T, c refusal[T]) {
	t.Helper()
	bad := fresh()
	c.bad(bad)
	err := w.Cluster.Client.Create(t.Context(), bad, client.DryRunAll)
	if !apierrors.IsInvalid(err) || !strings.Contains(err.Error(), c.says) {
		t.Errorf("the API server says %v, want it to refuse with %q", err, c.says)
	}
	good := fresh()
	c.good(good)
	if err := w.Cluster.Client.Create(t.Context(), good, client.DryRunAll); err != nil {
		t.Errorf("the API server refuses what is right: %v", err)
	}
}

func TestTheAPIServerRefusesWithASentenceThatHelps(t *testing.T) {
	t.Parallel()
	w := harness.New(t)
	for _, c := range filterRefusals {
		t.Run(c.name, func(t *testing.T) {
			refuses(t, w, func() *v1alpha1.MirrorFilter { return w.Filter("f") }, c)
		})
	}
	for _, c := range sessionRefusals {
		t.Run(c.name, func(t *testing.T) {
			refuses(t, w, func() *v1alpha1.MirrorSession { return w.Session("s", "f") }, c)
		})
	}
}

func TestRegionAndProjectCanNotBeChanged(t *testing.T) {
	t.Parallel()
	w := harness.New(t)
	region := "spec.region can't be changed, because the cloud can't move an object: create a new object for the other region and delete this one"
	project := "spec.projectID can't be changed, because the cloud can't move an object: create a new object for the other project and delete this one"
	for name, c := range map[string]struct {
		from, to v1alpha1.CloudSpec
		says     string
	}{
		"another region":    {v1alpha1.CloudSpec{Region: "cn-north-4"}, v1alpha1.CloudSpec{Region: "cn-east-3"}, region},
		"a region later":    {v1alpha1.CloudSpec{}, v1alpha1.CloudSpec{Region: "cn-east-3"}, region},
		"no region later":   {v1alpha1.CloudSpec{Region: "cn-north-4"}, v1alpha1.CloudSpec{}, region},
		"another project":   {v1alpha1.CloudSpec{ProjectID: scenario.WalkthroughProject}, v1alpha1.CloudSpec{ProjectID: scenario.WalkthroughOtherProject}, project},
		"a project later":   {v1alpha1.CloudSpec{}, v1alpha1.CloudSpec{ProjectID: scenario.WalkthroughProject}, project},
		"no project later":  {v1alpha1.CloudSpec{ProjectID: scenario.WalkthroughProject}, v1alpha1.CloudSpec{}, project},
		"another name":      {v1alpha1.CloudSpec{Region: "cn-north-4"}, v1alpha1.CloudSpec{Region: "cn-north-4", CloudName: "n"}, ""},
		"nothing of either": {v1alpha1.CloudSpec{}, v1alpha1.CloudSpec{Suspend: true}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			filter := w.Filter("", func(f *v1alpha1.MirrorFilter) { f.GenerateName, f.Spec.CloudSpec = "moving-", c.from })
			session := w.Session("", "f", func(s *v1alpha1.MirrorSession) { s.GenerateName, s.Spec.CloudSpec = "moving-", c.from })
			w.Create(filter)
			w.Create(session)
			filter.Spec.CloudSpec, session.Spec.CloudSpec = c.to, c.to
			for _, o := range []client.Object{filter, session} {
				err := w.Cluster.Client.Update(t.Context(), o)
				if c.says == "" && err != nil || c.says != "" && (!apierrors.IsInvalid(err) || !strings.Contains(err.Error(), c.says)) {
					t.Errorf("the API server says %v of the %T, want %q", err, o, c.says)
				}
			}
		})
	}
}

// What the API server takes every program must be able to read, or none could read any session.
func TestSilenceAfterIsATimeThatEveryProgramReads(t *testing.T) {
	t.Parallel()
	w := harness.New(t)
	const says = "silenceAfter is a time from 10s to 720h, such as 90s, 15m or 24h; leave it out to have silence never judged"
	create := func(value any) (*unstructured.Unstructured, error) {
		content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(w.Session("", "f"))
		if err != nil {
			t.Fatal(err)
		}
		u := &unstructured.Unstructured{Object: content}
		u.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind("MirrorSession"))
		u.SetGenerateName("silence-")
		if err := unstructured.SetNestedField(u.Object, value, "spec", "silenceAfter"); err != nil {
			t.Fatal(err)
		}
		return u, w.Cluster.Client.Create(t.Context(), u)
	}
	for text, want := range map[string]time.Duration{
		"10s": 10 * time.Second, "90s": 90 * time.Second, "15m": 15 * time.Minute, "24h": 24 * time.Hour, "720h": 720 * time.Hour,
		"1h30m": 90 * time.Minute, "9s1000ms": 10 * time.Second, "000010s": 10 * time.Second, "0h10s": 10 * time.Second, "43200m0s": 720 * time.Hour,
	} {
		u, err := create(text)
		if err != nil {
			t.Errorf("%q is refused: %v", text, err)
			continue
		}
		session := &v1alpha1.MirrorSession{ObjectMeta: metav1.ObjectMeta{Namespace: u.GetNamespace(), Name: u.GetName()}}
		if err := w.Get(session); err != nil {
			t.Fatalf("%q can't be read: %v", text, err)
		}
		harness.Same(t, text, want, session.Spec.SilenceAfter.Duration)
	}
	for _, text := range []string{
		"9s", "9999ms", "721h", "720h1ms", "0s", "", "10", "soon", "1d", "-10s", "+10s", "1.5m", "10 s", "10S", "10us", "1e3s", "１０s", "10s\n",
		"1000000s", "999999h999999h",
	} {
		_, err := create(text)
		if !apierrors.IsInvalid(err) || strings.Count(err.Error(), says) != 1 || strings.Contains(err.Error(), ", <nil>") {
			t.Errorf("of %q the API server says %v", text, err)
		}
	}
	for _, other := range []any{int64(10), true} {
		if _, err := create(other); !apierrors.IsInvalid(err) {
			t.Errorf("of %v the API server says %v", other, err)
		}
	}
}

func TestDefaultsAreFilledIn(t *testing.T) {
	t.Parallel()
	w := harness.New(t)
	filter := w.Filter("plain", rules(v1alpha1.FilterRule{Direction: v1alpha1.DirectionIngress, Priority: 1, Action: v1alpha1.ActionAccept}))
	session := w.Session("plain", "plain")
	w.Create(filter)
	w.Create(session)
	wantFilter, wantSession := w.Filter("plain").Spec, w.Session("plain", "plain").Spec
	wantFilter.DeletionPolicy, wantSession.DeletionPolicy = v1alpha1.DeletionDelete, v1alpha1.DeletionDelete
	wantFilter.Rules = []v1alpha1.FilterRule{{
		Direction: v1alpha1.DirectionIngress, Priority: 1, Action: v1alpha1.ActionAccept,
		EtherType: v1alpha1.EtherTypeIPv4, Protocol: v1alpha1.ProtocolAll,
	}}
	wantSession.PacketLength, wantSession.Enabled = new(int32(1460)), new(true)
	harness.Same(t, "the filter's spec", wantFilter, filter.Spec)
	harness.Same(t, "the session's spec", wantSession, session.Spec)
	harness.Same(t, "the filter's observed generation", int64(-1), filter.Status.ObservedGeneration)
	harness.Same(t, "the session's observed generation", int64(-1), session.Status.ObservedGeneration)
}
