package report

import (
	"context"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"vpcmirror.io/operator/api/v1alpha1"
)

// OwnProbe returns what a node has reported of a probe, nil for nothing.
func OwnProbe(s *v1alpha1.MirrorSession, node, id string) *v1alpha1.ProbeReport {
	for i := range s.Status.ProbeReports {
		if r := &s.Status.ProbeReports[i]; r.Node == node && r.Probe == id {
			return r
		}
	}
	return nil
}

// WriteProbe stores what the node did of a probe, as Write stores its entry. It has a field manager of its own, as
// who applies one of the two would else delete the other.
func WriteProbe(ctx context.Context, c client.Client, read *v1alpha1.MirrorSession, r v1alpha1.ProbeReport) error {
	return write(ctx, c, read, v1alpha1.VerifierName(r.Node)+"-probe", "probeReports", r.Node, &r)
}
