package huawei

import (
	"context"
	"encoding/json"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/huaweicloud/huaweicloud-sdk-go-v3/core/def"
	vpcold "github.com/huaweicloud/huaweicloud-sdk-go-v3/services/vpc/v2"
	modelold "github.com/huaweicloud/huaweicloud-sdk-go-v3/services/vpc/v2/model"
	vpc "github.com/huaweicloud/huaweicloud-sdk-go-v3/services/vpc/v3"
	"github.com/huaweicloud/huaweicloud-sdk-go-v3/services/vpc/v3/model"

	"vpcmirror.io/operator/controllers/cloud"
)

// recheckPorts is how long a region that lacks v3 ports is not asked for them again.
const recheckPorts = 10 * time.Minute

// withOldPorts tries v3 ports, and the older ones where the region lacks those. The
// older ones do not name the VPC.
func withOldPorts[T any](c *client, newer, older func() (T, error)) (T, error) {
	now := time.Now()
	if now.UnixNano() < c.oldPortsUntil.Load() {
		return older()
	}
	result, err := newer()
	if cloud.ClassOf(err) != cloud.ClassUnsupported {
		return result, err
	}
	result, err = older()
	if err == nil {
		c.oldPortsUntil.Store(now.Add(recheckPorts).UnixNano())
	}
	return result, err
}

// GetInterface returns one elastic network interface.
func (c *client) GetInterface(ctx context.Context, id string) (cloud.Interface, error) {
	const op = "ShowPort"
	if err := checkIDs(op, id); err != nil {
		return cloud.Interface{}, err
	}
	return withOldPorts(c, func() (found cloud.Interface, err error) {
		err = c.do(ctx, op, read, func(hc *exchange) error {
			answer, err := ask[portAnswer](hc, &model.ShowPortRequest{PortId: id}, vpc.GenReqDefForShowPort())
			if err != nil {
				return err
			}
			found, err = wholeInterface(answer.Port)
			return err
		})
		return found, err
	}, func() (found cloud.Interface, err error) {
		err = c.do(ctx, op, read, func(hc *exchange) error {
			answer, err := ask[portAnswer](hc, &modelold.ShowPortRequest{PortId: id}, vpcold.GenReqDefForShowPort())
			if err != nil {
				return err
			}
			found, err = wholeInterface(answer.Port)
			return err
		})
		return found, err
	})
}

// FindInterfaces returns the interfaces that have the address. The cloud's own filter
// narrows the list; whether it matches exactly is not relied on.
func (c *client) FindInterfaces(ctx context.Context, address netip.Addr) ([]cloud.Interface, error) {
	if !address.IsValid() || address.Zone() != "" {
		return nil, invalid("ListPorts", "%q is not an address of an interface", address)
	}
	address = address.Unmap()
	all, err := c.interfaces(ctx, portsQuery{addresses: &[]string{"ip_address=" + address.String()}}, wholeInterface)
	if err != nil {
		return nil, err
	}
	all = slices.DeleteFunc(all, func(i cloud.Interface) bool { return !slices.Contains(i.Addresses, address) })
	return all, nil
}

// FindServerInterfaces returns the interfaces of the server, as FindInterfaces does those with an
// address.
func (c *client) FindServerInterfaces(ctx context.Context, serverID string) ([]cloud.Interface, error) {
	if err := checkIDs("ListPorts", serverID); err != nil {
		return nil, err
	}
	all, err := c.interfaces(ctx, portsQuery{server: &serverID}, wholeInterface)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(all, func(i cloud.Interface) bool { return i.DeviceID != serverID }), nil
}

// ListInterfaces returns every interface of the account.
func (c *client) ListInterfaces(ctx context.Context) ([]cloud.Interface, error) {
	return c.interfaces(ctx, portsQuery{}, interfaceOf)
}

// portsQuery selects interfaces: by addresses, or by a server. The zero value selects all.
type portsQuery struct {
	addresses *[]string
	server    *string
}

// interfaces lists the interfaces that a query selects.
func (c *client) interfaces(ctx context.Context, query portsQuery, convert func(*port) (cloud.Interface, error)) ([]cloud.Interface, error) {
	all, err := withOldPorts(c,
		func() ([]cloud.Interface, error) { return c.listPorts(ctx, query, convert) },
		func() ([]cloud.Interface, error) { return c.listOldPorts(ctx, query, convert) })
	shareTextsOfInterfaces(all)
	return unique(all, func(i cloud.Interface) string { return i.ID }), err
}

// portsRequest is the SDK's request for a list of v3 ports with the page, which the SDK leaves
// out although the answer is paged.
type portsRequest struct {
	PrivateIps *[]string `json:"private_ips,omitempty"` // the SDK looks the field up by this name
	DeviceId   *string   `json:"device_id,omitempty"`
	Limit      *int32    `json:"limit,omitempty"`
	Marker     *string   `json:"marker,omitempty"`
}

func portsCall() *def.HttpRequestDef {
	call := vpc.GenReqDefForListPorts()
	call.RequestFields = nil
	for name, tag := range map[string]string{"PrivateIps": "private_ips", "DeviceId": "device_id", "Limit": "limit", "Marker": "marker"} {
		call.RequestFields = append(call.RequestFields, def.NewFieldDef().WithName(name).WithJsonTag(tag).WithLocationType(def.Query))
	}
	return call
}

func (c *client) listPorts(ctx context.Context, query portsQuery, convert func(*port) (cloud.Interface, error)) ([]cloud.Interface, error) {
	limit := c.factory.page(pageOfPorts)
	return readPages(ctx, c.caller, "ListPorts", &limit, convert,
		func(hc *exchange, marker *string) (*[]port, *model.PageInfo, error) {
			answer, err := ask[portsAnswer](hc, &portsRequest{PrivateIps: query.addresses, DeviceId: query.server, Limit: &limit, Marker: marker}, portsCall())
			if err != nil {
				return nil, nil, err
			}
			return answer.Objects, answer.PageInfo, nil
		})
}

// listOldPorts pages by the last ID, because these answers carry no marker.
func (c *client) listOldPorts(ctx context.Context, query portsQuery, convert func(*port) (cloud.Interface, error)) ([]cloud.Interface, error) {
	limit := c.factory.page(pageOfPorts)
	return readPages(ctx, c.caller, "ListPorts", &limit, convert,
		func(hc *exchange, marker *string) (*[]port, *model.PageInfo, error) {
			request := &modelold.ListPortsRequest{FixedIps: query.addresses, DeviceId: query.server, Limit: &limit, Marker: marker}
			answer, err := ask[portsAnswer](hc, request, vpcold.GenReqDefForListPorts())
			if err != nil || answer.Objects == nil {
				return nil, nil, err
			}
			n := len(*answer.Objects)
			return answer.Objects, afterLast(n, limit, func() string { return string((*answer.Objects)[n-1].ID) }), nil
		})
}

type portsAnswer struct {
	Objects        *[]port         `json:"ports"`
	PageInfo       *model.PageInfo `json:"page_info"`
	HttpStatusCode int             `json:"-"` // the SDK sets the field by this name, here and below
}

type portAnswer struct {
	Port           *port `json:"port"`
	HttpStatusCode int   `json:"-"`
}

// port is an interface as v3 shows it, and as the older API does.
type port struct {
	ID                  loose   `json:"id"`
	VPCID               loose   `json:"vpc_id"` // v3 only
	VirsubnetID         loose   `json:"virsubnet_id"`
	NetworkID           loose   `json:"network_id"` // the same in the older API
	MAC                 loose   `json:"mac_address"`
	PrivateIPs          []ipOf  `json:"private_ips"`
	FixedIPs            []ipOf  `json:"fixed_ips"` // the same in the older API
	SecurityGroups      []loose `json:"security_groups"`
	DeviceID            loose   `json:"device_id"`
	Status              loose   `json:"status"`
	AdminStateUp        loose   `json:"admin_state_up"`
	PortSecurityEnabled loose   `json:"port_security_enabled"`
	Flavor              loose   `json:"ecs_flavor"` // v3 only
	VIFDetails          loose   `json:"binding:vif_details"`
	// AllowedPairs are further addresses that port security lets through, as they were sent.
	AllowedPairs loose `json:"allowed_address_pairs"`
}

type ipOf struct {
	Address loose `json:"ip_address"`
}

// wholeInterface reads an interface all of which must be understood: one with an unknown address
// could be the one that is searched for.
func wholeInterface(m *port) (cloud.Interface, error) {
	if m == nil {
		return cloud.Interface{}, empty("interface")
	}
	i, err := interfaceOf(m)
	if i.Unreadable != "" {
		return cloud.Interface{}, unreadable("of interface %q can't be read: %s", shorten(i.ID), i.Unreadable)
	}
	return i, err
}

func interfaceOf(m *port) (cloud.Interface, error) {
	var odd oddities
	i := cloud.Interface{
		ID: string(m.ID), VPCID: string(m.VPCID), SubnetID: string(m.VirsubnetID.or(m.NetworkID)), DeviceID: string(m.DeviceID),
		SecurityGroups: textsOf(m.SecurityGroups), Status: strings.ToUpper(string(m.Status)), Flavor: string(m.Flavor),
		Primary:          primary(m.VIFDetails),
		AdminDown:        !odd.switchedOn("admin_state_up", m.AdminStateUp),
		Unsecured:        !odd.switchedOn("port_security_enabled", m.PortSecurityEnabled),
		OwnAddressesOnly: strings.EqualFold(string(m.PortSecurityEnabled), "true") && m.AllowedPairs == "[]",
	}
	odd.unless(uuidPattern.MatchString(i.ID), "id", m.ID)
	if m.MAC != "" {
		mac, err := net.ParseMAC(string(m.MAC))
		odd.unless(err == nil, "mac_address", m.MAC)
		i.MAC = mac.String()
	}
	for _, ip := range slices.Concat(m.PrivateIPs, m.FixedIPs) {
		address, err := netip.ParseAddr(string(ip.Address))
		odd.unless(err == nil, "ip_address", ip.Address)
		if err == nil {
			i.Addresses = append(i.Addresses, address.Unmap())
		}
	}
	i.Unreadable = odd.String()
	return i, nil
}

// primary reads whether an interface is its server's primary one. What can't be read says nothing
// of it: nobody loses an interface for that.
func primary(details loose) bool {
	var is struct {
		Primary loose `json:"primary_interface"`
	}
	return json.Unmarshal([]byte(details), &is) == nil && strings.EqualFold(string(is.Primary), "true")
}
