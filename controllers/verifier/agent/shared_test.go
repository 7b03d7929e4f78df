package agent

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/verifier/frametest"
)

const tail = ": they are counted for each, because nothing in a copy tells whose it is. Give one of them another VNI"

func TestWhoClaimsTheSameCopies(t *testing.T) {
	const mac = "fa:16:3e:00:00:01"
	eth0 := Interface{Index: 2, Name: "eth0", MAC: mac, Addresses: addrs("192.168.0.164")}
	bridge := Interface{Index: 3, Name: "br0", MAC: mac, Addresses: addrs("192.168.0.165")}
	eth1 := Interface{Index: 4, Name: "eth1", MAC: "fa:16:3e:00:00:02", Addresses: addrs("192.168.1.10")}
	named := func(namespace, name string, edits ...func(*v1alpha1.MirrorSession)) v1alpha1.MirrorSession {
		s := sessionHere(namespace+"/"+name, time.Hour, nil)
		s.Namespace, s.Name = namespace, name
		s.Status.Sources[0].Addresses = []string{"192.168.0.230"}
		for _, edit := range edits {
			edit(&s)
		}
		return s
	}
	vni := func(n int32) func(*v1alpha1.MirrorSession) {
		return func(s *v1alpha1.MirrorSession) { s.Status.VNI = &n }
	}
	from := func(addresses ...string) func(*v1alpha1.MirrorSession) {
		return func(s *v1alpha1.MirrorSession) { s.Status.Sources[0].Addresses = addresses }
	}
	to := func(address, mac string) func(*v1alpha1.MirrorSession) {
		return func(s *v1alpha1.MirrorSession) {
			s.Status.Target = &v1alpha1.ResolvedTarget{ResolvedInterface: v1alpha1.ResolvedInterface{Addresses: []string{address}, MAC: mac}}
		}
	}
	type says struct {
		Text      string
		Concealed bool
	}
	for name, c := range map[string]struct {
		sessions []v1alpha1.MirrorSession
		want     map[string]says
	}{
		"two that have nothing in common": {
			[]v1alpha1.MirrorSession{named("n", "a"), named("n", "b", vni(2)), named("n", "c", from("192.168.0.9")), named("n", "d", to("192.168.1.10", ""))},
			map[string]says{"n/a": {}, "n/b": {}, "n/c": {}, "n/d": {}},
		},
		"two of a namespace name each other": {
			[]v1alpha1.MirrorSession{named("n", "b"), named("n", "a")},
			map[string]says{
				"n/a": {Text: `copies with VNI 1 from 192.168.0.230 are claimed by the MirrorSession "b" too` + tail},
				"n/b": {Text: `copies with VNI 1 from 192.168.0.230 are claimed by the MirrorSession "a" too` + tail},
			},
		},
		"two of two namespaces learn nothing of each other": {
			[]v1alpha1.MirrorSession{named("n", "a"), named("m", "a", from("192.168.0.9", "192.168.0.230"))},
			map[string]says{
				"n/a": {Text: "copies with VNI 1 are claimed by MirrorSessions in other namespaces too" + tail, Concealed: true},
				"m/a": {Text: "copies with VNI 1 are claimed by MirrorSessions in other namespaces too" + tail, Concealed: true},
			},
		},
		"several of several namespaces": {
			[]v1alpha1.MirrorSession{named("n", "c"), named("n", "b"), named("n", "a"), named("m", "d")},
			map[string]says{
				"n/a": {Text: `copies with VNI 1 are claimed by the MirrorSession "b" and others of this namespace and MirrorSessions in other namespaces too` + tail, Concealed: true},
				"n/b": {Text: `copies with VNI 1 are claimed by the MirrorSession "a" and others of this namespace and MirrorSessions in other namespaces too` + tail, Concealed: true},
				"n/c": {Text: `copies with VNI 1 are claimed by the MirrorSession "a" and others of this namespace and MirrorSessions in other namespaces too` + tail, Concealed: true},
				"m/d": {Text: "copies with VNI 1 are claimed by MirrorSessions in other namespaces too" + tail, Concealed: true},
			},
		},
		"one that shares another address with each of two": {
			[]v1alpha1.MirrorSession{named("n", "a", from("192.168.0.231", "192.168.0.230", "192.168.0.230")), named("n", "b"), named("n", "c", from("192.168.0.231"))},
			map[string]says{
				"n/a": {Text: `copies with VNI 1 from 192.168.0.230 and 1 more are claimed by the MirrorSession "b" and others of this namespace too` + tail},
				"n/b": {Text: `copies with VNI 1 from 192.168.0.230 are claimed by the MirrorSession "a" too` + tail},
				"n/c": {Text: `copies with VNI 1 from 192.168.0.231 are claimed by the MirrorSession "a" too` + tail},
			},
		},
		"a bridge and its port are one target": {
			[]v1alpha1.MirrorSession{named("n", "a", to("192.168.0.164", "")), named("m", "b", to("192.168.0.165", ""))},
			map[string]says{
				"n/a": {Text: "copies with VNI 1 are claimed by MirrorSessions in other namespaces too" + tail, Concealed: true},
				"m/b": {Text: "copies with VNI 1 are claimed by MirrorSessions in other namespaces too" + tail, Concealed: true},
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			got := map[string]says{}
			for _, a := range assign(pointers(c.sessions), []Interface{eth0, bridge, eth1}, func(*v1alpha1.MirrorSession) ([]v1alpha1.Rule, bool, error) { return nil, true, nil }) {
				got[a.session.Namespace+"/"+a.session.Name] = says{a.shared, a.count.Concealed}
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("who claims the same copies (-want +got):\n%s", diff)
			}
		})
	}
}

func TestTwoSessionsThatClaimTheSameCopiesBothGetTheCountAndSaySo(t *testing.T) {
	w := newWorld(t)
	w.filter("web")
	w.filter("nothing", func(f *v1alpha1.MirrorFilter) { f.Spec.Rules[0].Destination.Port = new(int32(1)) })
	first, second, refuses := w.session("first", "web"), w.session("second", "web"), w.session("refuses", "nothing")
	third := w.session("third", "web", func(status *v1alpha1.MirrorSessionStatus) { status.VNI = new(int32(3)) })
	h := w.host(node, w.pair)
	h.step()
	shared := func(with string) func(*v1alpha1.Verification) {
		return func(e *v1alpha1.Verification) {
			e.Shared = fmt.Sprintf(`copies with VNI 1 from 192.168.0.230 are claimed by the MirrorSession %q and others of this namespace too`, with) + tail
		}
	}
	unexpected := func(e *v1alpha1.Verification) { e.Unexpected = 4 }
	w.send(good(4)...)
	w.send(copies(3, 6, frametest.Inner("12345\n").Bytes())...)
	h.trail()
	w.expectEntries(first, entry(4, shared("refuses")))
	w.expectEntries(second, entry(4, shared("first")))
	w.expectEntries(refuses, entry(0, unexpected, shared("first")))
	w.expectEntries(third, entry(6))
	if frames := h.only().snapshot().Frames; frames.Attributed != 10 {
		t.Errorf("%d frames were attributed, want 10", frames.Attributed)
	}

	w.manage(first, func(status *v1alpha1.MirrorSessionStatus) { status.VNI = new(int32(2)) })
	w.manage(refuses, func(status *v1alpha1.MirrorSessionStatus) { status.VNI = new(int32(2)) })
	h.trail()
	w.send(good(5)...)
	h.trail()
	w.expectEntries(second, entry(9))
}

func TestOfCopiesThatSessionsOfTwoNamespacesClaimNeitherGetsMoreThanTheCount(t *testing.T) {
	w := newWorld(t)
	w.filter("web")
	mine := w.session("mine", "web")
	h := w.host(node, w.pair)
	h.step()
	w.send(good(2)...)
	h.trail()
	w.expectEntries(mine, entry(2))
	if line := w.stored(mine).Status.Verification[0].LastPacket; line == "" {
		t.Error("no last packet before another session claims it")
	}

	w.enter()
	w.filter("web")
	theirs := w.session("theirs", "web")
	shared := func(e *v1alpha1.Verification) {
		e.Shared = "copies with VNI 1 are claimed by MirrorSessions in other namespaces too" + tail
		numbersAlone(e)
	}
	shown := func(n int64) func(*v1alpha1.Verification) { // of what came before and afterwards
		return func(e *v1alpha1.Verification) {
			e.Sources = []v1alpha1.SourceCounts{theSource(v1alpha1.Counts{Packets: n, Bytes: n * goodBytes})}
			e.Rules = []v1alpha1.RuleCounts{theRule(n)}
		}
	}
	lines := func(when string) {
		t.Helper()
		for _, s := range []*v1alpha1.MirrorSession{mine, theirs} {
			if line := w.stored(s).Status.Verification[0].LastPacket; line != "" {
				t.Errorf("%s %s has the last packet %q", when, s.Name, line)
			}
		}
	}
	h.trail()
	w.expectEntries(mine, entry(2, shared))
	w.expectEntries(theirs, entry(0, shared))
	lines("before any packet")
	w.send(good(3)...)
	h.trail()
	w.expectEntries(mine, entry(5, shared))
	w.expectEntries(theirs, entry(3, shared))
	lines("with packets")
	if n := testutil.CollectAndCount(h.Agent, "vpcmirror_verifier_source_packets_total", "vpcmirror_verifier_source_truncated_packets_total"); n != 0 {
		t.Errorf("%d series say from which source the packets come", n)
	}

	// A restarted verifier knows no more, and what came stays concealed when one goes.
	h.kill()
	h = w.host(node, w.pair)
	h.step()
	w.manage(theirs, func(status *v1alpha1.MirrorSessionStatus) { status.VNI = new(int32(2)) })
	h.trail()
	w.expectEntries(mine, entry(5, shown(0)))
	w.expectEntries(theirs, entry(3, shown(0)))
	lines("afterwards")
	w.send(good(1)...)
	h.trail()
	w.expectEntries(mine, entry(6, shown(1)))
	if line := w.stored(mine).Status.Verification[0].LastPacket; line == "" {
		t.Error("no last packet after the other session has gone")
	}
}
