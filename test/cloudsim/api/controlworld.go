package api

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"time"

	"vpcmirror.io/operator/test/cloudsim/state"
)

// controlReplace does to a port or server what no call of the API can, since the cloud does it by itself.
func (s *Server) controlReplace(w http.ResponseWriter, kind, rest string) {
	id, verb, _ := strings.Cut(rest, "/")
	var err error
	answer := map[string]any{"id": id}
	switch kind + " " + verb {
	case "ports detach":
		_, err = s.State.DetachPort(id)
	case "ports delete":
		err = s.State.DropPort(id)
	case "ports replace":
		var p state.Port
		p, err = s.State.ReplacePort(id)
		answer["id"] = p.ID
	case "servers replace":
		var n state.Server
		var ports map[string]string
		n, ports, err = s.State.ReplaceServer(id)
		answer["id"], answer["ports"] = n.ID, ports
	default:
		controlProblem(w, http.StatusNotFound, "there are POST ports/ID/detach, ports/ID/delete, ports/ID/replace and servers/ID/replace")
		return
	}
	controlResult(w, answer, err)
}

// controlGroupRule changes fields of a security group rule, as the console does; the body has the API's names.
func (s *Server) controlGroupRule(w http.ResponseWriter, r *http.Request, id string) {
	b, ok := controlBody(w, r)
	if !ok {
		return
	}
	in := groupRuleBody(b)
	if b.err != nil {
		controlProblem(w, http.StatusBadRequest, b.err.Error())
		return
	}
	rule, err := s.State.UpdateGroupRule(id, in)
	controlResult(w, map[string]any{"security_group_rule": groupRuleView(s.State.Snapshot())(rule)}, err)
}

// controlPeering gives a peering a status that no call can give it, such as EXPIRED.
func (s *Server) controlPeering(w http.ResponseWriter, r *http.Request, id string) {
	b, ok := controlBody(w, r)
	if !ok {
		return
	}
	status := valueOf(b.text("status"))
	if b.err != nil {
		controlProblem(w, http.StatusBadRequest, b.err.Error())
		return
	}
	p, err := s.State.SetPeeringStatus(id, status)
	controlResult(w, map[string]any{"peering": peeringView(p)}, err)
}

// controlPort changes what of a port no call of the API does.
func (s *Server) controlPort(w http.ResponseWriter, r *http.Request, id string) {
	b, ok := controlBody(w, r)
	if !ok {
		return
	}
	in := state.PortSettings{MTU: b.number("mtu"), Status: b.text("status"), Secured: b.boolean("port_security_enabled")}
	if b.err == nil && in == (state.PortSettings{}) {
		b.fail(badBody("one of the keys mtu, status and port_security_enabled is needed"))
	}
	if b.err != nil {
		controlProblem(w, http.StatusBadRequest, b.err.Error())
		return
	}
	controlResult(w, map[string]any{"id": id}, s.State.SetPort(id, in))
}

// controlNetwork changes how long the network takes to do as the API was told.
func (s *Server) controlNetwork(w http.ResponseWriter, r *http.Request, _ string) {
	b, ok := controlBody(w, r)
	if !ok {
		return
	}
	delay, err := time.ParseDuration(valueOf(b.text("propagation_delay")))
	if err != nil {
		controlProblem(w, http.StatusBadRequest, "propagation_delay: give a duration, such as 5s or 0s")
		return
	}
	controlResult(w, map[string]any{"propagation_delay": delay.String()}, s.State.SetPropagation(delay))
}

// controlFlavor changes what a flavor says of mirroring, and what it does.
func (s *Server) controlFlavor(w http.ResponseWriter, r *http.Request, name string) {
	b, ok := controlBody(w, r)
	if !ok {
		return
	}
	in := state.FlavorInput{
		Mirroring: b.boolean("mirroring"), Accepted: b.boolean("accepted"), Carries: b.boolean("carries"), Undeclared: b.boolean("undeclared"),
	}
	if b.err != nil || name == "" {
		controlProblem(w, http.StatusBadRequest, "give /_sim/flavors/NAME, and booleans for mirroring, accepted, carries and undeclared")
		return
	}
	f := s.State.SetFlavor(name, in)
	controlResult(w, map[string]any{"name": name, "mirroring": f.Mirroring, "accepted": f.Accepted, "carries": f.Carries, "undeclared": f.Undeclared}, nil)
}

// controlBody reads the object that a control call sends. Not ok when it has been answered.
func controlBody(w http.ResponseWriter, r *http.Request) (b *body, ok bool) {
	data, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 1<<20))
	if err != nil {
		controlProblem(w, http.StatusBadRequest, "read the body: "+err.Error())
		return nil, false
	}
	b = decodeFields(data)
	if b.err != nil {
		controlProblem(w, http.StatusBadRequest, b.err.Error())
		return nil, false
	}
	return b, true
}

// controlResult answers a control call that changed the world.
func controlResult(w http.ResponseWriter, answer any, err error) {
	var e *state.Error
	switch {
	case err == nil:
		controlAnswer(w, http.StatusOK, answer)
	case errors.As(err, &e) && e.Reason == state.Missing:
		controlProblem(w, http.StatusNotFound, err.Error())
	default:
		controlProblem(w, http.StatusBadRequest, err.Error())
	}
}
