package api

import (
	"net/http"

	"vpcmirror.io/operator/test/cloudsim/state"
)

func vpcView(w *state.World) func(state.VPC) any {
	return func(v state.VPC) any {
		subnets, tables := 0, 0
		for _, s := range w.Subnets {
			if s.VPCID == v.ID {
				subnets++
			}
		}
		for _, t := range w.RouteTables {
			if t.VPCID == v.ID {
				tables++
			}
		}
		return map[string]any{
			"id": v.ID, "name": v.Name, "description": "", "cidr": v.CIDR, "extend_cidrs": []any{}, "status": "ACTIVE",
			"project_id": v.ProjectID, "enterprise_project_id": "0", "tags": []any{},
			"cloud_resources": []any{
				map[string]any{"resource_type": "routetable", "resource_count": tables},
				map[string]any{"resource_type": "virsubnet", "resource_count": subnets},
			},
			"created_at": stamp(v.CreatedAt), "updated_at": stamp(v.CreatedAt),
		}
	}
}

func listVPCs(c *call) response {
	w := c.world()
	return listing[state.VPC]{
		plural: "vpcs",
		id:     func(v state.VPC) string { return v.ID },
		fields: map[string]func(state.VPC) []string{
			"id":   one(func(v state.VPC) string { return v.ID }),
			"name": one(func(v state.VPC) string { return v.Name }),
			"cidr": one(func(v state.VPC) string { return v.CIDR }),
		},
		view: vpcView(w),
	}.serve(c, mine(w.VPCs, c.project, func(v state.VPC) string { return v.ProjectID }))
}

func showVPC(c *call) response {
	w := c.world()
	v, err := w.VPC(c.project, c.params["id"])
	return result(http.StatusOK, "vpc", v, err, vpcView(w))
}

func subnetView(s state.Subnet) any {
	text := func(valid bool, s string) string {
		if !valid {
			return ""
		}
		return s
	}
	return map[string]any{
		"id": s.ID, "name": s.Name, "description": "", "cidr": s.CIDR.String(), "gateway_ip": text(s.Gateway.IsValid(), s.Gateway.String()),
		"ipv6_enable": s.CIDR6.IsValid(), "cidr_v6": text(s.CIDR6.IsValid(), s.CIDR6.String()),
		"gateway_ip_v6": text(s.Gateway6.IsValid(), s.Gateway6.String()), "dhcp_enable": true, "primary_dns": "", "secondary_dns": "",
		"dnsList": []any{}, "vpc_id": s.VPCID, "status": "ACTIVE", "neutron_network_id": s.ID, "neutron_subnet_id": s.ID,
		"extra_dhcp_opts": []any{}, "tenant_id": s.ProjectID,
	}
}

func listSubnets(c *call) response {
	return listing[state.Subnet]{
		plural: "subnets",
		id:     func(s state.Subnet) string { return s.ID },
		fields: map[string]func(state.Subnet) []string{"vpc_id": one(func(s state.Subnet) string { return s.VPCID })},
		view:   subnetView, whole: true, bare: true,
	}.serve(c, mine(c.world().Subnets, c.project, func(s state.Subnet) string { return s.ProjectID }))
}

func showSubnet(c *call) response {
	s, err := c.world().Subnet(c.project, c.params["id"])
	return result(http.StatusOK, "subnet", s, err, subnetView)
}
