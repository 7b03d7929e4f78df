// Package e2e tests the product as people install it: images, a kustomize overlay or the
// Helm chart on a real Kubernetes with three nodes (package lab), real packets through a
// simulated cloud, and the kernels of the nodes as judges. `make e2e` runs it.
//
// It may import everything of ours.
package e2e
