package api

import (
	"net/http"

	"vpcmirror.io/operator/test/cloudsim/state"
)

const peeringKey = "peering"

func peeringFields(p state.Peering) map[string]any {
	side := func(s state.PeeringSide) any { return map[string]any{"vpc_id": s.VPCID, "tenant_id": s.ProjectID} }
	return map[string]any{
		"id": p.ID, "name": p.Name, "description": p.Description, "status": p.Status, "request_vpc_info": side(p.Requester),
		"accept_vpc_info": side(p.Accepter), "created_at": stamp(p.CreatedAt), "updated_at": stamp(p.UpdatedAt),
	}
}

func peeringView(p state.Peering) any { return peeringFields(p) }

// listPeerings pages as the older OpenStack calls do: by the last ID, with links instead of page_info.
func listPeerings(c *call) response {
	var mine []state.Peering
	for _, p := range c.world().Peerings {
		if p.Of(c.project) {
			mine = append(mine, p)
		}
	}
	return listing[state.Peering]{
		plural: "peerings",
		id:     func(p state.Peering) string { return p.ID },
		fields: map[string]func(state.Peering) []string{
			"id":        one(func(p state.Peering) string { return p.ID }),
			"name":      one(func(p state.Peering) string { return p.Name }),
			"status":    one(func(p state.Peering) string { return p.Status }),
			"tenant_id": func(p state.Peering) []string { return []string{p.Requester.ProjectID, p.Accepter.ProjectID} },
			"vpc_id":    func(p state.Peering) []string { return []string{p.Requester.VPCID, p.Accepter.VPCID} },
		},
		view: peeringView, whole: true, links: "/v2.0/vpc/peerings",
	}.serve(c, mine)
}

func showPeering(c *call) response {
	p, err := c.world().Peering(c.project, c.params["id"])
	return result(http.StatusOK, peeringKey, p, err, peeringView)
}

func peeringBody(c *call) (state.PeeringInput, error) {
	b := decodeBody(c.body, peeringKey)
	side := func(field string) *state.PeeringSide {
		o := b.object(field)
		if o == nil {
			return nil
		}
		s := &state.PeeringSide{VPCID: valueOf(o.text("vpc_id")), ProjectID: valueOf(o.text("tenant_id"))}
		if o.err != nil {
			b.fail(o.err)
		}
		return s
	}
	in := state.PeeringInput{
		Name: b.text("name"), Description: b.text("description"), Requester: side("request_vpc_info"), Accepter: side("accept_vpc_info"),
	}
	return in, b.err
}

func createPeering(c *call) response {
	in, err := peeringBody(c)
	if err != nil {
		return refusal(err)
	}
	p, err := c.State.CreatePeering(c.project, in)
	return result(http.StatusCreated, peeringKey, p, err, peeringView)
}

func updatePeering(c *call) response {
	in, err := peeringBody(c)
	if err != nil {
		return refusal(err)
	}
	p, err := c.State.UpdatePeering(c.project, c.params["id"], in)
	return result(http.StatusOK, peeringKey, p, err, peeringView)
}

// acceptPeering and rejectPeering answer with the peering's fields, and no wrapper around them.
func acceptPeering(c *call) response { return answerPeering(c, state.PeeringActive) }
func rejectPeering(c *call) response { return answerPeering(c, state.PeeringRejected) }

func answerPeering(c *call, status string) response {
	p, err := c.State.AnswerPeering(c.project, c.params["id"], status)
	if err != nil {
		return refusal(err)
	}
	return response{status: http.StatusOK, body: peeringFields(p)}
}

func deletePeering(c *call) response { return gone(c.State.DeletePeering(c.project, c.params["id"])) }
