package api

import (
	"encoding/json"
	"net/http"
	"os"
	"strconv"
	"strings"

	"vpcmirror.io/operator/test/cloudsim/fault"
	"vpcmirror.io/operator/test/cloudsim/state"
)

// ControlPrefix begins the paths that steer the simulator. They are unsigned and no part of the cloud's API.
const ControlPrefix = "/_sim/"

// control serves the calls that the README lists.
func (s *Server) control(w http.ResponseWriter, r *http.Request) {
	name, rest, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, ControlPrefix), "/")
	if change := s.controlChange(name); change != nil && r.Method == http.MethodPut {
		change(w, r, rest)
		return
	}
	switch r.Method + " " + name {
	case "GET journal":
		s.controlJournal(w, r)
	case "DELETE journal":
		s.Journal.Clear()
		w.WriteHeader(http.StatusNoContent)
	case "GET faults":
		controlAnswer(w, http.StatusOK, map[string]any{"faults": s.Faults.List()})
	case "POST faults":
		s.controlAddFault(w, r)
	case "DELETE faults":
		s.controlRemoveFault(w, rest)
	case "POST ports", "POST servers":
		s.controlReplace(w, name, rest)
	case "GET stats":
		var stats any
		if f := s.stats.Load(); f != nil {
			stats = (*f)()
		}
		answer := map[string]any{"requests": s.Journal.Last(), "operations": s.Journal.Count(), "data_plane": stats}
		s.State.Read(func(world *state.World) {
			answer["version"], answer["ports"] = world.Version, len(world.Ports)
			answer["filters"], answer["rules"], answer["sessions"] = len(world.Filters), len(world.Rules), len(world.Sessions)
		})
		controlAnswer(w, http.StatusOK, answer)
	case "GET health":
		s.controlHealth(w)
	default:
		controlProblem(w, http.StatusNotFound, r.Method+" "+r.URL.Path+" does not exist; there are GET and DELETE journal, GET, POST and DELETE faults, GET stats, GET health, "+
			"POST ports/ID/{detach,delete,replace}, POST servers/ID/replace, "+
			"PUT ports/ID, PUT members/ID, PUT peerings/ID, PUT security-group-rules/ID, PUT flavors/NAME, PUT network, PUT identity below "+ControlPrefix)
	}
}

// controlChange is the call that changes one thing of a kind, nil for none.
func (s *Server) controlChange(kind string) func(w http.ResponseWriter, r *http.Request, id string) {
	switch kind {
	case "ports":
		return s.controlPort
	case "members":
		return s.controlMember
	case "identity":
		return func(w http.ResponseWriter, r *http.Request, _ string) { s.controlIdentity(w, r) }
	case "network":
		return s.controlNetwork
	case "flavors":
		return s.controlFlavor
	case "peerings":
		return s.controlPeering
	case "security-group-rules":
		return s.controlGroupRule
	default:
		return nil
	}
}

func (s *Server) controlHealth(w http.ResponseWriter) {
	if s.Preparing && !s.ready.Load() {
		controlProblem(w, http.StatusServiceUnavailable, "the data plane is not there yet")
		return
	}
	controlAnswer(w, http.StatusOK, map[string]any{"status": "ok", "process": os.Getpid()})
}

func (s *Server) controlJournal(w http.ResponseWriter, r *http.Request) {
	var since uint64
	if text := r.URL.Query().Get("since"); text != "" {
		n, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			controlProblem(w, http.StatusBadRequest, "since: "+strconv.Quote(text)+" is not a sequence number")
			return
		}
		since = n
	}
	entries := s.Journal.Since(since)
	if r.URL.Query().Get("writes") == "true" {
		entries = s.Journal.Writes(since)
	}
	controlAnswer(w, http.StatusOK, map[string]any{"entries": entries, "last": s.Journal.Last()})
}

func (s *Server) controlAddFault(w http.ResponseWriter, r *http.Request) {
	dec := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<20))
	dec.DisallowUnknownFields()
	var f fault.Fault
	if err := dec.Decode(&f); err != nil {
		controlProblem(w, http.StatusBadRequest, "the body is no fault: "+err.Error())
		return
	}
	id, err := s.Faults.Add(f)
	if err != nil {
		controlProblem(w, http.StatusBadRequest, err.Error())
		return
	}
	controlAnswer(w, http.StatusCreated, map[string]any{"id": id})
}

func (s *Server) controlRemoveFault(w http.ResponseWriter, id string) {
	if id == "" {
		s.Faults.Clear()
	} else if !s.Faults.Remove(id) {
		controlProblem(w, http.StatusNotFound, "there is no fault "+strconv.Quote(id))
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

func controlProblem(w http.ResponseWriter, status int, message string) {
	controlAnswer(w, status, map[string]any{"error": message})
}

func controlAnswer(w http.ResponseWriter, status int, body any) {
	data, err := json.Marshal(body)
	if err != nil {
		status, data = http.StatusInternalServerError, []byte(`{"error":"the answer cannot be encoded"}`)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(append(data, '\n')) // the client may be gone
}
