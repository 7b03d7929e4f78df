package inventory_test

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"vpcmirror.io/operator/controllers/cloud"
)

// The nodes of a node selector are found by their servers: what that costs must not grow with them.
func TestTheInterfacesOfAServerAreTakenFromAListThatShowsItsPrimaryOne(t *testing.T) {
	on := func(id, server string, primary bool) cloud.Interface {
		return cloud.Interface{ID: id, DeviceID: server, Primary: primary}
	}
	for name, tc := range map[string]struct {
		more []cloud.Interface
		want string
		cost [2]int // lists and single reads of two looks
	}{
		"with a primary one":              {[]cloud.Interface{on("a", "s", true), on("b", "s", false), on("c", "r", true)}, "a b", [2]int{0, 0}},
		"with one that is not said to be": {[]cloud.Interface{on("a", "s", false), on("c", "r", true)}, "a", [2]int{0, 1}},
		"with two that are":               {[]cloud.Interface{on("a", "s", true), on("b", "s", true)}, "a b", [2]int{0, 1}},
		"with none":                       {[]cloud.Interface{on("c", "r", true)}, "", [2]int{0, 1}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				i, r, began := settled(t, tc.more)
				for range 2 {
					found, err := i.InterfacesOf(t.Context(), r, "s", began)
					same(t, "the error", error(nil), err)
					var ids []string
					for _, one := range found {
						ids = append(ids, one.ID)
					}
					slices.Sort(ids)
					same(t, "the interfaces", tc.want, strings.Join(ids, " "))
				}
				lists, singles := asked(r)
				same(t, "lists and single reads", tc.cost, [2]int{lists, singles})
			})
		})
	}
}

func TestAServerThatHasJustComeIsReadByItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i, r, _ := settled(t, nil)
		pass(time.Minute)
		r.interfaces = append(slices.Clone(r.interfaces), cloud.Interface{ID: "new", DeviceID: "s", Primary: true})
		found, err := i.InterfacesOf(t.Context(), r, "s", time.Now())
		same(t, "the error", error(nil), err)
		same(t, "the interfaces", []cloud.Interface{{ID: "new", DeviceID: "s", Primary: true}}, found)
		lists, singles := asked(r)
		same(t, "lists and single reads", [2]int{0, 1}, [2]int{lists, singles})
	})
}
