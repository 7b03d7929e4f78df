// Package scale measures the manager at 200, 2,000 and 20,000 sessions: how often it asks the cloud
// and the API server, and what it costs. The programs are the real ones, as processes of their own:
// the manager with the rights of its role, kube-apiserver and etcd, and the simulated cloud, whose
// answers take 20 ms each.
//
// It may import api, controllers/cloud, controllers/plan, controllers/verifier, test/bench/cluster,
// test/bench/proc, test/bench/result, test/bench/seed, test/cloudsim, test/demo and test/env/interrupt.
package scale
