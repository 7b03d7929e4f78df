package huawei

import (
	"context"
	"strings"

	ecs "github.com/huaweicloud/huaweicloud-sdk-go-v3/services/ecs/v2"
	ecsmodel "github.com/huaweicloud/huaweicloud-sdk-go-v3/services/ecs/v2/model"
	"github.com/huaweicloud/huaweicloud-sdk-go-v3/services/vpc/v3/model"

	"vpcmirror.io/operator/controllers/cloud"
)

type serversAnswer struct {
	Objects        *[]server `json:"servers"`
	Count          *int      `json:"count"`
	HttpStatusCode int       `json:"-"`
}

type server struct {
	ID         loose `json:"id"`
	Name       loose `json:"name"`
	Status     loose `json:"status"`
	PowerState loose `json:"OS-EXT-STS:power_state"`
	Flavor     struct {
		ID   loose `json:"id"`
		Name loose `json:"name"`
	} `json:"flavor"`
}

// ListServers returns every server of the account. Its pages go by the last ID, and their answers
// count all servers: the list ends where nothing more comes, and must then hold as many.
func (c *client) ListServers(ctx context.Context) ([]cloud.Server, error) {
	const op = "ListServersDetails"
	caller, err := c.ecsService(op)
	if err != nil {
		return nil, err
	}
	limit := c.factory.page(pageOfServers)
	read, counted := 0, 0
	all, err := readPages(ctx, caller, op, &limit, serverOf,
		func(hc *exchange, marker *string) (*[]server, *model.PageInfo, error) {
			answer, err := ask[serversAnswer](hc, &ecsmodel.ListServersDetailsRequest{Limit: &limit, Marker: marker}, ecs.GenReqDefForListServersDetails())
			if err != nil || answer.Objects == nil {
				return nil, nil, err
			}
			n := len(*answer.Objects)
			read += n
			if answer.Count != nil {
				counted = *answer.Count
			}
			info := afterLast(n, limit, func() string { return string((*answer.Objects)[n-1].ID) })
			if n > 0 && read < counted { // the cloud made the page shorter
				info.NextMarker = new(string((*answer.Objects)[n-1].ID))
			}
			return answer.Objects, info, nil
		})
	if err != nil {
		return nil, err
	}
	shareTextsOfServers(all)
	all = unique(all, func(s cloud.Server) string { return s.ID })
	if len(all) < counted {
		return nil, listError(op, "the list of servers ended before it held as many as the cloud counts")
	}
	return all, nil
}

// running reports whether a server runs, by its power state: 1 is running; paused (3), shut down (4),
// crashed (6) and suspended (7) are not. The cloud has another, or none, where it does not know: then
// the status says it.
func running(power loose, status string) bool {
	switch power {
	case "1":
		return true
	case "3", "4", "6", "7":
		return false
	default:
		return status == "ACTIVE"
	}
}

func serverOf(m *server) (cloud.Server, error) {
	s := cloud.Server{
		ID: string(m.ID), Name: string(m.Name), Status: strings.ToUpper(string(m.Status)), Flavor: string(m.Flavor.ID.or(m.Flavor.Name)),
	}
	s.Running = running(m.PowerState, s.Status)
	return s, nil
}

type flavorsAnswer struct {
	Objects        *[]flavor `json:"flavors"`
	HttpStatusCode int       `json:"-"`
}

type flavor struct {
	ID    loose `json:"id"`
	Name  loose `json:"name"`
	Specs struct {
		Mirroring loose `json:"network_interface:traffic_mirroring_supported"`
	} `json:"os_extra_specs"`
}

// ListFlavors returns every flavor of the region. It pages by the last ID, because these answers
// carry no marker.
func (c *client) ListFlavors(ctx context.Context) ([]cloud.Flavor, error) {
	const op = "ListFlavors"
	caller, err := c.ecsService(op)
	if err != nil {
		return nil, err
	}
	limit := c.factory.page(pageOfFlavors)
	all, err := readPages(ctx, caller, op, &limit, flavorOf,
		func(hc *exchange, marker *string) (*[]flavor, *model.PageInfo, error) {
			answer, err := ask[flavorsAnswer](hc, &ecsmodel.ListFlavorsRequest{Limit: &limit, Marker: marker}, ecs.GenReqDefForListFlavors())
			if err != nil || answer.Objects == nil {
				return nil, nil, err
			}
			n := len(*answer.Objects)
			return answer.Objects, afterLast(n, limit, func() string { return string((*answer.Objects)[n-1].ID) }), nil
		})
	return unique(all, func(f cloud.Flavor) string { return f.Name }), err
}

func flavorOf(m *flavor) (cloud.Flavor, error) {
	f := cloud.Flavor{Name: string(m.ID.or(m.Name))}
	if says := string(m.Specs.Mirroring); strings.EqualFold(says, "true") || strings.EqualFold(says, "false") {
		f.Mirrors = new(strings.EqualFold(says, "true"))
	}
	return f, nil
}

// ecsService gives the caller of the ECS service.
func (c *client) ecsService(op string) (*caller, error) { return c.serviceAt(c.ecs, "ECS", op) }

// serviceAt gives the caller of a service other than the VPC's, an error where the service is not known.
func (c *client) serviceAt(at *caller, name, op string) (*caller, error) {
	if at == nil {
		return nil, &cloud.Error{
			Class: cloud.ClassUnsupported, Op: op, Unsent: true,
			Message: "the " + name + " service of region " + c.account.Region + " is not known to this version",
		}
	}
	return at, nil
}
