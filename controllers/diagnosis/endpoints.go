package diagnosis

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/cloud"
)

// end is an end of the way.
type end struct {
	// source is its ID where it is a source, and about what a finding is about where it is the target.
	source, about string
	// called is how a message calls it.
	called string
}

// ends are the IDs of the interfaces that the session names, the target first.
func (k *Known) ends(look func(id string, of end)) {
	if id := k.targetID(); id != "" && k.Path.Session.TargetType != cloud.TargetLoadBalancer {
		look(id, end{about: k.targetAbout(), called: "the target " + k.nameOf(id)})
	}
	for _, id := range k.sources() {
		look(id, end{source: id, called: "the source " + k.nameOf(id)})
	}
}

// interfaces are those of them that were read.
func (k *Known) interfaces(look func(i *cloud.Interface, of end)) {
	k.ends(func(id string, of end) {
		i := k.source(id)
		if of.source == "" {
			i = k.Path.Target
		}
		if i != nil {
			look(i, of)
		}
	})
}

// stands is an obstacle at an end.
func (e end) stands(reason string, message, remedy around) obstacle {
	return obstacle{reason: reason, source: e.source, about: e.about, message: message, remedy: remedy}
}

// notAnInterface: what can't be judged as it is no pair of interfaces with addresses of one family.
func notAnInterface(k *Known) (seen sight) {
	if k.Path.Target == nil {
		return seen
	}
	for _, source := range k.sources() {
		if from, _ := k.outer(source); k.source(source) != nil && !from.IsValid() {
			seen.doubt(doubt{says: fmt.Sprintf("%s and %s have no address of one family, and what copies do then is not documented",
				k.nameOf(source), k.nameOf(k.targetID()))})
		}
	}
	return seen
}

// interfaceGone: an interface that the session has is deleted, and maybe another one has its address.
// The session keeps the ID of one that is gone (no document says what becomes of it) until the
// operator takes it off, and shows nothing. By the look-up of the interface, which surely did not find it.
func interfaceGone(k *Known) (seen sight) {
	look := func(id string, of end) {
		called := of.called
		if !strings.HasSuffix(called, id) {
			called += withID(id)
		}
		successor, replaced := k.Path.Successors[id]
		switch {
		case k.source(id) != nil, of.source == "" && k.Path.Target != nil:
		case !slices.Contains(k.Path.Gone, id) && !k.isFormer(id):
			seen.doubt(doubt{says: called + " could not be read"})
		case replaced && k.Path.Private:
			seen.stop(of.stands(v1alpha1.ReasonInterfaceReplaced,
				plain("%s is deleted in the cloud, and another one has its address now", called), around{}))
		case replaced:
			seen.stop(of.stands(v1alpha1.ReasonInterfaceReplaced,
				plain("%s is deleted in the cloud, and interface %s has its address now", called, successor.ID),
				plain("name interface %s in its place, or use address or nodeName, which follow by themselves", successor.ID)))
		default:
			seen.stop(of.stands(v1alpha1.ReasonInterfaceGone, plain("%s is deleted in the cloud", called), around{}))
		}
	}
	k.ends(look)
	for _, i := range k.Path.Former {
		look(i.ID, end{source: i.ID, called: "the source " + k.nameOf(i.ID)})
	}
	return seen
}

// SaidGone is the source of an ID that a status says is gone, nil where it says that of none.
func SaidGone(status *v1alpha1.MirrorSessionStatus, id string) *v1alpha1.ResolvedInterface {
	for _, f := range status.Findings {
		name, ofSource := strings.CutPrefix(f.Subject, "source ")
		gone := f.Reason == v1alpha1.ReasonInterfaceGone || f.Reason == v1alpha1.ReasonInterfaceReplaced
		if !gone || !ofSource || !strings.Contains(f.Message, withID(id)) && name != id {
			continue
		}
		r := &v1alpha1.ResolvedInterface{InterfaceID: id}
		if name != id {
			r.Addresses = []string{name}
		}
		return r
	}
	return nil
}

// withID is how a message adds the ID of an interface to its address.
func withID(id string) string { return " (interface " + id + ")" }

// interfaceDetached: an interface is attached to nothing. "The mirror source must be attached to an
// ECS" (user guide, constraints). By the port's device_id.
func interfaceDetached(k *Known) (seen sight) {
	k.interfaces(func(i *cloud.Interface, of end) {
		if i.DeviceID == "" {
			seen.stop(of.stands(v1alpha1.ReasonInterfaceDetached,
				plain("%s is attached to no server", of.called), plain("attach interface %s to a server", i.ID)))
		}
	})
	return seen
}

// serverStopped: the server of an interface does not run. By its power state.
func serverStopped(k *Known) (seen sight) {
	if k.Path.Servers.Missing != nil {
		seen.doubt(unread("servers", k.Path.Servers.Missing))
	}
	k.interfaces(func(i *cloud.Interface, of end) {
		if !k.stopped(i) {
			return
		}
		server, _ := k.Path.Server(i.DeviceID)
		called := k.called("server", server.Name, server.ID)
		if k.Path.Private {
			called = "the server"
		}
		status := ""
		if server.Status != "" {
			status = " (" + server.Status + ")"
		}
		seen.stop(of.stands(v1alpha1.ReasonServerStopped,
			plain("%s of %s does not run%s", called, of.called, status), plain("start %s, or name an interface of one that runs", called)))
	})
	return seen
}

// stopped reports whether an interface's server surely does not run.
func (k *Known) stopped(i *cloud.Interface) bool {
	server, listed := k.Path.Server(i.DeviceID)
	return k.Path.Servers.Read && listed && i.DeviceID != "" && !server.Running
}

// interfaceDown: an interface that is attached to a server which runs is not active. By the
// port's admin_state_up and status.
func interfaceDown(k *Known) (seen sight) {
	k.interfaces(func(i *cloud.Interface, of end) {
		switch status := strings.ToUpper(i.Status); {
		case i.DeviceID == "" || k.stopped(i):
		case i.AdminDown:
			seen.stop(of.stands(v1alpha1.ReasonInterfaceDown,
				plain("%s is switched off in the cloud: its admin_state_up is false", of.called), plain("switch interface %s on", i.ID)))
		case status == "" || status == "ACTIVE" || status == "BUILD":
		default:
			seen.stop(of.stands(v1alpha1.ReasonInterfaceDown,
				plain("%s has the status %s in the cloud", of.called, i.Status), plain("look at interface %s and at its server", i.ID)))
		}
	})
	return seen
}

// flavorUnsupported: the flavor of a source's server can't be mirrored. By the flavor's extra spec
// network_interface:traffic_mirroring_supported. Where a flavor has none it is taken for one that
// can, as the cloud refuses sources on others; of c7t the user guide says so.
func flavorUnsupported(k *Known) (seen sight) {
	if k.Path.Flavors.Missing != nil {
		seen.doubt(unread("flavors", k.Path.Flavors.Missing))
	}
	k.interfaces(func(i *cloud.Interface, of end) {
		if of.source == "" || !k.Path.Flavors.Read || i.DeviceID == "" {
			return
		}
		server, _ := k.Path.Server(i.DeviceID)
		name := cmp.Or(i.Flavor, server.Flavor)
		switch mirrors := k.Path.Flavors.Value[name].Mirrors; {
		case name == "":
			seen.assume("the flavor of %s can be mirrored, which the cloud does not name", of.called)
		case mirrors == nil && strings.HasPrefix(name, "c7t."):
		case mirrors == nil:
			seen.assume("flavor %s of %s can be mirrored, which the cloud does not say", name, of.called)
		case !*mirrors:
			seen.stop(of.stands(v1alpha1.ReasonFlavorUnsupported,
				plain("flavor %s of %s can't be mirrored: the cloud may take the session, and copies nothing", name, of.called), around{}))
		}
	})
	return seen
}

// switchedOff: the session is off in the cloud, although the spec does not say so, nor has the
// operator switched it off. By the cloud's session.
func switchedOff(k *Known) (seen sight) {
	session := k.Path.Session
	if session.ID == "" || session.Enabled || k.Path.Idle || k.off() != "" {
		return seen
	}
	called := fmt.Sprintf("session %q (%s)", session.Name, short(session.ID))
	seen.stop(obstacle{
		reason: v1alpha1.ReasonSwitchedOff, about: "session " + cmp.Or(session.Name, session.ID),
		message: plain("%s is switched off in the cloud, although the spec does not say so", called),
	})
	return seen
}
