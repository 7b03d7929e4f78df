// Package install tests what people install: the Helm chart and the kustomize folders of
// config. They are rendered by the real helm and kubectl, held to a policy for every
// workload, and given to a real API server; Argo CD's health rule is run on fixtures.
//
// It may import nothing of ours. Its tests may import api, controllers/status,
// controllers/verifier, test/env and test/env/need.
package install
