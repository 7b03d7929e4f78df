package main

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"vpcmirror.io/operator/test/cloudsim/state"
	"vpcmirror.io/operator/test/live/cases"
	"vpcmirror.io/operator/test/live/compare"
)

// rehearsed compares a plain simulator with one that has the switches on.
func rehearsed(t *testing.T, selected []cases.Case, switches ...string) *comparison {
	t.Helper()
	c, closed, err := rehearsal(t.Context(), switches, selected)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(closed)
	if err := c.run(t.Context()); err != nil {
		t.Fatal(err)
	}
	if c.report.Remains != "" {
		t.Errorf("something is left: %s", c.report.Remains)
	}
	return c
}

func TestASimulatorDiffersInNothingFromItself(t *testing.T) {
	c := rehearsed(t, cases.All())
	if len(c.report.Differences) > 0 {
		t.Errorf("it differs: %v", c.report.Differences)
	}
	if asked := len(c.report.Cases); asked != len(cases.All()) {
		t.Errorf("%d cases were asked, there are %d", asked, len(cases.All()))
	}
	for _, one := range c.report.Cases {
		if one.Skipped != "" {
			t.Errorf("%s is not asked: %s", one.Name, one.Skipped)
		}
	}
}

// unseen are the switches that no case can see, and why.
var unseen = map[string]string{
	"accept-any-flavor":         "the ports given are of servers that mirror",
	"dead-ports-leave-sessions": "no port is ever deleted",
	"remote-groups-skip-copies": "it is about copies, not about answers",
	"rules-without-enabled":     "it is about security groups, of which none is read",
	"source-acl-holds-copies":   "it is about copies, not about answers",
	"stopped-ports-down":        "no server is ever stopped",
}

// Each quirk stands for an open question about the cloud: the suite has to find it, and to say which it is.
func TestEachQuirkIsFoundAndNamed(t *testing.T) {
	t.Parallel()
	for _, name := range state.QuirkNames() {
		if _, is := unseen[name]; is {
			continue
		}
		t.Run(name, func(t *testing.T) { found(t, name) })
	}
	for name := range unseen {
		if !slices.Contains(state.QuirkNames(), name) {
			t.Errorf("there is no quirk %s", name)
		}
	}
}

func TestARegionWithoutACallIsFoundAndNamed(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"without:ListPorts", "without:ShowQuota", "without:KeystoneListProjects"} {
		t.Run(name, func(t *testing.T) { found(t, name) })
	}
}

func found(t *testing.T, name string) {
	t.Helper()
	c := rehearsed(t, cases.All(), name)
	if compare.Deciding(c.report.Differences) == 0 {
		t.Fatal("it makes no difference")
	}
	for _, d := range c.report.Differences {
		if diff := cmp.Diff([]string{name}, d.Explained); diff != "" && d.Kind.Decides() {
			t.Errorf("%s is explained by (-want +got):\n%s", d.Name(), diff)
		}
	}
}

func TestSeveralSwitchesAreToldApart(t *testing.T) {
	c := rehearsed(t, cases.All(), "strict-sources", "trim-texts", "without:ListPorts")
	got := map[string]bool{}
	for _, d := range c.report.Differences {
		got[strings.Join(d.Explained, " and ")] = true
	}
	if diff := cmp.Diff(map[string]bool{"strict-sources": true, "trim-texts": true, "without:ListPorts": true}, got); diff != "" {
		t.Errorf("the differences are explained by (-want +got):\n%s", diff)
	}
}

// Where reads lag behind, the cases about that differ and no others: these wait for it.
func TestReadsThatLagBehindAreFoundInTheirOwnCasesAlone(t *testing.T) {
	t.Parallel()
	selected, err := (&settings{only: "filter-visible,filter-plain"}).selected()
	if err != nil {
		t.Fatal(err)
	}
	c := rehearsed(t, selected, "lag:250ms")
	differ := 0
	for _, one := range c.report.Cases {
		if one.Differs > 0 && !strings.HasSuffix(one.Name, "-visible") {
			t.Errorf("%s differs, which is not about when something is seen", one.Name)
		}
		differ += one.Differs
	}
	if differ == 0 {
		t.Error("that reads lag behind was not found")
	}
	for _, d := range c.report.Differences {
		if d.Kind != compare.Looks {
			t.Errorf("%s is no difference of when", d.Name())
		}
	}
}
