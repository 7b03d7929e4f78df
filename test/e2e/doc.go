// Package e2e tests the product as people install it: images, a kustomize overlay or the
// Helm chart on a real Kubernetes with three nodes (package lab), real packets through a
// simulated cloud, and the kernels of the nodes as judges. `make e2e` runs it.
//
// Its tests may import all of ours that is public to tests: api, test/cloudsim,
// test/demo/kernel, test/demo/wire, test/e2e/lab and test/env.
package e2e
