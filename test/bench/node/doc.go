// Package node measures the verifier of one node in a cluster of 20,000 sessions: idle, while the
// sessions of others change, and with sessions of its own. The verifier is the real one, a process
// in a network namespace with the memory limits of the chart, at a real API server; copies are real
// frames on its interface.
//
// It may import api, controllers/verifier, test/bench/cluster, test/bench/proc, test/bench/result,
// test/bench/seed, test/cloudsim and test/demo.
package node
