package diagnosis

import (
	"fmt"

	"vpcmirror.io/operator/api/v1alpha1"
)

// unknownField: a manifest has what is no field, so that the object is without it: a misspelt end of a rule
// lets the rule match every packet. By what kubectl apply has noted of the manifest.
func unknownField(k *Known) (all []v1alpha1.Finding) {
	if k.Unknown.Filter != "" {
		all = append(all, warning(v1alpha1.DecidedBySpec, v1alpha1.ReasonUnknownField, filterName(k), fmt.Sprintf(
			"the manifest of %s has %s, which MirrorFilter does not know: Kubernetes has left it out, so that the filter may accept more than is meant",
			filterName(k), k.Unknown.Filter)))
	}
	if k.Unknown.Session != "" {
		all = append(all, warning(v1alpha1.DecidedBySpec, v1alpha1.ReasonUnknownField, "the session", fmt.Sprintf(
			"the manifest of the session has %s, which MirrorSession does not know: Kubernetes has left it out", k.Unknown.Session)))
	}
	return all
}
