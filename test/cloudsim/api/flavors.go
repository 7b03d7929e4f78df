package api

import (
	"strconv"

	"vpcmirror.io/operator/test/cloudsim/state"
)

func flavorView(f state.Flavor) any {
	specs := map[string]any{"ecs:performancetype": "normal"}
	if !f.Undeclared {
		specs["network_interface:traffic_mirroring_supported"] = strconv.FormatBool(f.Mirroring)
	}
	return map[string]any{
		"id": f.Name, "name": f.Name, "vcpus": strconv.Itoa(f.VCPUs), "ram": f.MemoryMiB, "disk": "0", "swap": "",
		"OS-FLV-EXT-DATA:ephemeral": 0, "OS-FLV-DISABLED:disabled": false, "rxtx_factor": 1.0, "rxtx_quota": nil, "rxtx_cap": nil,
		"os-flavor-access:is_public": true, "links": []any{},
		"os_extra_specs": specs,
	}
}

// listFlavors shows the scenario's flavors, and those that its servers use beside them.
func listFlavors(c *call) response {
	w := c.world()
	flavors := map[string]state.Flavor{}
	for _, s := range w.Servers {
		flavors[s.Flavor] = w.Flavor(s.Flavor)
	}
	for name, f := range w.Flavors {
		flavors[name] = f
	}
	return listing[state.Flavor]{
		plural: "flavors",
		id:     func(f state.Flavor) string { return f.Name },
		fields: map[string]func(state.Flavor) []string{"flavor_id": one(func(f state.Flavor) string { return f.Name })},
		view:   flavorView, whole: true, bare: true,
	}.serve(c, mine(flavors, "", func(state.Flavor) string { return "" }))
}
