package api

import (
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"vpcmirror.io/operator/test/cloudsim/state"
)

// ecsRefusal bears the codes of the ECS service.
func ecsRefusal(err error) response {
	var e *state.Error
	if errors.As(err, &e) && e.Reason != state.Missing {
		return *gatewayError(http.StatusBadRequest, "Ecs.0005", err.Error())
	}
	return *gatewayError(http.StatusNotFound, "Ecs.0114", err.Error())
}

// What the ECS service says of a server that runs, and of one that is stopped (its reference, "ECS statuses"); the power
// states are those of OpenStack's Nova.
const (
	powerRunning  = 1
	powerShutDown = 4
)

func serverStatus(s state.Server) (status, vm string, power int) {
	if s.Stopped {
		return "SHUTOFF", "stopped", powerShutDown
	}
	return "ACTIVE", "active", powerRunning
}

// serverView shows a server with its ports.
func serverView(w *state.World) func(state.Server) any {
	return func(s state.Server) any {
		nics, addresses := []any{}, map[string][]any{}
		groups := []any{}
		for _, p := range w.PortsOf(s.ID) {
			nics = append(nics, map[string]any{"port_id": p.ID, "primary": p.Primary})
			for _, a := range p.Addresses {
				version := "6"
				if a.Is4() {
					version = "4"
				}
				addresses[p.VPCID] = append(addresses[p.VPCID], map[string]any{
					"version": version, "addr": a.String(), "primary": p.Primary, "OS-EXT-IPS-MAC:mac_addr": p.MAC,
					"OS-EXT-IPS:port_id": p.ID, "OS-EXT-IPS:type": "fixed",
				})
			}
			for _, id := range p.SecurityGroups {
				groups = append(groups, map[string]any{"id": id, "name": w.Groups[id].Name})
			}
		}
		status, vm, power := serverStatus(s)
		return map[string]any{
			"id": s.ID, "name": s.Name, "tenant_id": s.ProjectID, "status": status, "OS-EXT-STS:vm_state": vm,
			"OS-EXT-STS:power_state": power, "OS-EXT-STS:task_state": nil, "OS-EXT-AZ:availability_zone": zone(w),
			"flavor":    map[string]any{"id": s.Flavor, "name": s.Flavor},
			"addresses": addresses, "network_interfaces": nics, "security_groups": groups, "metadata": map[string]any{},
			"created": stamp(s.CreatedAt), "updated": stamp(s.UpdatedAt), "host_status": "UP", "locked": false, "progress": 0,
			"enterprise_project_id": "0", "os-extended-volumes:volumes_attached": []any{}, "tags": []any{}, "sys_tags": []any{},
		}
	}
}

func showServer(c *call) response {
	w := c.world()
	s, err := w.Server(c.project, c.params["id"])
	if err != nil {
		return ecsRefusal(err)
	}
	return ok("server", serverView(w)(s))
}

func listServerInterfaces(c *call) response {
	w := c.world()
	s, err := w.Server(c.project, c.params["id"])
	if err != nil {
		return ecsRefusal(err)
	}
	attachments := []any{}
	for _, p := range w.PortsOf(s.ID) {
		ips := []any{}
		for _, a := range p.Addresses {
			ips = append(ips, map[string]any{"ip_address": a.String(), "subnet_id": p.SubnetID})
		}
		attachments = append(attachments, map[string]any{
			"port_id": p.ID, "port_state": p.Status, "mac_addr": p.MAC, "net_id": p.SubnetID, "fixed_ips": ips,
		})
	}
	return ok("interfaceAttachments", attachments)
}

// The page of a list of servers: so many when no limit is asked for, and so many at most.
const (
	serverPage    = 25
	maxServerPage = 1000
)

// listServers pages by number (offset, from 1 on) or by the last server's ID (marker), and counts all that match.
func listServers(c *call) response {
	w, query := c.world(), c.r.URL.Query()
	limit, err := between(query.Get("limit"), "limit", serverPage, 1, maxServerPage)
	if err != nil {
		return ecsRefusal(err)
	}
	page, err := between(query.Get("offset"), "offset", 1, 0, 1<<30)
	if err != nil {
		return ecsRefusal(err)
	}
	servers := mine(w.Servers, c.project, func(s state.Server) string { return s.ProjectID })
	slices.SortFunc(servers, func(a, b state.Server) int { return strings.Compare(a.ID, b.ID) })
	servers = slices.DeleteFunc(servers, func(s state.Server) bool { return !serverSelected(w, s, query) })
	count := len(servers)
	if after := query.Get("marker"); after != "" {
		servers = slices.DeleteFunc(servers, func(s state.Server) bool { return s.ID <= after })
	} else {
		servers = servers[min(len(servers), (max(page, 1)-1)*limit):]
	}
	views := []any{}
	for _, s := range servers[:min(len(servers), limit)] {
		views = append(views, serverView(w)(s))
	}
	return response{status: http.StatusOK, body: map[string]any{"count": count, "servers": views}}
}

// between reads a number of a query.
func between(text, field string, fallback, low, high int) (int, error) {
	if text == "" {
		return fallback, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < low || n > high {
		return 0, badField(field, "'%s' must be in %d-%d", text, low, high)
	}
	return n, nil
}

// serverSelected obeys server_id alone where it is given, as the reference says.
func serverSelected(w *state.World, s state.Server, query map[string][]string) bool {
	first := func(key string) string {
		if len(query[key]) == 0 {
			return ""
		}
		return query[key][0]
	}
	if ids := first("server_id"); ids != "" {
		return slices.Contains(strings.Split(ids, ","), s.ID)
	}
	status, _, _ := serverStatus(s)
	if want := first("status"); want != "" && want != status {
		return false
	}
	if want := first("flavor"); want != "" && want != s.Flavor {
		return false
	}
	if !strings.Contains(s.Name, first("name")) {
		return false
	}
	return serverHasAddress(w, s, first("ip"), strings.Contains) &&
		serverHasAddress(w, s, first("ip_eq"), func(a, b string) bool { return a == b })
}

func serverHasAddress(w *state.World, s state.Server, wanted string, same func(a, b string) bool) bool {
	if wanted == "" {
		return true
	}
	for _, p := range w.PortsOf(s.ID) {
		for _, a := range p.Addresses {
			if same(a.String(), wanted) {
				return true
			}
		}
	}
	return false
}

// serverActions are what a call to "action" can ask for, by the key of its body.
var serverActions = map[string]string{"os-stop": state.JobStop, "os-start": state.JobStart, "reboot": state.JobReboot}

// switchServers stops, starts or restarts servers. The job is over when the call is answered.
func switchServers(c *call) response {
	for key, kind := range serverActions {
		b := decodeBody(c.body, key)
		if b.fields == nil {
			continue
		}
		ids := b.ids("servers")
		if how := b.text("type"); how != nil && *how != "SOFT" && *how != "HARD" {
			b.fail(badField("type", "'%s' is not in [SOFT, HARD]", *how))
		}
		if b.err != nil {
			return ecsRefusal(b.err)
		}
		return jobAnswer(c.State.SwitchServers(c.project, kind, ids))
	}
	return ecsRefusal(badBody("one of the keys os-stop, os-start and reboot is needed"))
}

func deleteServers(c *call) response {
	b := decodeFields(c.body)
	ids := b.ids("servers")
	if b.err != nil {
		return ecsRefusal(b.err)
	}
	return jobAnswer(c.State.DeleteServers(c.project, ids))
}

// addServerPorts attaches one port to a server: the reference takes one at a time.
func addServerPorts(c *call) response {
	b := decodeFields(c.body)
	nics := b.objects("nics")
	if b.err == nil && len(nics) != 1 {
		b.fail(badField("nics", "one interface is needed"))
	}
	if b.err != nil {
		return ecsRefusal(b.err)
	}
	nic := nics[0]
	in := state.PortInput{SubnetID: nic.text("subnet_id")}
	if ip := nic.text("ip_address"); ip != nil && *ip != "" {
		in.Addresses = &[]string{*ip}
	}
	if groups := nic.ids("security_groups"); groups != nil {
		in.SecurityGroups = &groups
	}
	port := nic.text("port_id")
	if nic.err != nil {
		return ecsRefusal(nic.err)
	}
	id := ""
	if port != nil {
		id = *port
	}
	_, job, err := c.State.AttachPort(c.project, c.params["id"], id, in)
	return jobAnswer(job, err)
}

func deleteServerPorts(c *call) response {
	b := decodeFields(c.body)
	ids := b.ids("nics")
	if b.err != nil {
		return ecsRefusal(b.err)
	}
	return jobAnswer(c.State.DeleteServerPorts(c.project, c.params["id"], ids))
}

func jobAnswer(job state.Job, err error) response {
	if err != nil {
		return ecsRefusal(err)
	}
	return ok("job_id", job.ID)
}

func showJob(c *call) response {
	job, err := c.world().Job(c.project, c.params["id"])
	if err != nil {
		return ecsRefusal(err)
	}
	entities := map[string]any{}
	if job.ServerID != "" {
		entities["server_id"] = job.ServerID
	}
	if job.PortID != "" {
		entities["nic_id"] = job.PortID
	}
	return response{status: http.StatusOK, body: map[string]any{
		"job_id": job.ID, "job_type": job.Type, "status": "SUCCESS", "begin_time": stamp(job.At), "end_time": stamp(job.At),
		"error_code": nil, "fail_reason": nil, "entities": entities,
	}}
}
