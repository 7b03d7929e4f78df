package diagnosis_test

import (
	"slices"
	"strings"
	"testing"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/cloud"
	"vpcmirror.io/operator/controllers/diagnosis"
)

func TestAPortOfTheWrongEndIsHintedAtWhereNoPacketComes(t *testing.T) {
	const (
		fromServer = "rule Ingress 1 is for what comes from port 80 of the other end: if that is a port of the source's own service, make it the destination's port"
		toServer   = "rule Egress 1 is for what goes to port 80 of the other end: if that is a port of the source's own service, make it the source's port"
		admitted   = ` - which is likely, as security group "sources" lets TCP 80 in to 10.0.0.11`
		chosen     = "rule Ingress 1 names port 40000, of those that clients choose anew for each connection: name the port of the service, and at the end that serves"
	)
	open := func(w *way) { w.rules(groupOfSources, allow("1", "", 0, ""), outwards("2")) }
	for name, c := range map[string]struct {
		rules []string
		edit  func(*way)
		want  string
	}{
		"Ingress with the port of the source alone":         {[]string{"Ingress 1 TCP * 80 > *"}, open, fromServer},
		"Egress with the port of the destination alone":     {[]string{"Egress 1 TCP * > * 80"}, open, toServer},
		"more surely where the source's group admits that":  {[]string{"Ingress 1 TCP * 80 > *"}, func(w *way) { w.rules(groupOfSources, allow("1", "tcp", 80, ""), outwards("2")) }, fromServer + admitted},
		"as surely of Egress":                               {[]string{"Egress 1 TCP * > * 80"}, func(w *way) { w.rules(groupOfSources, allow("1", "tcp", 80, "10.9.0.0/16"), outwards("2")) }, toServer + admitted},
		"not more where it admits another protocol":         {[]string{"Ingress 1 UDP * 80 > *"}, func(w *way) { w.rules(groupOfSources, allow("1", "tcp", 80, "")) }, fromServer},
		"not more where it denies":                          {[]string{"Ingress 1 TCP * 80 > *"}, func(w *way) { w.rules(groupOfSources, deny("1", "tcp", 80, "")) }, fromServer},
		"not more where the groups were not read":           {[]string{"Ingress 1 TCP * 80 > *"}, func(w *way) { w.Groups.Read = false }, fromServer},
		"a port that clients choose":                        {[]string{"Ingress 1 UDP * > * 40000"}, open, chosen},
		"ports that they choose, at the other end":          {[]string{"Ingress 1 UDP * 40000-50000 > *"}, open, strings.Replace(chosen, "port 40000", "ports 40000-50000", 1)},
		"the first rule that is so":                         {[]string{"Egress 2 TCP * > * 80", "Ingress 1 TCP * 80 > *"}, open, fromServer},
		"not with the port of the destination, of Ingress":  {[]string{"Ingress 1 TCP * > * 80"}, open, ""},
		"not with the port of the source, of Egress":        {[]string{"Egress 1 TCP * 80 > *"}, open, ""},
		"not with both":                                     {[]string{"Ingress 1 TCP * 80 > * 8080"}, open, ""},
		"not without ports":                                 {[]string{"Ingress 1 TCP * > *"}, open, ""},
		"not with every port":                               {[]string{"Ingress 1 TCP * 1-65535 > *"}, open, ""},
		"not by a rule that rejects":                        {[]string{"reject Ingress 1 TCP * 80 > *", "Ingress 2 ICMP * > *"}, open, ""},
		"not where another rule has the port at the source": {[]string{"Ingress 1 TCP * 80 > *", "Ingress 2 TCP * > * 80"}, open, ""},
		"not where nobody has looked":                       {[]string{"Ingress 1 TCP * 80 > *"}, func(w *way) { w.known.Path = nil }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWay()
			w.one()
			w.filter(rules(c.rules...)...)
			c.edit(w)
			general := v1alpha1.Remedy(v1alpha1.ReasonNoPackets)
			want := general
			if c.want != "" {
				want = c.want + "; or " + general
			}
			findings := diagnosis.Findings(w.known)
			i := slices.IndexFunc(findings, func(f v1alpha1.Finding) bool { return f.Reason == v1alpha1.ReasonNoPackets })
			if i < 0 {
				t.Fatalf("NoPackets is not found, but %v", reasons(findings))
			}
			same(t, "the remedy", v1alpha1.Fit(want, 512), findings[i].Remedy)
		})
	}
}

func TestAHintAtAPortNamesNothingOfOtherTenants(t *testing.T) {
	w := newWay()
	w.one()
	w.Private = true
	w.filter(rules("Ingress 1 TCP * 80 > *")...)
	w.rules(groupOfSources, allow("1", "tcp", 80, ""), cloud.GroupRule{ID: "2", Direction: cloud.Egress, Allow: true, Priority: 1})
	for _, f := range diagnosis.Findings(w.known) {
		if f.Reason == v1alpha1.ReasonNoPackets && (strings.Contains(f.Remedy, `"sources"`) || !strings.Contains(f.Remedy, "as a security group lets TCP 80 in")) {
			t.Errorf("the remedy is %q", f.Remedy)
		}
	}
}
