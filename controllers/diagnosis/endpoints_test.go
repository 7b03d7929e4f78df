package diagnosis_test

import (
	"testing"
	"time"

	"vpcmirror.io/operator/controllers/cloud"
)

// gone takes the first source away, or the target.
func (w *way) gone(id string) {
	w.Gone = append(w.Gone, id)
	if id == "id-t" {
		w.Target = nil
		return
	}
	w.Sources = w.Sources[1:]
}

func TestAnInterfaceThatIsNotThereOrDoesNotWorkIsNamed(t *testing.T) {
	looks(t, map[string]look{
		"a source that is deleted": {
			func(w *way) { w.gone("id-a") },
			[]finding{{"Warning", "InterfaceGone", "source 10.0.0.11", "the source 10.0.0.11 (interface id-a) is deleted in the cloud",
				"name the interface that took its place, by its ID, or by address or nodeName, which follow"}},
			said{"False", "InterfaceGone", "1 of 2 sources: the source 10.0.0.11 (interface id-a) is deleted in the cloud"},
		},
		"the only source that is deleted": {
			edit: func(w *way) { w.one(); w.gone("id-a") },
			found: []finding{{"Error", "InterfaceGone", "source 10.0.0.11", "the source 10.0.0.11 (interface id-a) is deleted in the cloud",
				"name the interface that took its place, by its ID, or by address or nodeName, which follow"}},
		},
		"a source that is replaced": {
			edit: func(w *way) {
				w.gone("id-a")
				w.Successors = map[string]cloud.Interface{"id-a": {ID: "id-new"}}
			},
			found: []finding{{"Warning", "InterfaceReplaced", "source 10.0.0.11",
				"the source 10.0.0.11 (interface id-a) is deleted in the cloud, and interface id-new has its address now",
				"name interface id-new in its place, or use address or nodeName, which follow by themselves"}},
		},
		"a source that is replaced, with credentials of several tenants": {
			edit: func(w *way) {
				w.gone("id-a")
				w.Private, w.Successors = true, map[string]cloud.Interface{"id-a": {ID: "id-new"}}
			},
			found: []finding{{"Warning", "InterfaceReplaced", "source 10.0.0.11",
				"the source 10.0.0.11 (interface id-a) is deleted in the cloud, and another one has its address now",
				"name the new interface, or use address or nodeName, which follow by themselves"}},
		},
		"a source that is deleted, and taken off the session since": {
			func(w *way) {
				w.Former = []cloud.Interface{nic("z", "10.0.0.99")}
				w.later(time.Second, 0)
				w.later(time.Second, 1)
			},
			[]finding{{"Warning", "InterfaceGone", "source 10.0.0.99", "the source 10.0.0.99 (interface id-z) is deleted in the cloud",
				"name the interface that took its place, by its ID, or by address or nodeName, which follow"}},
			said{"False", "InterfaceGone", "1 of 3 sources: the source 10.0.0.99 (interface id-z) is deleted in the cloud"},
		},
		"a source that is replaced, and taken off the session since, beside one that copies": {
			edit: func(w *way) {
				w.one()
				w.Former, w.Successors = []cloud.Interface{nic("z", "10.0.0.99")}, map[string]cloud.Interface{"id-z": {ID: "id-new"}}
				w.later(time.Second, 0)
				w.later(time.Second, 1)
			},
			found: []finding{{"Warning", "InterfaceReplaced", "source 10.0.0.99",
				"the source 10.0.0.99 (interface id-z) is deleted in the cloud, and interface id-new has its address now",
				"name interface id-new in its place, or use address or nodeName, which follow by themselves"}},
		},
		"the target that is deleted": {
			edit: func(w *way) { w.gone("id-t") },
			found: []finding{{"Error", "InterfaceGone", "target 10.0.0.1", "the target 10.0.0.1 (interface id-t) is deleted in the cloud",
				"name the interface that took its place, by its ID, or by address or nodeName, which follow"}},
		},
		"one that was not found out about is not judged": {
			edit:    func(w *way) { w.Sources = w.Sources[1:] },
			verdict: said{"Unknown", "NotJudged", "the source 10.0.0.11 (interface id-a) could not be read"},
		},
		"a source that is attached to nothing": {
			edit: func(w *way) { w.Sources[0].DeviceID, w.Sources[0].Status = "", "DOWN" },
			found: []finding{{"Warning", "InterfaceDetached", "source 10.0.0.11",
				"the source 10.0.0.11 is attached to no server", "attach interface id-a to a server"}},
		},
		"the target that is attached to nothing": {
			edit: func(w *way) { w.Target.DeviceID = "" },
			found: []finding{{"Error", "InterfaceDetached", "target 10.0.0.1",
				"the target 10.0.0.1 is attached to no server", "attach interface id-t to a server"}},
		},
		"a source that is switched off": {
			edit: func(w *way) { w.Sources[1].AdminDown = true },
			found: []finding{{"Warning", "InterfaceDown", "source 10.0.0.12",
				"the source 10.0.0.12 is switched off in the cloud: its admin_state_up is false", "switch interface id-b on"}},
		},
		"the target that is down": {
			edit: func(w *way) { w.Target.Status = "DOWN" },
			found: []finding{{"Error", "InterfaceDown", "target 10.0.0.1",
				"the target 10.0.0.1 has the status DOWN in the cloud", "look at interface id-t and at its server"}},
		},
		"not one that is being made":                {edit: func(w *way) { w.Target.Status = "BUILD" }},
		"not one of which the cloud says no status": {edit: func(w *way) { w.Target.Status = "" }},
		"a server that is stopped, and not that its interface is down": {
			edit: func(w *way) {
				w.setServer(cloud.Server{ID: "server-t", Name: "ecs-t", Status: "SHUTOFF"})
				w.Target.Status = "DOWN"
			},
			found: []finding{{"Error", "ServerStopped", "target 10.0.0.1",
				`server "ecs-t" of the target 10.0.0.1 does not run (SHUTOFF)`, `start server "ecs-t", or name an interface of one that runs`}},
		},
		"a server that is stopped, with credentials of several tenants": {
			edit: func(w *way) {
				w.Private = true
				w.setServer(cloud.Server{ID: "server-a", Name: "ecs-a", Status: "SHUTOFF"})
			},
			found: []finding{{"Warning", "ServerStopped", "source 10.0.0.11",
				"the server of the source 10.0.0.11 does not run (SHUTOFF)", "start the server, or name an interface of one that runs"}},
		},
		"not a device that is no server": {edit: func(w *way) { w.deleteServer("server-t") }},
		"servers that may not be read are not judged": {
			edit:    func(w *way) { w.Servers = refused[[]cloud.Server]("ecs:cloudServers:list") },
			verdict: said{"Unknown", "NotPermitted", "the account may not read servers: grant it ecs:cloudServers:list"},
		},
		"a load balancer that was not read is not judged": {
			edit:    func(w *way) { w.Target, w.Session.TargetType = nil, cloud.TargetLoadBalancer },
			verdict: said{"Unknown", "NotJudged", "the load balancer could not be read"},
		},
		"each source by another cause is no copy at all": {
			edit: func(w *way) { w.Sources[0].DeviceID, w.Sources[1].AdminDown = "", true },
			found: []finding{
				{"Error", "InterfaceDetached", "source 10.0.0.11", "the source 10.0.0.11 is attached to no server", "attach interface id-a to a server"},
				{"Error", "InterfaceDown", "source 10.0.0.12",
					"the source 10.0.0.12 is switched off in the cloud: its admin_state_up is false", "switch interface id-b on"},
			},
			verdict: said{"False", "InterfaceDetached", "the source 10.0.0.11 is attached to no server (and 1 more, see status.findings)"},
		},
	})
}

func TestAFlavorThatCantBeMirroredIsNamed(t *testing.T) {
	flavor := func(w *way, name string, mirrors *bool) {
		w.Sources[0].Flavor = name
		w.Flavors.Value[name] = cloud.Flavor{Name: name, Mirrors: mirrors}
	}
	looks(t, map[string]look{
		"of a source": {
			edit: func(w *way) { flavor(w, "s6.small.1", new(false)) },
			found: []finding{{"Warning", "FlavorUnsupported", "source 10.0.0.11",
				"flavor s6.small.1 of the source 10.0.0.11 can't be mirrored: the cloud may take the session, and copies nothing",
				"use a source on a server of a flavor that mirrors, c7t for example"}},
		},
		"as the server has it, where the interface does not say": {
			edit: func(w *way) {
				flavor(w, "s6.small.1", new(false))
				w.Sources[0].Flavor = ""
				w.setServer(cloud.Server{ID: "server-a", Running: true, Flavor: "s6.small.1"})
			},
			found: []finding{{"Warning", "FlavorUnsupported", "source 10.0.0.11",
				"flavor s6.small.1 of the source 10.0.0.11 can't be mirrored: the cloud may take the session, and copies nothing",
				"use a source on a server of a flavor that mirrors, c7t for example"}},
		},
		"not of the target": {edit: func(w *way) {
			w.Target.Flavor = "s6.small.1"
			w.Flavors.Value["s6.small.1"] = cloud.Flavor{Mirrors: new(false)}
		}},
		"one that says nothing is taken for one that can": {
			edit: func(w *way) { flavor(w, "s6.small.1", nil) },
			verdict: said{"True", "Clear", nothingFound +
				", assuming that flavor s6.small.1 of the source 10.0.0.11 can be mirrored, which the cloud does not say"},
		},
		"of c7t that is known": {
			edit:    func(w *way) { flavor(w, "c7t.xlarge.4", nil) },
			verdict: said{"True", "Clear", nothingFound},
		},
		"flavors that may not be read are not judged": {
			edit:    func(w *way) { w.Flavors = refused[map[string]cloud.Flavor]("ecs:cloudServerFlavors:get") },
			verdict: said{"Unknown", "NotPermitted", "the account may not read flavors: grant it ecs:cloudServerFlavors:get"},
		},
	})
}

func TestASessionThatIsOffInTheCloudIsNamed(t *testing.T) {
	off := []finding{{"Error", "SwitchedOff", "session mirror", `session "mirror" (s) is switched off in the cloud, although the spec does not say so`,
		"none is needed, it is switched on again; see who does that in the cloud"}}
	looks(t, map[string]look{
		"though the spec does not say so": {edit: func(w *way) { w.Session.Enabled = false }, found: off},
		"not where the spec says so": {
			edit:    func(w *way) { w.Session.Enabled, w.known.Session.Spec.Enabled = false, new(false) },
			verdict: said{"Unknown", "Disabled", "spec.enabled is false: the cloud makes no copies"},
		},
		"not where we have switched it off, as none of its sources is there": {
			edit: func(w *way) {
				w.one()
				w.gone("id-a")
				w.Session.Enabled, w.Idle = false, true
			},
			found: []finding{{"Error", "InterfaceGone", "source 10.0.0.11", "the source 10.0.0.11 (interface id-a) is deleted in the cloud",
				"name the interface that took its place, by its ID, or by address or nodeName, which follow"}},
		},
		"not where we have switched it off, and nothing else is known": {edit: func(w *way) { w.Session.Enabled, w.Idle = false, true }},
		"not where the spec is not in the cloud": {
			edit:    func(w *way) { w.Session.Enabled, w.known.Session.Spec.Suspend = false, true },
			verdict: said{"Unknown", "Suspended", "spec.suspend is true: what the cloud copies now is not known"},
		},
		"not where it is not made yet": {edit: func(w *way) { w.Session.Enabled, w.Session.ID = false, "" }},
	})
}
