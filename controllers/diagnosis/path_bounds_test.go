package diagnosis_test

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"pgregory.net/rapid"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/cloud"
	"vpcmirror.io/operator/controllers/diagnosis"
)

// foreign is in every name and ID that is not of the session.
const foreign = "zz"

// anyWay is a way of which anything may be wrong, or missing, or long.
func anyWay(t *rapid.T) *way {
	w := newWay()
	long := strings.Repeat(foreign, rapid.SampledFrom([]int{1, 32, 200}).Draw(t, "length"))
	broken := rapid.SampledFrom([]string{"", "", "", long}).Draw(t, "unreadable")
	for n := range rapid.IntRange(0, 8).Draw(t, "more sources") {
		i := nic(fmt.Sprint("more-", n), fmt.Sprint("10.0.0.", 20+n), groupOfSources)
		w.Sources, w.Session.Sources = append(w.Sources, i), append(w.Session.Sources, i.ID)
	}
	anyGroups(t, w, broken != "")
	for id, g := range w.Groups.Value {
		g.Name = long + id
		for i := range g.Rules {
			g.Rules[i].ID = long
			if g.Rules[i].Unreadable != "" {
				g.Rules[i].Unreadable = broken
			}
		}
		w.Groups.Value[id] = g
	}
	w.filter(rapid.SliceOfN(rapid.Custom(anyFilterRule), 0, 10).Draw(t, "filter")...)
	acl := rapid.SliceOfN(rapid.Custom(anyACLRule), 0, 4).Draw(t, "ACL rules")
	for i := range acl {
		acl[i].ID, acl[i].Unreadable = long, broken
	}
	breakWay(t, w, long, acl)
	for _, drop := range drops {
		if rapid.IntRange(0, 9).Draw(t, "drop") == 0 {
			drop(w)
		}
	}
	w.Private = rapid.Bool().Draw(t, "private")
	return w
}

// breakWay breaks each thing now and then.
func breakWay(t *rapid.T, w *way, long string, acl []cloud.ACLRule) {
	maybe := func(what string) bool { return rapid.IntRange(0, 3).Draw(t, what) == 0 }
	switch rapid.IntRange(0, 2).Draw(t, "where the target is") {
	case 1:
		guarded(w, acl...)
		w.ACLs.Value[0].Name = long
	case 2:
		joined(w)
		w.Peerings.Value[0].Name = long
		kind := rapid.SampledFrom([]string{"peering", "nat", "er"}).Draw(t, "route")
		for i := range w.RouteTables.Value {
			w.RouteTables.Value[i].Name = long
			w.RouteTables.Value[i].Routes = []cloud.Route{route(kind, "10.0.0.0/24", long)}
			if maybe("no route") {
				w.RouteTables.Value[i].Routes = nil
			}
		}
		if maybe("no peering") {
			w.Peerings.Value = nil
		}
	}
	for i := range w.Sources {
		switch rapid.IntRange(0, 9).Draw(t, "a source's fault") {
		case 0:
			w.Sources[i].DeviceID = ""
		case 1:
			w.Sources[i].Status = "DOWN"
		case 2:
			w.Sources[i].DeviceID = long
			w.setServer(cloud.Server{ID: long, Name: long, Status: "SHUTOFF"})
		case 3:
			w.Flavors.Value[flavorThatMirrors] = cloud.Flavor{Mirrors: new(false)}
		case 4:
			w.Sources[i].Addresses = []netip.Addr{address("fd00::9")}
		}
	}
	if maybe("a source gone") {
		w.gone(w.Sources[0].ID)
		if maybe("replaced") {
			w.Successors = map[string]cloud.Interface{w.Gone[0]: {ID: long}}
		}
	}
	w.Session.Enabled = !maybe("off")
}

// drops each take a part of what was read away.
var drops = []func(*way){
	func(w *way) { w.Filter.Rules = nil }, func(w *way) { w.Path.Filter = nil }, func(w *way) { w.known.Path = nil },
	func(w *way) { w.Groups = refused[map[string]cloud.SecurityGroup]("vpc:a:list") },
	func(w *way) { w.Groups = diagnosis.Answer[map[string]cloud.SecurityGroup]{} },
	func(w *way) { w.AddressGroups = diagnosis.Answer[map[string]cloud.AddressGroup]{} },
	func(w *way) { w.ACLs = diagnosis.Answer[[]cloud.NetworkACL]{} }, func(w *way) { w.Peerings = diagnosis.Answer[[]cloud.Peering]{} },
	func(w *way) { w.RouteTables = diagnosis.Answer[[]cloud.RouteTable]{} },
	func(w *way) { w.Servers = diagnosis.Answer[[]cloud.Server]{} },
	func(w *way) { w.Flavors = diagnosis.Answer[map[string]cloud.Flavor]{} },
	func(w *way) { w.Interfaces = diagnosis.Answer[*cloud.Interfaces]{} },
	func(w *way) { w.Target = nil }, func(w *way) { w.Sources = nil }, func(w *way) { w.Session.Sources = nil },
	func(w *way) { w.Session = cloud.Session{} }, func(w *way) { w.known.Reported = nil },
	func(w *way) { w.known.Session.Status = v1alpha1.MirrorSessionStatus{} },
	func(w *way) { w.known.Session.Spec.Suspend = true }, func(w *way) { w.known.Session.Spec.Enabled = new(false) },
	func(w *way) {
		if w.Target != nil {
			w.Target.SecurityGroups, w.Target.Addresses = nil, nil
		}
	},
	func(w *way) {
		w.known.Path = &diagnosis.Path{}
	},
}

func TestWhateverIsReadOfTheWayTheTextsFitAndTheVerdictGoesWithTheFindings(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := anyWay(t)
		if rapid.Bool().Draw(t, "copies come") && len(w.known.Session.Status.Verification) > 0 {
			w.moved(time.Minute, "id-a")
		}
		findings, v := diagnosis.Findings(w.known), diagnosis.JudgePath(w.known)
		diagnosis.Next(w.known)
		said := func(f v1alpha1.Finding) bool { return f.Reason == v.Reason && diagnosis.NeedsPerson(f.Severity) }
		if onWay := slices.ContainsFunc(findings, aboutWay); onWay && v.Status != "False" || v.Status == "False" && !slices.ContainsFunc(findings, said) {
			t.Fatalf("PathClear is %s %s, and found is %+v", v.Status, v.Reason, findings)
		}
		texts := []string{v.Message}
		for _, f := range findings {
			texts = append(texts, f.Message, f.Remedy, f.Subject)
			fits(t, f.Subject, 256)
			fits(t, f.Message, 1024)
			fits(t, f.Remedy, 512)
			if f.Message == "" || f.Remedy == "" || f.Since.IsZero() {
				t.Fatalf("not whole: %+v", f)
			}
		}
		fits(t, v.Message, 1024)
		if v.Reason == "" || v.Message == "" || v1alpha1.Remedy(v.Reason) == "" {
			t.Fatalf("not whole: %+v", v)
		}
		if w.known.Path == w.Path && w.Private && slices.ContainsFunc(texts, func(s string) bool { return strings.Contains(s, foreign) }) {
			t.Fatalf("what is not the tenant's is named: %q", texts)
		}
	})
}

// aboutWay reports whether a finding is about the way of the copies.
func aboutWay(f v1alpha1.Finding) bool {
	if f.Reason == v1alpha1.ReasonInterfaceNotFound {
		return false
	}
	return slices.ContainsFunc([]string{"SourceGroup", "TargetGroup", "NetworkACL", "NoPeering", "NoRoute", "Interface", "Server", "Flavor", "SwitchedOff",
		"LoadBalancerGone", "NoListener", "NoMembers", "Members", "MemberPort", "SourcesHidden"},
		func(p string) bool { return strings.HasPrefix(f.Reason, p) })
}

func fits(t *rapid.T, text string, limit int) {
	if n := utf8.RuneCountInString(text); n > limit {
		t.Fatalf("%d of %d characters: %q", n, limit, text)
	}
}
