package huawei

import (
	"context"
	"net/url"
	"strings"

	vpcold "github.com/huaweicloud/huaweicloud-sdk-go-v3/services/vpc/v2"
	modelold "github.com/huaweicloud/huaweicloud-sdk-go-v3/services/vpc/v2/model"
	"github.com/huaweicloud/huaweicloud-sdk-go-v3/services/vpc/v3/model"

	"vpcmirror.io/operator/controllers/cloud"
)

type peeringsAnswer struct {
	Objects        *[]peering `json:"peerings"`
	Links          []link     `json:"peerings_links"`
	HttpStatusCode int        `json:"-"`
}

type link struct {
	Rel  loose `json:"rel"`
	Href loose `json:"href"`
}

type peering struct {
	ID             loose   `json:"id"`
	Name           loose   `json:"name"`
	Status         loose   `json:"status"`
	RequestVPCInfo vpcInfo `json:"request_vpc_info"`
	AcceptVPCInfo  vpcInfo `json:"accept_vpc_info"`
}

type vpcInfo struct {
	VPCID loose `json:"vpc_id"`
}

// ListPeerings returns every peering that one of the account's VPCs has. Its answers name the next
// page by a link; where they have none, pages go by the last ID.
func (c *client) ListPeerings(ctx context.Context) ([]cloud.Peering, error) {
	limit := c.factory.page(pageOfGroups)
	all, err := readPages(ctx, c.caller, "ListVpcPeerings", &limit, peeringOf,
		func(hc *exchange, marker *string) (*[]peering, *model.PageInfo, error) {
			answer, err := ask[peeringsAnswer](hc, &modelold.ListVpcPeeringsRequest{Limit: &limit, Marker: marker}, vpcold.GenReqDefForListVpcPeerings())
			if err != nil || answer.Objects == nil {
				return nil, nil, err
			}
			n := len(*answer.Objects)
			info := afterLast(n, limit, func() string { return string((*answer.Objects)[n-1].ID) })
			if next := nextOf(answer.Links); next != "" {
				info.NextMarker = &next
			}
			return answer.Objects, info, nil
		})
	return unique(all, func(p cloud.Peering) string { return p.ID }), err
}

// nextOf gives the marker in the link to the next page, empty where there is none.
func nextOf(links []link) string {
	for _, l := range links {
		if u, err := url.Parse(string(l.Href)); err == nil && strings.EqualFold(string(l.Rel), "next") {
			return u.Query().Get("marker")
		}
	}
	return ""
}

func peeringOf(m *peering) (cloud.Peering, error) {
	return cloud.Peering{
		ID: string(m.ID), Name: string(m.Name), Status: strings.ToUpper(string(m.Status)),
		RequesterVPC: string(m.RequestVPCInfo.VPCID), AccepterVPC: string(m.AcceptVPCInfo.VPCID),
	}, nil
}

type routeTablesAnswer struct {
	Objects        *[]routeTable `json:"routetables"`
	HttpStatusCode int           `json:"-"`
}

type routeTableAnswer struct {
	RouteTable     *routeTable `json:"routetable"`
	HttpStatusCode int         `json:"-"`
}

type routeTable struct {
	ID      loose `json:"id"`
	Name    loose `json:"name"`
	VPCID   loose `json:"vpc_id"`
	Default loose `json:"default"`
	Subnets []struct {
		ID loose `json:"id"`
	} `json:"subnets"`
	Routes *[]route `json:"routes"` // nil in a list
}

type route struct {
	Type        loose `json:"type"`
	Destination loose `json:"destination"`
	NextHop     loose `json:"nexthop"`
}

// ListRouteTables returns every route table, without routes. It pages by the last ID, because these
// answers carry no marker.
func (c *client) ListRouteTables(ctx context.Context) ([]cloud.RouteTable, error) {
	limit := c.factory.page(pageOfGroups)
	all, err := readPages(ctx, c.caller, "ListRouteTables", &limit, func(m *routeTable) (cloud.RouteTable, error) { return routeTableOf(m), nil },
		func(hc *exchange, marker *string) (*[]routeTable, *model.PageInfo, error) {
			answer, err := ask[routeTablesAnswer](hc, &modelold.ListRouteTablesRequest{Limit: &limit, Marker: marker}, vpcold.GenReqDefForListRouteTables())
			if err != nil || answer.Objects == nil {
				return nil, nil, err
			}
			n := len(*answer.Objects)
			return answer.Objects, afterLast(n, limit, func() string { return string((*answer.Objects)[n-1].ID) }), nil
		})
	return unique(all, func(t cloud.RouteTable) string { return t.ID }), err
}

// GetRouteTable returns one with its routes.
func (c *client) GetRouteTable(ctx context.Context, id string) (cloud.RouteTable, error) {
	const op = "ShowRouteTable"
	if err := checkIDs(op, id); err != nil {
		return cloud.RouteTable{}, err
	}
	var table cloud.RouteTable
	err := c.do(ctx, op, read, func(hc *exchange) error {
		answer, err := ask[routeTableAnswer](hc, &modelold.ShowRouteTableRequest{RoutetableId: id}, vpcold.GenReqDefForShowRouteTable())
		if err != nil {
			return err
		}
		if answer.RouteTable == nil {
			return empty("route table")
		}
		if answer.RouteTable.Routes == nil { // which is not the same as none
			return empty("list of the table's routes")
		}
		table = routeTableOf(answer.RouteTable)
		return nil
	})
	return table, err
}

func routeTableOf(m *routeTable) cloud.RouteTable {
	table := cloud.RouteTable{
		ID: string(m.ID), Name: string(m.Name), VPCID: string(m.VPCID), Default: strings.EqualFold(string(m.Default), "true"),
	}
	for _, s := range m.Subnets {
		table.Subnets = append(table.Subnets, string(s.ID))
	}
	if m.Routes == nil {
		return table
	}
	table.Routes = make([]cloud.Route, 0, len(*m.Routes))
	for _, r := range *m.Routes {
		table.Routes = append(table.Routes, routeOf(r))
	}
	return table
}

func routeOf(m route) cloud.Route {
	var odd oddities
	destination, ok := networkOf(string(m.Destination))
	odd.unless(ok && destination.IsValid(), "destination", m.Destination)
	return cloud.Route{
		Type: strings.ToLower(string(m.Type)), Destination: destination, NextHop: string(m.NextHop), Unreadable: odd.String(),
	}
}
