package state

import (
	"cmp"
	"slices"
	"time"
)

// kindServer is how the ECS service names a server in its messages.
const kindServer = "Instance"

// Types of jobs that the ECS service tells.
const (
	JobStop       = "stopServer"
	JobStart      = "startServer"
	JobReboot     = "rebootServer"
	JobDelete     = "deleteServer"
	JobAttachNIC  = "attachNic"
	JobDeleteNICs = "batchDetachNics"
)

// Server looks one up; Reason Missing when the project has no such server.
func (w *World) Server(project, id string) (Server, error) {
	s, ok := w.Servers[id]
	if !ok || s.ProjectID != project {
		return Server{}, missing(kindServer, id)
	}
	return s, nil
}

// Job looks one up; Reason Missing when the project has no such job.
func (w *World) Job(project, id string) (Job, error) {
	j, ok := w.Jobs[id]
	if !ok || j.ProjectID != project {
		return Job{}, missing("Job", id)
	}
	return j, nil
}

// PortsOf returns the ports of a server, the primary one first, then by ID.
func (w *World) PortsOf(server string) []Port {
	var out []Port
	if w.index != nil {
		out = slices.Clone(w.indexed().portsOfServer[server])
	} else {
		for _, p := range w.Ports {
			if p.ServerID == server {
				out = append(out, p)
			}
		}
	}
	slices.SortFunc(out, func(a, b Port) int {
		switch {
		case a.Primary && !b.Primary:
			return -1
		case b.Primary && !a.Primary:
			return 1
		}
		return cmp.Compare(a.ID, b.ID)
	})
	return out
}

// Off reports whether a port neither sends nor receives: it is attached to nothing or not active, or its server is stopped.
func (w *World) Off(p Port) bool {
	return p.ServerID == "" || p.Status != PortActive || w.Servers[p.ServerID].Stopped
}

// SwitchServers stops or starts servers, or restarts those that run; kind is the job's type. All are checked before the
// first is touched. A server that is as wanted already stays so.
func (s *Store) SwitchServers(project, kind string, ids []string) (Job, error) {
	return change(s, func(w *World, now time.Time) (Job, error) {
		if len(ids) == 0 {
			return Job{}, invalid("servers", "at least one server is required")
		}
		for _, id := range ids {
			server, err := w.Server(project, id)
			if err != nil {
				return Job{}, err
			}
			if kind == JobReboot && server.Stopped {
				return Job{}, refuse(Unsupported, "%s %s is shut off and cannot be restarted.", kindServer, id)
			}
		}
		for _, id := range ids {
			s.switchServer(w, id, kind == JobStop, now)
		}
		return s.job(w, project, kind, ids, now), nil
	})
}

func (s *Store) switchServer(w *World, id string, stopped bool, now time.Time) {
	server := w.Servers[id]
	if server.Stopped == stopped {
		return
	}
	server.Stopped, server.UpdatedAt = stopped, now
	w.Servers[id] = server
	if !s.quirks.StoppedPortsDown {
		return
	}
	for _, p := range w.PortsOf(id) {
		p.Status, p.UpdatedAt = PortActive, now
		if stopped {
			p.Status = PortDown
		}
		w.Ports[p.ID] = p
	}
}

// job notes what a call started. Call it within change.
func (s *Store) job(w *World, project, kind string, servers []string, now time.Time) Job {
	j := Job{ID: s.newID(), ProjectID: project, Type: kind, At: now}
	if len(servers) == 1 {
		j.ServerID = servers[0]
	}
	w.Jobs[j.ID] = j
	return j
}

// DeleteServers removes servers with all their ports. Sessions keep the IDs of these: the documents do not say what the
// cloud does with them.
func (s *Store) DeleteServers(project string, ids []string) (Job, error) {
	return change(s, func(w *World, now time.Time) (Job, error) {
		if len(ids) == 0 {
			return Job{}, invalid("servers", "at least one server is required")
		}
		for _, id := range ids {
			if _, err := w.Server(project, id); err != nil {
				return Job{}, err
			}
			for _, p := range w.PortsOf(id) {
				s.removePort(w, p.ID)
			}
			delete(w.Servers, id)
		}
		return s.job(w, project, JobDelete, ids, now), nil
	})
}

// ReplaceServer puts a new server in a server's place, as a node pool does: another ID, ports with other IDs, and the same
// name, addresses, groups and host of the simulated network. It returns the new server; ports are the IDs of the new ports
// by those of the old ones.
func (s *Store) ReplaceServer(id string) (server Server, ports map[string]string, err error) {
	ports = map[string]string{}
	server, err = change(s, func(w *World, now time.Time) (Server, error) {
		old, ok := w.Servers[id]
		if !ok {
			return Server{}, missing(kindServer, id)
		}
		n := old
		n.ID, n.Stopped, n.CreatedAt, n.UpdatedAt = s.newID(), false, now, now
		delete(w.Servers, id)
		w.Servers[n.ID] = n
		for _, i := range w.Interfaces {
			if i.ServerID == id {
				i.ServerID = n.ID
				w.Interfaces[i.ID] = i
			}
		}
		for _, p := range w.PortsOf(id) {
			p.ServerID, p.Status = n.ID, PortActive
			ports[p.ID] = s.renamePort(w, p, now).ID
		}
		return n, nil
	})
	return server, ports, err
}
