package diagnosis

import "vpcmirror.io/operator/api/v1alpha1"

// filterCauses look at what is to be copied: whether the filter can match it, and which session is
// tried first.
var filterCauses []func(*Known) []v1alpha1.Finding
