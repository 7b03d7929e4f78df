// Package env gives tests and the demo a real control plane: etcd and
// kube-apiserver as child processes on loopback, with our CustomResourceDefinitions
// installed and RBAC switched on, as in a production cluster.
//
// Tests share one control plane per test binary:
//
//	func TestMain(m *testing.M) { env.Main(m) }
//
//	func TestSomething(t *testing.T) {
//		cluster := env.Start(t)
//		namespace := cluster.Namespace(t)
//		...
//	}
//
// The demo starts its own with StartControlPlane, which needs no testing.T.
//
// There is no controller manager behind it: nothing garbage-collects, no
// ServiceAccount is made by itself, and a deleted Namespace stays Terminating.
//
// It may import api, test/env/checkout, test/env/need and test/env/pki of ours.
package env
