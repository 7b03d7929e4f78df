package huawei

import (
	"context"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/huaweicloud/huaweicloud-sdk-go-v3/core"
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
		err = c.vpc(ctx, op, read, func(v *vpc.VpcClient) error {
			answer, err := v.ShowPort(&model.ShowPortRequest{PortId: id})
			if err != nil {
				return err
			}
			found, err = interfaceOf(answer.Port)
			return err
		})
		return found, err
	}, func() (found cloud.Interface, err error) {
		err = c.do(ctx, op, read, func(hc *core.HcHttpClient) error {
			answer, err := vpcold.NewVpcClient(hc).ShowPort(&modelold.ShowPortRequest{PortId: id})
			if err != nil {
				return err
			}
			found, err = oldInterfaceOf(answer.Port)
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
	query := []string{"ip_address=" + address.String()}
	all, err := withOldPorts(c,
		func() ([]cloud.Interface, error) { return c.listPorts(ctx, query) },
		func() ([]cloud.Interface, error) { return c.listOldPorts(ctx, query) })
	if err != nil {
		return nil, err
	}
	all = slices.DeleteFunc(all, func(i cloud.Interface) bool { return !slices.Contains(i.Addresses, address) })
	return unique(all, func(i cloud.Interface) string { return i.ID }), nil
}

// portsRequest is the SDK's request for a list of v3 ports with the marker, which the
// SDK leaves out although the answer is paged.
type portsRequest struct {
	PrivateIps *[]string `json:"private_ips,omitempty"` // the SDK looks the field up by this name
	Marker     *string   `json:"marker,omitempty"`
}

func portsCall() *def.HttpRequestDef {
	call := vpc.GenReqDefForListPorts()
	call.RequestFields = []*def.FieldDef{
		def.NewFieldDef().WithName("PrivateIps").WithJsonTag("private_ips").WithLocationType(def.Query),
		def.NewFieldDef().WithName("Marker").WithJsonTag("marker").WithLocationType(def.Query),
	}
	return call
}

func (c *client) listPorts(ctx context.Context, query []string) ([]cloud.Interface, error) {
	return readPages(ctx, c, "ListPorts", 0, interfaceOf,
		func(hc *core.HcHttpClient, marker *string) (*[]model.Port, *model.PageInfo, error) {
			answer, err := hc.Sync(&portsRequest{PrivateIps: &query, Marker: marker}, portsCall())
			if err != nil {
				return nil, nil, err
			}
			list, ok := answer.(*model.ListPortsResponse)
			if !ok {
				return nil, nil, empty("list")
			}
			return list.Ports, list.PageInfo, nil
		})
}

// listOldPorts pages by the last ID, because these answers carry no marker.
func (c *client) listOldPorts(ctx context.Context, query []string) ([]cloud.Interface, error) {
	limit := c.factory.pageSize
	return readPages(ctx, c, "ListPorts", limit, oldInterfaceOf,
		func(hc *core.HcHttpClient, marker *string) (*[]modelold.Port, *model.PageInfo, error) {
			answer, err := vpcold.NewVpcClient(hc).ListPorts(&modelold.ListPortsRequest{FixedIps: &query, Limit: &limit, Marker: marker})
			if err != nil || answer.Ports == nil {
				return nil, nil, err
			}
			var info model.PageInfo
			if n := len(*answer.Ports); n >= int(limit) {
				info.NextMarker = &(*answer.Ports)[n-1].Id
			}
			return answer.Ports, &info, nil
		})
}

func interfaceOf(m *model.Port) (cloud.Interface, error) {
	if m == nil {
		return cloud.Interface{}, empty("interface")
	}
	addresses := make([]string, 0, len(m.PrivateIps))
	for _, ip := range m.PrivateIps {
		addresses = append(addresses, ip.IpAddress)
	}
	return newInterface(cloud.Interface{ID: m.Id, VPCID: m.VpcId, SecurityGroups: m.SecurityGroups, DeviceID: m.DeviceId}, m.MacAddress, addresses)
}

func oldInterfaceOf(m *modelold.Port) (cloud.Interface, error) {
	if m == nil {
		return cloud.Interface{}, empty("interface")
	}
	addresses := make([]string, 0, len(m.FixedIps))
	for _, ip := range m.FixedIps {
		if ip.IpAddress != nil {
			addresses = append(addresses, *ip.IpAddress)
		}
	}
	return newInterface(cloud.Interface{ID: m.Id, SecurityGroups: m.SecurityGroups, DeviceID: m.DeviceId}, m.MacAddress, addresses)
}

// newInterface adds the fields that have to be parsed. One that can't be is an error:
// an interface with an unknown address could be the one that is searched for.
func newInterface(i cloud.Interface, mac string, addresses []string) (cloud.Interface, error) {
	if !uuidPattern.MatchString(i.ID) {
		return cloud.Interface{}, unreadable("the answer holds an interface whose ID %q is no UUID", shorten(i.ID))
	}
	if mac = strings.TrimSpace(mac); mac != "" {
		parsed, err := net.ParseMAC(mac)
		if err != nil {
			return cloud.Interface{}, unreadable("interface %s has a MAC address %q that can't be read", i.ID, shorten(mac))
		}
		i.MAC = parsed.String()
	}
	for _, a := range addresses {
		address, err := netip.ParseAddr(strings.TrimSpace(a))
		if err != nil {
			return cloud.Interface{}, unreadable("interface %s has an address %q that can't be read", i.ID, shorten(a))
		}
		i.Addresses = append(i.Addresses, address.Unmap())
	}
	return i, nil
}
