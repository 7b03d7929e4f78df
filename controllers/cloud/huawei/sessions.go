package huawei

import (
	"context"
	"slices"
	"strconv"

	vpc "github.com/huaweicloud/huaweicloud-sdk-go-v3/services/vpc/v3"
	"github.com/huaweicloud/huaweicloud-sdk-go-v3/services/vpc/v3/model"

	"vpcmirror.io/operator/controllers/cloud"
)

// ListSessions returns every session of the account.
func (c *client) ListSessions(ctx context.Context) ([]cloud.Session, error) {
	limit := c.factory.page(pageOfSessions)
	sessions, err := readPages(ctx, c.caller, "ListTrafficMirrorSessions", &limit, sessionOf,
		func(hc *exchange, marker *string) (*[]model.TrafficMirrorSession, *model.PageInfo, error) {
			answer, err := ask[model.ListTrafficMirrorSessionsResponse](hc,
				&model.ListTrafficMirrorSessionsRequest{Limit: &limit, Marker: marker}, vpc.GenReqDefForListTrafficMirrorSessions())
			if err != nil {
				return nil, nil, err
			}
			return answer.TrafficMirrorSessions, answer.PageInfo, nil
		})
	shareTextsOfSessions(sessions)
	return unique(sessions, func(s cloud.Session) string { return s.ID }), err
}

// GetSession returns one session.
func (c *client) GetSession(ctx context.Context, id string) (cloud.Session, error) {
	const op = "ShowTrafficMirrorSession"
	if err := checkIDs(op, id); err != nil {
		return cloud.Session{}, err
	}
	var session cloud.Session
	err := c.vpc(ctx, op, read, func(v *vpc.VpcClient) error {
		answer, err := v.ShowTrafficMirrorSession(&model.ShowTrafficMirrorSessionRequest{TrafficMirrorSessionId: id})
		if err != nil {
			return err
		}
		session, err = sessionOf(answer.TrafficMirrorSession)
		return err
	})
	return session, err
}

// CreateSession makes a session. On create the API takes numbers and booleans as
// strings, on update numbers as numbers and only enabled as a string.
func (c *client) CreateSession(ctx context.Context, spec cloud.SessionSpec, sources []string) (cloud.Session, error) {
	const op = "CreateTrafficMirrorSession"
	if err := checkIDs(op, append([]string{spec.FilterID, spec.TargetID}, sources...)...); err != nil {
		return cloud.Session{}, err
	}
	if err := checkNumbers(op, &spec.VNI, &spec.PacketLength, &spec.Priority); err != nil {
		return cloud.Session{}, err
	}
	vni, length, enabled := strconv.Itoa(spec.VNI), strconv.Itoa(spec.PacketLength), strconv.FormatBool(spec.Enabled)
	sourceType := string(cloud.TargetInterface) // the only type of sources there is
	var session cloud.Session
	err := c.vpc(ctx, op, write, func(v *vpc.VpcClient) error {
		answer, err := v.CreateTrafficMirrorSession(&model.CreateTrafficMirrorSessionRequest{
			Body: &model.CreateTrafficMirrorSessionRequestBody{
				TrafficMirrorSession: &model.CreateTrafficMirrorSessionOption{
					Name:                    spec.Name,
					Description:             &spec.Description,
					TrafficMirrorFilterId:   spec.FilterID,
					TrafficMirrorSources:    sources,
					TrafficMirrorTargetId:   spec.TargetID,
					TrafficMirrorTargetType: string(spec.TargetType),
					VirtualNetworkId:        &vni,
					PacketLength:            &length,
					Priority:                int32(spec.Priority), // checked above
					Enabled:                 &enabled,
					Type:                    &sourceType,
				},
			},
		})
		if err != nil {
			return err
		}
		session, err = sessionOf(answer.TrafficMirrorSession)
		return err
	})
	return session, err
}

// UpdateSession changes the given fields.
func (c *client) UpdateSession(ctx context.Context, id string, update cloud.SessionUpdate) error {
	const op = "UpdateTrafficMirrorSession"
	ids := []string{id}
	for _, other := range []*string{update.FilterID, update.TargetID} {
		if other != nil {
			ids = append(ids, *other)
		}
	}
	if err := checkIDs(op, ids...); err != nil {
		return err
	}
	if err := checkNumbers(op, update.VNI, update.PacketLength, update.Priority); err != nil {
		return err
	}
	option := &model.UpdateTrafficMirrorSessionOption{
		Name:                  update.Name,
		Description:           update.Description,
		TrafficMirrorFilterId: update.FilterID,
		TrafficMirrorTargetId: update.TargetID,
		VirtualNetworkId:      toInt32(update.VNI),
		PacketLength:          toInt32(update.PacketLength),
		Priority:              toInt32(update.Priority),
	}
	if update.TargetType != nil {
		option.TrafficMirrorTargetType = new(string(*update.TargetType))
	}
	if update.Enabled != nil {
		option.Enabled = new(strconv.FormatBool(*update.Enabled))
	}
	return c.vpc(ctx, op, write, func(v *vpc.VpcClient) error {
		answer, err := v.UpdateTrafficMirrorSession(&model.UpdateTrafficMirrorSessionRequest{
			TrafficMirrorSessionId: id,
			Body:                   &model.UpdateTrafficMirrorSessionRequestBody{TrafficMirrorSession: option},
		})
		if err != nil {
			return err
		}
		return present(answer.TrafficMirrorSession)
	})
}

// AddSources adds interfaces to a session.
func (c *client) AddSources(ctx context.Context, id string, sources []string) error {
	const op = "AddSourcesToTrafficMirrorSession"
	if err := checkIDs(op, slices.Concat([]string{id}, sources)...); err != nil {
		return err
	}
	return c.vpc(ctx, op, write, func(v *vpc.VpcClient) error {
		answer, err := v.AddSourcesToTrafficMirrorSession(&model.AddSourcesToTrafficMirrorSessionRequest{
			TrafficMirrorSessionId: id,
			Body: &model.AddSourcesToTrafficMirrorSessionRequestBody{
				TrafficMirrorSession: &model.TrafficMirrorSourcesOption{TrafficMirrorSources: sources},
			},
		})
		if err != nil {
			return err
		}
		return present(answer.TrafficMirrorSession)
	})
}

// RemoveSources removes interfaces from a session.
func (c *client) RemoveSources(ctx context.Context, id string, sources []string) error {
	const op = "RemoveSourcesFromTrafficMirrorSession"
	if err := checkIDs(op, slices.Concat([]string{id}, sources)...); err != nil {
		return err
	}
	return c.vpc(ctx, op, write, func(v *vpc.VpcClient) error {
		answer, err := v.RemoveSourcesFromTrafficMirrorSession(&model.RemoveSourcesFromTrafficMirrorSessionRequest{
			TrafficMirrorSessionId: id,
			Body: &model.RemoveSourcesFromTrafficMirrorSessionRequestBody{
				TrafficMirrorSession: &model.TrafficMirrorSourcesOption{TrafficMirrorSources: sources},
			},
		})
		if err != nil {
			return err
		}
		return present(answer.TrafficMirrorSession)
	})
}

// DeleteSession removes a session.
func (c *client) DeleteSession(ctx context.Context, id string) error {
	const op = "DeleteTrafficMirrorSession"
	if err := checkIDs(op, id); err != nil {
		return err
	}
	return c.vpc(ctx, op, write, func(v *vpc.VpcClient) error {
		_, err := v.DeleteTrafficMirrorSession(&model.DeleteTrafficMirrorSessionRequest{TrafficMirrorSessionId: id})
		return err
	})
}

func present(session *model.TrafficMirrorSession) error {
	if session == nil {
		return empty("session")
	}
	return nil
}

// checkNumbers refuses what the cloud would refuse; a nil number is left out.
func checkNumbers(op string, vni, packetLength, priority *int) error {
	for _, n := range []struct {
		name      string
		value     *int
		low, high int
	}{
		{"the VNI", vni, 0, 1<<24 - 1},
		{"the packet length", packetLength, 1, 1460},
		{"the session's priority", priority, 1, 32766},
	} {
		if n.value != nil && (*n.value < n.low || *n.value > n.high) {
			return invalid(op, "%s is %d, it must be from %d to %d", n.name, *n.value, n.low, n.high)
		}
	}
	return nil
}

// toInt32 converts a number that checkNumbers has bounded.
func toInt32(n *int) *int32 {
	if n == nil {
		return nil
	}
	return new(int32(*n)) // bounded by checkNumbers
}
