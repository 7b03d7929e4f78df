package api

import (
	"errors"
	"maps"
	"net/http"
	"slices"
	"strconv"

	"vpcmirror.io/operator/test/cloudsim/state"
)

// elbRoutes are those of the ELB service that tell of load balancers and change what is behind them.
func elbRoutes(add adder) {
	const base = "/v3/{project_id}/elb"
	const balancers, listeners, pools = base + "/loadbalancers", base + "/listeners", base + "/pools"
	const members = pools + "/{id}/members"
	add(http.MethodGet, balancers, "ListLoadBalancers", listLoadBalancers)
	add(http.MethodGet, balancers+"/{id}", "ShowLoadBalancer", showLoadBalancer)
	add(http.MethodDelete, balancers+"/{id}/force-elb", "DeleteLoadBalancerForce", deleteLoadBalancer)

	add(http.MethodPost, listeners, "CreateListener", createListener)
	add(http.MethodGet, listeners, "ListListeners", listListeners)
	add(http.MethodGet, listeners+"/{id}", "ShowListener", showListener)
	add(http.MethodPut, listeners+"/{id}", "UpdateListener", updateListener)
	add(http.MethodDelete, listeners+"/{id}", "DeleteListener", deleteListener)

	add(http.MethodPost, pools, "CreatePool", createPool)
	add(http.MethodGet, pools, "ListPools", listPools)
	add(http.MethodGet, pools+"/{id}", "ShowPool", showPool)
	add(http.MethodDelete, pools+"/{id}", "DeletePool", deletePool)

	add(http.MethodPost, members, "CreateMember", createMember)
	add(http.MethodGet, members, "ListMembers", listMembers)
	add(http.MethodGet, members+"/{member_id}", "ShowMember", showMember)
	add(http.MethodPut, members+"/{member_id}", "UpdateMember", updateMember)
	add(http.MethodDelete, members+"/{member_id}", "DeleteMember", deleteMember)
}

// elbRefusal bears the codes of the ELB service.
func elbRefusal(err error) response {
	var e *state.Error
	if !errors.As(err, &e) {
		return *gatewayError(http.StatusInternalServerError, "ELB.8999", err.Error())
	}
	status, code := http.StatusBadRequest, "ELB.8902"
	switch e.Reason {
	case state.Missing:
		status, code = http.StatusNotFound, "ELB.8904"
	case state.Duplicate, state.InUse, state.QuotaExceeded:
		status, code = http.StatusConflict, "ELB.8907"
	case state.Invalid, state.Unsupported: // as above
	}
	return *gatewayError(status, code, e.Message)
}

func elbResult[T any](status int, key string, v T, err error, view func(T) any) response {
	if err != nil {
		return elbRefusal(err)
	}
	return response{status: status, body: map[string]any{key: view(v)}}
}

func elbGone(err error) response {
	if err != nil {
		return elbRefusal(err)
	}
	return response{status: http.StatusNoContent}
}

func refs(ids []string) []any {
	out := []any{}
	for _, id := range ids {
		out = append(out, map[string]any{"id": id})
	}
	return out
}

func loadBalancerView(w *state.World) func(state.LoadBalancer) any {
	return func(lb state.LoadBalancer) any {
		var listeners, pools []string
		for _, l := range sortedValues(w.Listeners) {
			if l.LoadBalancerID == lb.ID {
				listeners = append(listeners, l.ID)
			}
		}
		for _, p := range sortedValues(w.Pools) {
			if p.LoadBalancerID == lb.ID {
				pools = append(pools, p.ID)
			}
		}
		return map[string]any{
			"id": lb.ID, "name": lb.Name, "description": "", "project_id": lb.ProjectID, "provisioning_status": "ACTIVE", "operating_status": "ONLINE",
			"admin_state_up": !lb.Off, "provider": "vlb", "guaranteed": !lb.Shared, "vpc_id": lb.VPCID, "vip_address": lb.Address.String(),
			"vip_port_id": lb.PortID, "vip_subnet_cidr_id": lb.SubnetID, "elb_virsubnet_ids": []string{lb.SubnetID}, "elb_virsubnet_type": "ipv4",
			"ip_target_enable": false, "ipv6_vip_address": nil, "ipv6_vip_port_id": nil, "ipv6_vip_virsubnet_id": nil,
			"listeners": refs(listeners), "pools": refs(pools), "tags": []any{}, "eips": []any{}, "publicips": []any{}, "global_eips": []any{},
			"availability_zone_list": []string{zone(w)}, "enterprise_project_id": "0", "billing_info": "", "l4_flavor_id": "", "l4_scale_flavor_id": "",
			"l7_flavor_id": "", "l7_scale_flavor_id": "", "frozen_scene": nil, "created_at": stamp(lb.CreatedAt), "updated_at": stamp(lb.UpdatedAt),
		}
	}
}

func listLoadBalancers(c *call) response {
	w := c.world()
	return listing[state.LoadBalancer]{
		plural: "loadbalancers", id: func(lb state.LoadBalancer) string { return lb.ID }, view: loadBalancerView(w),
		fields: map[string]func(state.LoadBalancer) []string{
			"id":          one(func(lb state.LoadBalancer) string { return lb.ID }),
			"name":        one(func(lb state.LoadBalancer) string { return lb.Name }),
			"vpc_id":      one(func(lb state.LoadBalancer) string { return lb.VPCID }),
			"vip_address": one(func(lb state.LoadBalancer) string { return lb.Address.String() }),
			"vip_port_id": one(func(lb state.LoadBalancer) string { return lb.PortID }),
		},
	}.serve(c, mine(w.LoadBalancers, c.project, func(lb state.LoadBalancer) string { return lb.ProjectID }))
}

func showLoadBalancer(c *call) response {
	w := c.world()
	lb, err := w.LoadBalancer(c.project, c.params["id"])
	return elbResult(http.StatusOK, "loadbalancer", lb, err, loadBalancerView(w))
}

func deleteLoadBalancer(c *call) response {
	return elbGone(c.State.DeleteLoadBalancer(c.project, c.params["id"]))
}

func listenerView(l state.Listener) any {
	return map[string]any{
		"id": l.ID, "name": l.Name, "description": "", "project_id": l.ProjectID, "loadbalancers": refs([]string{l.LoadBalancerID}),
		"protocol": l.Protocol, "protocol_port": l.Port, "default_pool_id": orNull(l.PoolID), "admin_state_up": !l.Off,
		"transparent_client_ip_enable": !l.HidesClients, "connection_limit": -1, "http2_enable": false, "default_tls_container_ref": nil,
		"client_ca_tls_container_ref": nil, "sni_container_refs": []any{}, "sni_match_algo": "", "insert_headers": nil, "tags": []any{},
		"tls_ciphers_policy": nil, "security_policy_id": nil, "enable_member_retry": false, "keepalive_timeout": 300, "client_timeout": 60,
		"member_timeout": 60, "ipgroup": nil, "enhance_l7policy_enable": false, "enterprise_project_id": "0",
		"created_at": stamp(l.CreatedAt), "updated_at": stamp(l.UpdatedAt),
	}
}

func listListeners(c *call) response {
	return listing[state.Listener]{
		plural: "listeners", id: func(l state.Listener) string { return l.ID }, view: listenerView,
		fields: map[string]func(state.Listener) []string{
			"id":              one(func(l state.Listener) string { return l.ID }),
			"name":            one(func(l state.Listener) string { return l.Name }),
			"loadbalancer_id": one(func(l state.Listener) string { return l.LoadBalancerID }),
			"protocol":        one(func(l state.Listener) string { return l.Protocol }),
			"protocol_port":   one(func(l state.Listener) string { return strconv.Itoa(l.Port) }),
			"default_pool_id": one(func(l state.Listener) string { return l.PoolID }),
		},
	}.serve(c, mine(c.world().Listeners, c.project, func(l state.Listener) string { return l.ProjectID }))
}

func showListener(c *call) response {
	l, err := c.world().Listener(c.project, c.params["id"])
	return elbResult(http.StatusOK, "listener", l, err, listenerView)
}

func listenerBody(c *call) (state.ListenerInput, error) {
	b := decodeBody(c.body, "listener")
	return state.ListenerInput{
		Name: b.text("name"), LoadBalancerID: b.text("loadbalancer_id"), Protocol: b.text("protocol"), PoolID: b.text("default_pool_id"),
		Port: b.number("protocol_port"), On: b.boolean("admin_state_up"), ShowsClients: b.boolean("transparent_client_ip_enable"),
	}, b.err
}

func createListener(c *call) response {
	in, err := listenerBody(c)
	if err != nil {
		return elbRefusal(err)
	}
	l, err := c.State.CreateListener(c.project, in)
	return elbResult(http.StatusCreated, "listener", l, err, listenerView)
}

func updateListener(c *call) response {
	in, err := listenerBody(c)
	if err != nil {
		return elbRefusal(err)
	}
	l, err := c.State.UpdateListener(c.project, c.params["id"], in)
	return elbResult(http.StatusOK, "listener", l, err, listenerView)
}

func deleteListener(c *call) response {
	return elbGone(c.State.DeleteListener(c.project, c.params["id"]))
}

func poolView(w *state.World) func(state.Pool) any {
	return func(p state.Pool) any {
		var listeners, members []string
		for _, l := range sortedValues(w.Listeners) {
			if l.PoolID == p.ID {
				listeners = append(listeners, l.ID)
			}
		}
		for _, m := range p.Members {
			members = append(members, m.ID)
		}
		monitor := ""
		if !p.Unchecked {
			monitor = p.ID // there is one, which has no calls here
		}
		return map[string]any{
			"id": p.ID, "name": p.Name, "description": "", "project_id": p.ProjectID, "loadbalancers": refs([]string{p.LoadBalancerID}),
			"listeners": refs(listeners), "members": refs(members), "protocol": p.Protocol, "lb_algorithm": p.Algorithm, "admin_state_up": !p.Off,
			"any_port_enable": p.AnyPort, "healthmonitor_id": orNull(monitor), "session_persistence": nil, "ip_version": "v4", "slow_start": nil,
			"member_deletion_protection_enable": false, "vpc_id": w.LoadBalancers[p.LoadBalancerID].VPCID, "type": "instance",
			"created_at": stamp(p.CreatedAt), "updated_at": stamp(p.UpdatedAt),
		}
	}
}

func listPools(c *call) response {
	w := c.world()
	return listing[state.Pool]{
		plural: "pools", id: func(p state.Pool) string { return p.ID }, view: poolView(w),
		fields: map[string]func(state.Pool) []string{
			"id":              one(func(p state.Pool) string { return p.ID }),
			"name":            one(func(p state.Pool) string { return p.Name }),
			"loadbalancer_id": one(func(p state.Pool) string { return p.LoadBalancerID }),
			"protocol":        one(func(p state.Pool) string { return p.Protocol }),
		},
	}.serve(c, mine(w.Pools, c.project, func(p state.Pool) string { return p.ProjectID }))
}

func showPool(c *call) response {
	w := c.world()
	p, err := w.Pool(c.project, c.params["id"])
	return elbResult(http.StatusOK, "pool", p, err, poolView(w))
}

func createPool(c *call) response {
	b := decodeBody(c.body, "pool")
	in := state.PoolInput{
		Name: b.text("name"), LoadBalancerID: b.text("loadbalancer_id"), ListenerID: b.text("listener_id"), Protocol: b.text("protocol"),
		Algorithm: b.text("lb_algorithm"), On: b.boolean("admin_state_up"), AnyPort: b.boolean("any_port_enable"),
	}
	if b.err != nil {
		return elbRefusal(b.err)
	}
	p, err := c.State.CreatePool(c.project, in)
	return elbResult(http.StatusCreated, "pool", p, err, poolView(c.world()))
}

func deletePool(c *call) response { return elbGone(c.State.DeletePool(c.project, c.params["id"])) }

// memberView shows a member with what the checks of each listener say.
func memberView(w *state.World, p state.Pool) func(state.Member) any {
	return func(m state.Member) any {
		health, checks := w.HealthOf(p, m), []any{}
		for _, l := range sortedValues(w.Listeners) {
			if l.PoolID == p.ID {
				checks = append(checks, map[string]any{"listener_id": l.ID, "operating_status": health})
			}
		}
		port, instance := state.Port{}, any(nil)
		if found, ok := w.PortAt(w.LoadBalancers[p.LoadBalancerID].VPCID, m.Address); ok {
			port = found
		}
		if port.ServerID != "" {
			instance = port.ServerID
		}
		return map[string]any{
			"id": m.ID, "name": m.Name, "project_id": p.ProjectID, "address": m.Address, "ip_version": "v4", "protocol_port": m.Port, "weight": m.Weight,
			"admin_state_up": !m.Off, "subnet_cidr_id": orNull(m.SubnetID), "operating_status": health, "status": checks, "member_type": "instance",
			"instance_id": instance, "availability_zone": zone(w), "created_at": stamp(m.CreatedAt), "updated_at": stamp(m.UpdatedAt),
		}
	}
}

func listMembers(c *call) response {
	w := c.world()
	p, err := w.Pool(c.project, c.params["id"])
	if err != nil {
		return elbRefusal(err)
	}
	return listing[state.Member]{
		plural: "members", id: func(m state.Member) string { return m.ID }, view: memberView(w, p),
		fields: map[string]func(state.Member) []string{
			"id":               one(func(m state.Member) string { return m.ID }),
			"address":          one(func(m state.Member) string { return m.Address }),
			"operating_status": one(func(m state.Member) string { return w.HealthOf(p, m) }),
		},
	}.serve(c, append([]state.Member(nil), p.Members...))
}

func showMember(c *call) response {
	w := c.world()
	p, err := w.Pool(c.project, c.params["id"])
	if err != nil {
		return elbRefusal(err)
	}
	for _, m := range p.Members {
		if m.ID == c.params["member_id"] {
			return ok("member", memberView(w, p)(m))
		}
	}
	return elbRefusal(&state.Error{Reason: state.Missing, Message: "Member " + c.params["member_id"] + " could not be found."})
}

func memberBody(c *call) (state.MemberInput, error) {
	b := decodeBody(c.body, "member")
	return state.MemberInput{
		Name: b.text("name"), Address: b.text("address"), SubnetID: b.text("subnet_cidr_id"), Port: b.number("protocol_port"),
		Weight: b.number("weight"), On: b.boolean("admin_state_up"),
	}, b.err
}

func answerMember(c *call, status int, m state.Member, err error) response {
	w := c.world()
	return elbResult(status, "member", m, err, memberView(w, w.Pools[c.params["id"]]))
}

func createMember(c *call) response {
	in, err := memberBody(c)
	if err != nil {
		return elbRefusal(err)
	}
	m, err := c.State.AddMember(c.project, c.params["id"], in)
	return answerMember(c, http.StatusCreated, m, err)
}

func updateMember(c *call) response {
	in, err := memberBody(c)
	if err != nil {
		return elbRefusal(err)
	}
	m, err := c.State.UpdateMember(c.project, c.params["id"], c.params["member_id"], in)
	return answerMember(c, http.StatusOK, m, err)
}

func deleteMember(c *call) response {
	return elbGone(c.State.RemoveMember(c.project, c.params["id"], c.params["member_id"]))
}

// controlMember lets the checks of a load balancer say something of a member, whatever is true.
func (s *Server) controlMember(w http.ResponseWriter, r *http.Request, id string) {
	b, ok := controlBody(w, r)
	if !ok {
		return
	}
	status := valueOf(b.text("operating_status"))
	if b.err != nil {
		controlProblem(w, http.StatusBadRequest, b.err.Error())
		return
	}
	controlResult(w, map[string]any{"id": id, "operating_status": status}, s.State.SetMemberStatus(id, status))
}

// sortedValues are a map's values in the order of its keys.
func sortedValues[T any](all map[string]T) []T {
	out := make([]T, 0, len(all))
	for _, id := range slices.Sorted(maps.Keys(all)) {
		out = append(out, all[id])
	}
	return out
}
