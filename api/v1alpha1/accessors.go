package v1alpha1

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"

	"k8s.io/apimachinery/pkg/util/validation"
)

// LeaseName is the name of the Lease that the verifier of a node renews. It ends with the
// node's own name, so that an admission policy can hold a verifier to it. Where that makes
// no name of a Lease, as it can be of a host outside of any cluster, a hash stands for it.
func LeaseName(node string) string {
	if name := VerifierPrefix + node; len(validation.IsDNS1123Subdomain(name)) == 0 {
		return name
	}
	return VerifierName(node)
}

// VerifierName is the name of the verifier of a node as a field manager in server-side
// apply. A node's name can be longer than that may be, so a hash stands for it.
func VerifierName(node string) string {
	sum := sha256.Sum256([]byte(node))
	return VerifierPrefix + hex.EncodeToString(sum[:8])
}

// Cloud returns what every kind says about the cloud alike.
func (f *MirrorFilter) Cloud() *CloudSpec { return &f.Spec.CloudSpec }

// Common returns what the status of every kind has alike.
func (f *MirrorFilter) Common() *CommonStatus { return &f.Status.CommonStatus }

// Cloud returns what every kind says about the cloud alike.
func (s *MirrorSession) Cloud() *CloudSpec { return &s.Spec.CloudSpec }

// Common returns what the status of every kind has alike.
func (s *MirrorSession) Common() *CommonStatus { return &s.Status.CommonStatus }

// Deletion is what happens in the cloud when the object is deleted: what was there before the
// object stays unless the spec says otherwise.
func (c *CloudSpec) Deletion() DeletionPolicy {
	switch {
	case c.DeletionPolicy != "":
		return c.DeletionPolicy
	case c.Import != nil:
		return DeletionRetain
	default:
		return DeletionDelete
	}
}

// Observes reports whether nothing is written to the cloud for the object.
func (c *CloudSpec) Observes() bool { return c.ManagementPolicy == ManagementObserve }

// ImportID is the ID of what the object takes over or observes, empty for none.
func (c *CloudSpec) ImportID() string {
	if c.Import == nil {
		return ""
	}
	return c.Import.ID
}

// Part returns what the status has of one of the session's parts in the cloud, nil for
// nothing. Parts are numbered from 1.
func (s *MirrorSession) Part(number int) *CloudSession {
	for i := range s.Status.Sessions {
		if s.Status.Sessions[i].Number() == number {
			return &s.Status.Sessions[i]
		}
	}
	return nil
}

// First returns what the status has of the part whose priority the spec names, nil for nothing.
func (s *MirrorSession) First() *CloudSession {
	if len(s.Status.Sessions) == 0 {
		return nil
	}
	return &s.Status.Sessions[0]
}

// Number is the number of the part, from 1.
func (c *CloudSession) Number() int { return max(1, int(c.Part)) }

// InCloud reports whether the cloud has anything of the session, as far as the status
// shows.
func (s *MirrorSession) InCloud() bool { return len(s.Status.Sessions) > 0 }

// TargetElsewhere reports whether the session's target is known to be on other nodes than the
// given one. The API server then takes no new entry of that: an entry that was never written
// because the target has moved before can't be written any more, and nobody misses its verifier.
func (s *MirrorSession) TargetElsewhere(node string) bool {
	if s.Status.Target == nil {
		return false // it is not known yet
	}
	nodes := s.Status.Target.Nodes()
	if s.Spec.Target.NodeName != "" {
		nodes = append(nodes, s.Spec.Target.NodeName)
	}
	return len(nodes) > 0 && !slices.Contains(nodes, node) && !s.Status.Target.beyondNodes()
}

// WaitsFor reports whether the last reconcile of the present spec ended with a reason of
// Ready.
func (s *MirrorSession) WaitsFor(reason string) bool {
	for _, c := range s.Status.Conditions {
		if c.Type == ConditionReady {
			return c.Reason == reason && c.ObservedGeneration == s.Generation
		}
	}
	return false
}

// ToBeMade reports whether the session is to be brought in line with its spec in the cloud.
func (s *MirrorSession) ToBeMade() bool {
	return s.DeletionTimestamp.IsZero() && !s.Spec.Suspend && !s.Spec.Observes() && len(s.Spec.Sources) > 0
}

// Remedy is what a person does about a reason, as the reference has it; empty for a reason that
// is not one of ours.
func Remedy(reason string) string { return remedies[reason] }

// GoesOnByItself reports whether what a reason of Ready says ends without anybody's help: it is
// no warning.
func GoesOnByItself(reason string) bool {
	switch reason {
	case ReasonSynced, ReasonProgressing, ReasonSuspended, ReasonDeleting, ReasonFilterNotReady, ReasonThrottled:
		return true
	default:
		return false
	}
}
