// Package harness sets up what a test of the reconcilers needs: a namespace of the
// real API server, a simulated cloud of the test's own, and the manager's real wiring
// between the two, in process, where clock, resync interval and log can be watched.
//
// Whatever a test does, every status that was ever written in its namespace is held
// against the kstatus library when the test ends.
//
// It may import api, everything below controllers, test/cloudsim and test/env.
package harness
