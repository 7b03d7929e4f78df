package diagnosis

import (
	"fmt"
	"slices"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/cloud"
)

// maxEntries is the bound of status.verification.
const maxEntries = 16

// membersUncounted: a load balancer gives copies to members whose nodes have no verifier, so that the counts
// are those of the others alone. By the entries of the nodes that are behind it. Where there is none at all that is
// said by [unobserved], and of a verifier that is lost by [verifierLost].
func membersUncounted(k *Known) []v1alpha1.Finding {
	target := k.Session.Status.Target
	now, gone := k.counting()
	if target == nil || target.LoadBalancerID == "" || !k.awaited() || len(now)+len(gone) == 0 {
		return nil
	}
	names := uncounted(target.Members, append(now, gone...))
	if len(names) == 0 {
		return nil
	}
	f := v1alpha1.Finding{
		Severity: noVerifierSeverity(k), DecidedBy: v1alpha1.DecidedByNode, Reason: v1alpha1.ReasonNoVerifier, Subject: targetSubject(k.Session),
		Message: fmt.Sprintf("nobody counts what the load balancer %s gives to %s: no verifier has reported from there", targetName(k.Session), membersNamed(names)),
	}
	if len(k.Session.Status.Verification) >= maxEntries {
		f.Message += fmt.Sprintf(", and there is room in status.verification for %d nodes", maxEntries)
		f.Remedy = fmt.Sprintf("put at most %d nodes behind the load balancer, or divide the sources among MirrorSessions to several load balancers", maxEntries)
	}
	return []v1alpha1.Finding{f}
}

// uncounted are the members that get copies and whose nodes have no entry, as sentences call them. A member on
// no node that is known by its address may be on any that has an entry and is behind no other member.
func uncounted(members []v1alpha1.TargetMember, entries []v1alpha1.Verification) (names []string) {
	reports := func(node string) bool {
		return slices.ContainsFunc(entries, func(e v1alpha1.Verification) bool { return e.Node == node })
	}
	elsewhere := slices.ContainsFunc(entries, func(e v1alpha1.Verification) bool {
		return !slices.ContainsFunc(members, func(m v1alpha1.TargetMember) bool { return m.NodeName == e.Node })
	})
	for _, m := range members {
		switch {
		case m.Health == string(cloud.MemberOffline):
		case m.NodeName == "" && !elsewhere:
			names = append(names, m.Address+" (on no node that is known by this address)")
		case m.NodeName != "" && !reports(m.NodeName):
			names = append(names, fmt.Sprintf("%s (node %s)", m.Address, m.NodeName))
		}
	}
	return names
}
