package main

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestArrows(t *testing.T) {
	tests := []struct {
		name string
		give goPackage
		want []string
	}{
		{
			name: "a reconciler may import the port, the plan and the API",
			give: goPackage{
				ImportPath: module + "/controllers/mirrorsession",
				Imports:    []string{"context", module + "/api/v1alpha1", module + "/controllers/cloud", module + "/controllers/plan"},
			},
		},
		{
			name: "a reconciler may not import the adapter, its tests may",
			give: goPackage{
				ImportPath:   module + "/controllers/mirrorfilter",
				Imports:      []string{module + "/controllers/cloud/huawei"},
				XTestImports: []string{module + "/controllers/cloud/huawei", module + "/test/cloudsim/api"},
			},
			want: []string{"controllers/mirrorfilter imports controllers/cloud/huawei: controllers/mirrorfilter may import only " +
				"api, controllers/cloud!, controllers/credentials, controllers/inventory, controllers/lifecycle, controllers/liveness, " +
				"controllers/plan, controllers/status"},
		},
		{
			name: "the verifier's parts may import each other and the API",
			give: goPackage{
				ImportPath: module + "/controllers/verifier/tally",
				Imports:    []string{module + "/controllers/verifier/vxlan", module + "/api/v1alpha1"},
			},
		},
		{
			name: "the verifier may not import the port",
			give: goPackage{
				ImportPath: module + "/controllers/verifier/report",
				Imports:    []string{module + "/controllers/cloud"},
			},
			want: []string{"controllers/verifier/report imports controllers/cloud: controllers/verifier may import only api"},
		},
		{
			name: "the port may not import its adapter",
			give: goPackage{
				ImportPath: module + "/controllers/cloud",
				Imports:    []string{module + "/controllers/cloud/huawei"},
			},
			want: []string{"controllers/cloud imports controllers/cloud/huawei: controllers/cloud may import nothing of ours"},
		},
		{
			name: "the tests of the simulated cloud may not import the API",
			give: goPackage{
				ImportPath:  module + "/test/cloudsim/state",
				TestImports: []string{module + "/api/v1alpha1", module + "/test/env/need"},
			},
			want: []string{"test/cloudsim/state: its tests import api/v1alpha1: tests of test/cloudsim may import only test/env/need"},
		},
		{
			name: "a folder whose name only begins like a room is not that room",
			give: goPackage{ImportPath: module + "/controllers/planner"},
			want: []string{"controllers/planner: this package is in no room of the table in hack/checks/arrows.go; move it into one, or add the room"},
		},
		{
			name: "a module whose name only begins like ours is not ours",
			give: goPackage{ImportPath: module + "/api/v1alpha1", Imports: []string{module + "-sdk/client"}},
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, arrowsOf(test.give)); diff != "" {
				t.Errorf("findings (-want +got):\n%s", diff)
			}
		})
	}
}

func TestTheTableNamesEachRoomOnceAndNoStrangers(t *testing.T) {
	seen := map[string]bool{}
	for _, r := range rooms {
		if seen[r.name] {
			t.Errorf("%s is in the table twice", r.name)
		}
		seen[r.name] = true
	}
	for _, r := range rooms {
		for _, name := range slices.Concat(r.may, r.tests) {
			isRoom := func(other room) bool { return below(other.name, strings.TrimSuffix(name, "!")) }
			if name != anything && !slices.ContainsFunc(rooms, isRoom) {
				t.Errorf("%s may import %s, which is no room", r.name, name)
			}
		}
	}
}
