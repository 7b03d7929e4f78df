package mirrorsession

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	corev1 "k8s.io/api/core/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/probe"
	"vpcmirror.io/operator/controllers/status"
)

// probe goes on with the probe of the session, or begins one that was asked for, and returns after how long it goes on
// by itself. It asks the cloud nothing. Nothing of it is sent by the manager: what is to be sent is stored in the
// status, and the verifiers send it.
func (s *scope) probe(ctx context.Context, now time.Time) time.Duration {
	if !s.session.DeletionTimestamp.IsZero() {
		return 0
	}
	st := &s.session.Status
	was := st.Probe
	next, again := probe.Advance(was, st.ProbeReports, now)
	if next = probe.Stop(next, s.session.Spec.Suspend, !s.reconciler.RefuseProbes, now); !next.Active() {
		again = 0
	}
	if st.Probe = next; was.Active() && !next.Active() {
		s.Event(corev1.EventTypeNormal, "Probed", "Probe "+next.ID, "%s", probe.Summary(next))
	}
	begin, in := probe.Due(s.session, now)
	if !begin {
		return soonest(again, in)
	}
	asked, err := s.asked(ctx, now)
	if err == nil {
		err = s.dropProbeReports(ctx)
	}
	if err != nil {
		ctrl.LoggerFrom(ctx).Error(err, "A probe can't begin; it is tried again")
		return time.Second
	}
	st.Probe = probe.Begin(asked)
	if st.Probe.Active() {
		s.Event(corev1.EventTypeNormal, "Probing", "Probe "+st.Probe.ID, "%s", probe.Summary(st.Probe))
	} else {
		s.Event(corev1.EventTypeNormal, "Probed", "Probe at "+st.Probe.RequestedAt, "%s", probe.Summary(st.Probe))
	}
	_, again = probe.Advance(st.Probe, nil, now)
	return again
}

// asked is what a request is judged by.
func (s *scope) asked(ctx context.Context, now time.Time) (probe.Asked, error) {
	asked := probe.Asked{Session: s.session, Allowed: !s.reconciler.RefuseProbes, ID: rand.Uint32(), Now: now}
	if s.filter == nil {
		s.readFilter(ctx)
	}
	switch {
	case s.filter == nil:
		asked.NoRules = fmt.Sprintf("the MirrorFilter %q of spec.filterRef can't be read: see Ready", s.session.Spec.FilterRef.Name)
	case !status.IsSynced(s.filter):
		asked.NoRules = fmt.Sprintf("the MirrorFilter %q is not in line with its spec: see its own Ready, and ask anew", s.filter.Name)
	default:
		rules, err := s.filter.Spec.ReadRules()
		if err != nil {
			asked.NoRules = fmt.Sprintf("the MirrorFilter %q can't be read: %s", s.filter.Name, err)
		}
		asked.Rules = rules
	}
	lost := s.lost()
	for i := range s.session.Status.Verification {
		if e := &s.session.Status.Verification[i]; !e.Ended && e.Interface != "" && !lost[e.Node] {
			asked.Watchers = append(asked.Watchers, e.Node)
		}
	}
	var nodes corev1.NodeList
	if err := s.Client.List(ctx, &nodes, client.UnsafeDisableDeepCopy); err != nil {
		return asked, fmt.Errorf("list the nodes that could send: %w", err)
	}
	for i := range nodes.Items {
		n := &nodes.Items[i]
		if s.Liveness.Holds(n.Name) {
			asked.Nodes = append(asked.Nodes, probe.Node{Name: n.Name, Addresses: internalIPs(n)})
		}
	}
	return asked, nil
}

// dropProbeReports takes away what verifiers have said of the probe before: those that have no part in the next one
// would never do that.
func (s *scope) dropProbeReports(ctx context.Context) error {
	if len(s.session.Status.ProbeReports) == 0 {
		return nil
	}
	o := &v1alpha1.MirrorSession{}
	o.Namespace, o.Name = s.session.Namespace, s.session.Name
	patch := fmt.Sprintf(`{"metadata":{"resourceVersion":%q},"status":{"probeReports":null}}`, s.session.ResourceVersion)
	if err := s.Client.Status().Patch(ctx, o, client.RawPatch("application/merge-patch+json", []byte(patch)), client.FieldOwner(status.FieldManager)); err != nil {
		return fmt.Errorf("remove the reports of the probe before: %w", err)
	}
	s.session.ResourceVersion, s.session.Status.ProbeReports = o.ResourceVersion, nil
	return nil
}
