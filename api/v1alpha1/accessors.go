package v1alpha1

import (
	"crypto/sha256"
	"encoding/hex"
)

// VerifierLeaseName is the name of the Lease that the verifier of a node renews.
func VerifierLeaseName(node string) string {
	sum := sha256.Sum256([]byte(node))
	return VerifierLeasePrefix + hex.EncodeToString(sum[:8])
}

// Cloud returns what every kind says about the cloud alike.
func (f *MirrorFilter) Cloud() *CloudSpec { return &f.Spec.CloudSpec }

// Common returns what the status of every kind has alike.
func (f *MirrorFilter) Common() *CommonStatus { return &f.Status.CommonStatus }

// Cloud returns what every kind says about the cloud alike.
func (s *MirrorSession) Cloud() *CloudSpec { return &s.Spec.CloudSpec }

// Common returns what the status of every kind has alike.
func (s *MirrorSession) Common() *CommonStatus { return &s.Status.CommonStatus }
