package api

import (
	"net/http"
	"strconv"

	"vpcmirror.io/operator/test/cloudsim/state"
)

const addressGroupKey = "address_group"

func addressGroupView(g state.AddressGroup) any {
	extra := make([]any, 0, len(g.Addresses))
	for _, a := range g.Addresses {
		extra = append(extra, map[string]any{"ip": a, "remarks": ""})
	}
	return map[string]any{
		"id": g.ID, "name": g.Name, "description": g.Description, "max_capacity": g.MaxCapacity, "ip_set": nonNil(g.Addresses),
		"ip_extra_set": extra, "ip_version": g.IPVersion, "tenant_id": g.ProjectID, "enterprise_project_id": "0", "tags": []any{},
		"status": "NORMAL", "status_message": "", "created_at": stamp(g.CreatedAt), "updated_at": stamp(g.UpdatedAt),
	}
}

func addressGroupBody(c *call) (state.AddressGroupInput, error) {
	b := decodeBody(c.body, addressGroupKey)
	in := state.AddressGroupInput{
		Name: b.text("name"), Description: b.text("description"), IPVersion: b.number("ip_version"),
		Addresses: b.texts("ip_set"), MaxCapacity: b.number("max_capacity"),
	}
	if extra := b.objects("ip_extra_set"); extra != nil {
		list := []string{}
		for _, o := range extra {
			list = append(list, valueOf(o.text("ip")))
		}
		in.Addresses = &list
	}
	return in, b.err
}

func createAddressGroup(c *call) response {
	in, err := addressGroupBody(c)
	if err != nil {
		return refusal(err)
	}
	g, err := c.State.CreateAddressGroup(c.project, in)
	return result(http.StatusCreated, addressGroupKey, g, err, addressGroupView)
}

func listAddressGroups(c *call) response {
	return listing[state.AddressGroup]{
		plural: "address_groups",
		id:     func(g state.AddressGroup) string { return g.ID },
		fields: map[string]func(state.AddressGroup) []string{
			"id":          one(func(g state.AddressGroup) string { return g.ID }),
			"name":        one(func(g state.AddressGroup) string { return g.Name }),
			"description": one(func(g state.AddressGroup) string { return g.Description }),
			"ip_version":  one(func(g state.AddressGroup) string { return strconv.Itoa(g.IPVersion) }),
		},
		view: addressGroupView,
	}.serve(c, mine(c.world().AddressGroups, c.project, func(g state.AddressGroup) string { return g.ProjectID }))
}

func showAddressGroup(c *call) response {
	g, err := c.world().AddressGroup(c.project, c.params["id"])
	return result(http.StatusOK, addressGroupKey, g, err, addressGroupView)
}

func updateAddressGroup(c *call) response {
	in, err := addressGroupBody(c)
	if err != nil {
		return refusal(err)
	}
	g, err := c.State.UpdateAddressGroup(c.project, c.params["id"], in)
	return result(http.StatusOK, addressGroupKey, g, err, addressGroupView)
}

func deleteAddressGroup(c *call) response {
	return gone(c.State.DeleteAddressGroup(c.project, c.params["id"], false))
}

func forceDeleteAddressGroup(c *call) response {
	return gone(c.State.DeleteAddressGroup(c.project, c.params["id"], true))
}
