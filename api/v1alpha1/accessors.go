package v1alpha1

import (
	"crypto/sha256"
	"encoding/hex"
)

// VerifierName is the name of the verifier of a node at the API server: that of the Lease
// that it renews, and that of its field manager in server-side apply. A node's name can
// be longer than either may be, so a hash stands for it.
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
