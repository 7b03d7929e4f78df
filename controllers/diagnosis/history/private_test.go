package history

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"vpcmirror.io/operator/controllers/cloud"
	"vpcmirror.io/operator/controllers/diagnosis"
)

func TestWithSharedCredentialsAChangeNamesNothingThatIsNotTheSessions(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(*diagnosis.Path)
		want   []string
	}{
		"another filter": {func(p *diagnosis.Path) { p.Session.FilterID = "foreign" }, []string{"the session session-1 was given another filter"}},
		"another target": {func(p *diagnosis.Path) { p.Session.TargetID = "foreign" },
			[]string{"the session session-1 was given another target in place of 192.168.0.104"}},
		"a source more": {func(p *diagnosis.Path) { p.Session.Sources = []string{"s1", "s2", "foreign"} },
			[]string{"another source was added to the session session-1"}},
		"a source less": {func(p *diagnosis.Path) { p.Session.Sources = []string{"s1"} }, []string{"the source 10.0.0.5 was taken from the session session-1"}},
		"a source is replaced": {func(p *diagnosis.Path) {
			p.Gone, p.Sources = []string{"s1"}, p.Sources[1:]
			p.Successors = map[string]cloud.Interface{"s1": {ID: "foreign"}}
		}, []string{"the interface s1 of the source 192.168.0.14 is gone from the cloud: another one has its address now"}},
		"another session comes before": {func(p *diagnosis.Path) { p.Others[0].Priority = 77 },
			[]string{"another session now comes before this one at a source they share"}},
		"another session has its VNI": {func(p *diagnosis.Path) { p.Others[0].VNI, p.Others[0].TargetID = 1, "t1" },
			[]string{"another session now sends to this target with the same VNI 1"}},
		"another ACL": {func(p *diagnosis.Path) { p.ACLs.Value[0].ID, p.ACLs.Value[0].Name = "foreign", "foreign" },
			[]string{"the subnet of the target 192.168.0.104 was given a network ACL in place of a network ACL"}},
		"another group": {func(p *diagnosis.Path) { p.Target.SecurityGroups = append(p.Target.SecurityGroups, "foreign") },
			[]string{"the target 192.168.0.104 was put into a security group"}},
		"another route": {func(p *diagnosis.Path) { p.RouteTables.Value[0].Routes[0].NextHop = "foreign" },
			[]string{"the route from the subnet of 192.168.0.104 to 10.0.0.5 was one by peering and is one by peering"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			before, now := twoVPCs(), twoVPCs()
			for _, p := range []*diagnosis.Path{before, now} {
				p.Private, p.Others[0].Name = true, "another session"
			}
			c.change(now)
			var got []string
			for _, change := range Changed(before, now, lookedAt) {
				got = append(got, change.What)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if slices.ContainsFunc(got, func(what string) bool { return strings.Contains(what, "foreign") || strings.Contains(what, "77") }) {
				t.Errorf("it names what is another's: %q", got)
			}
		})
	}
}
