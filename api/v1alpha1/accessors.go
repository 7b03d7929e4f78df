package v1alpha1

// Cloud returns what every kind says about the cloud alike.
func (f *MirrorFilter) Cloud() *CloudSpec { return &f.Spec.CloudSpec }

// Common returns what the status of every kind has alike.
func (f *MirrorFilter) Common() *CommonStatus { return &f.Status.CommonStatus }

// Cloud returns what every kind says about the cloud alike.
func (s *MirrorSession) Cloud() *CloudSpec { return &s.Spec.CloudSpec }

// Common returns what the status of every kind has alike.
func (s *MirrorSession) Common() *CommonStatus { return &s.Status.CommonStatus }
