package huawei

import (
	"context"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	elb "github.com/huaweicloud/huaweicloud-sdk-go-v3/services/elb/v3"
	elbmodel "github.com/huaweicloud/huaweicloud-sdk-go-v3/services/elb/v3/model"
	"github.com/huaweicloud/huaweicloud-sdk-go-v3/services/vpc/v3/model"

	"vpcmirror.io/operator/controllers/cloud"
)

type loadBalancerAnswer struct {
	LoadBalancer   *loadBalancer `json:"loadbalancer"`
	HttpStatusCode int           `json:"-"` // the SDK sets the field by this name, here and below
}

type loadBalancer struct {
	ID           loose `json:"id"`
	Name         loose `json:"name"`
	VPCID        loose `json:"vpc_id"`
	VIPPortID    loose `json:"vip_port_id"`
	VIP          loose `json:"vip_address"`
	VIP6         loose `json:"ipv6_vip_address"`
	AdminStateUp loose `json:"admin_state_up"`
}

type listenersAnswer struct {
	Objects        *[]listener     `json:"listeners"`
	PageInfo       *model.PageInfo `json:"page_info"`
	HttpStatusCode int             `json:"-"`
}

type listener struct {
	ID                   loose `json:"id"`
	Name                 loose `json:"name"`
	Protocol             loose `json:"protocol"`
	Port                 loose `json:"protocol_port"`
	DefaultPoolID        loose `json:"default_pool_id"`
	AdminStateUp         loose `json:"admin_state_up"`
	TransparentClientIPs loose `json:"transparent_client_ip_enable"`
	PortRanges           []struct {
		Start loose `json:"start_port"`
		End   loose `json:"end_port"`
	} `json:"port_ranges"`
}

type poolAnswer struct {
	Pool           *pool `json:"pool"`
	HttpStatusCode int   `json:"-"`
}

type pool struct {
	ID           loose `json:"id"`
	Name         loose `json:"name"`
	AdminStateUp loose `json:"admin_state_up"`
	AnyPort      loose `json:"any_port_enable"`
}

type membersAnswer struct {
	Objects        *[]member       `json:"members"`
	PageInfo       *model.PageInfo `json:"page_info"`
	HttpStatusCode int             `json:"-"`
}

type member struct {
	ID              loose `json:"id"`
	Name            loose `json:"name"`
	Address         loose `json:"address"`
	Port            loose `json:"protocol_port"`
	Weight          loose `json:"weight"`
	AdminStateUp    loose `json:"admin_state_up"`
	OperatingStatus loose `json:"operating_status"`
	// Status is what the checks of each listener say, which goes before OperatingStatus.
	Status []memberStatus `json:"status"`
}

type memberStatus struct {
	ListenerID      loose `json:"listener_id"`
	OperatingStatus loose `json:"operating_status"`
}

// elbService gives the caller of the ELB service.
func (c *client) elbService(op string) (*caller, error) { return c.serviceAt(c.elb, "ELB", op) }

// GetLoadBalancer returns one.
func (c *client) GetLoadBalancer(ctx context.Context, id string) (found cloud.LoadBalancer, err error) {
	const op = "ShowLoadBalancer"
	caller, err := c.elbCall(op, id)
	if err != nil {
		return found, err
	}
	err = caller.do(ctx, op, read, func(hc *exchange) error {
		answer, err := ask[loadBalancerAnswer](hc, &elbmodel.ShowLoadBalancerRequest{LoadbalancerId: id}, elb.GenReqDefForShowLoadBalancer())
		if err != nil {
			return err
		}
		if answer.LoadBalancer == nil {
			return empty("load balancer")
		}
		found, err = loadBalancerOf(answer.LoadBalancer)
		return err
	})
	return found, err
}

// elbCall gives the caller of a call that names an object.
func (c *client) elbCall(op, id string) (*caller, error) {
	if err := checkIDs(op, id); err != nil {
		return nil, err
	}
	return c.elbService(op)
}

// loadBalancerOf reads a load balancer all of which must be understood: it may be a target by its address.
func loadBalancerOf(m *loadBalancer) (cloud.LoadBalancer, error) {
	var odd oddities
	l := cloud.LoadBalancer{
		ID: string(m.ID), Name: string(m.Name), VPCID: string(m.VPCID), PortID: string(m.VIPPortID),
		AdminDown: !odd.switchedOn("admin_state_up", m.AdminStateUp),
	}
	odd.unless(uuidPattern.MatchString(l.ID), "id", m.ID)
	for field, value := range map[string]loose{"vip_address": m.VIP, "ipv6_vip_address": m.VIP6} {
		if value != "" {
			_, err := netip.ParseAddr(string(value))
			odd.unless(err == nil, field, value)
		}
	}
	if odd.String() != "" {
		return l, unreadable("of load balancer %q can't be read: %s", shorten(l.ID), odd.String())
	}
	for _, value := range []loose{m.VIP, m.VIP6} {
		if address, err := netip.ParseAddr(string(value)); err == nil {
			l.Addresses = append(l.Addresses, address.Unmap())
		}
	}
	return l, nil
}

// ListListeners returns those of a load balancer that take UDP. The cloud's own filters narrow the list; that of
// protocols is not relied on.
func (c *client) ListListeners(ctx context.Context, loadBalancerID string) ([]cloud.Listener, error) {
	const op = "ListListeners"
	caller, err := c.elbCall(op, loadBalancerID)
	if err != nil {
		return nil, err
	}
	limit := c.factory.page(pageOfListeners)
	request := &elbmodel.ListListenersRequest{Limit: &limit, LoadbalancerId: &[]string{loadBalancerID}, Protocol: &[]string{"UDP"}}
	var others []string // which are not UDP
	all, err := readPages(ctx, caller, op, &limit, func(m *listener) (cloud.Listener, error) {
		if m.Protocol != "" && !strings.EqualFold(string(m.Protocol), "UDP") {
			others = append(others, string(m.ID))
		}
		return listenerOf(m), nil
	}, func(hc *exchange, marker *string) (*[]listener, *model.PageInfo, error) {
		request.Marker = marker
		answer, err := ask[listenersAnswer](hc, request, elb.GenReqDefForListListeners())
		if err != nil {
			return nil, nil, err
		}
		return answer.Objects, answer.PageInfo, nil
	})
	if err != nil {
		return nil, err
	}
	taken := make([]cloud.Listener, 0, len(all))
	for _, l := range unique(all, func(l cloud.Listener) string { return l.ID }) {
		if !slices.Contains(others, l.ID) {
			taken = append(taken, l)
		}
	}
	return taken, nil
}

// listenerOf reads a listener. Port 0 stands for its ranges. Whether clients are hidden is said of shared load
// balancers alone; dedicated ones never do.
func listenerOf(m *listener) cloud.Listener {
	var odd oddities
	l := cloud.Listener{
		ID: string(m.ID), Name: string(m.Name), PoolID: string(m.DefaultPoolID),
		AdminDown:    !odd.switchedOn("admin_state_up", m.AdminStateUp),
		HidesClients: strings.EqualFold(string(m.TransparentClientIPs), "false"),
	}
	if port := odd.portIn("protocol_port", m.Port); port != 0 {
		l.Ports = append(l.Ports, cloud.PortRange{Low: port, High: port})
	}
	for _, r := range m.PortRanges {
		l.Ports = append(l.Ports, cloud.PortRange{Low: odd.portIn("start_port", r.Start), High: odd.portIn("end_port", r.End)})
	}
	l.Unreadable = odd.String()
	return l
}

// portIn reads one port; what is absent is 0.
func (o *oddities) portIn(field string, value loose) uint16 {
	if value == "" {
		return 0
	}
	port, err := strconv.ParseUint(string(value), 10, 16)
	o.unless(err == nil, field, value)
	return uint16(port)
}

// GetPool returns one with all its members.
func (c *client) GetPool(ctx context.Context, id string) (found cloud.Pool, err error) {
	const op = "ShowPool"
	caller, err := c.elbCall(op, id)
	if err != nil {
		return found, err
	}
	err = caller.do(ctx, op, read, func(hc *exchange) error {
		answer, err := ask[poolAnswer](hc, &elbmodel.ShowPoolRequest{PoolId: id}, elb.GenReqDefForShowPool())
		if err != nil {
			return err
		}
		if answer.Pool == nil {
			return empty("pool")
		}
		var odd oddities
		found = cloud.Pool{
			ID: string(answer.Pool.ID), Name: string(answer.Pool.Name), AdminDown: !odd.switchedOn("admin_state_up", answer.Pool.AdminStateUp),
			AnyPort: strings.EqualFold(string(answer.Pool.AnyPort), "true"),
		}
		return nil
	})
	if err != nil {
		return found, err
	}
	found.Members, err = c.listMembers(ctx, caller, id)
	return found, err
}

func (c *client) listMembers(ctx context.Context, caller *caller, poolID string) ([]cloud.Member, error) {
	limit := c.factory.page(pageOfMembers)
	all, err := readPages(ctx, caller, "ListMembers", &limit, memberOf,
		func(hc *exchange, marker *string) (*[]member, *model.PageInfo, error) {
			answer, err := ask[membersAnswer](hc, &elbmodel.ListMembersRequest{PoolId: poolID, Limit: &limit, Marker: marker}, elb.GenReqDefForListMembers())
			if err != nil {
				return nil, nil, err
			}
			return answer.Objects, answer.PageInfo, nil
		})
	return unique(all, func(m cloud.Member) string { return m.ID }), err
}

// memberOf reads a member. One whose address is odd has none: it must not hide the others.
func memberOf(m *member) (cloud.Member, error) {
	var odd oddities
	out := cloud.Member{
		ID: string(m.ID), Name: string(m.Name), Port: odd.portIn("protocol_port", m.Port), Weight: 1,
		AdminDown: !odd.switchedOn("admin_state_up", m.AdminStateUp), Health: healthOf(m),
	}
	if weight, err := strconv.Atoi(string(m.Weight)); err == nil {
		out.Weight = weight
	}
	if address, err := netip.ParseAddr(string(m.Address)); err == nil {
		out.Address = address.Unmap()
	}
	return out, nil
}

// healthOf is what the checks say. A member of several listeners is offline where any says so: their checks are
// those of one pool.
func healthOf(m *member) cloud.MemberHealth {
	says := []string{string(m.OperatingStatus)}
	if len(m.Status) > 0 {
		says = says[:0]
	}
	for _, s := range m.Status {
		says = append(says, string(s.OperatingStatus))
	}
	health := cloud.MemberUnchecked
	for _, s := range says {
		switch strings.ToUpper(s) {
		case "OFFLINE":
			return cloud.MemberOffline
		case "ONLINE":
			health = cloud.MemberOnline
		}
	}
	return health
}
