// Package tail shows the copies of one session as they arrive at this host, one line each, or writes them
// as pcapng. It is what "verifier tail" does, which "kubectl mirror tail" and "kubectl mirror capture" start
// in the verifier's pod.
//
// Whose a copy is, and what the filter says of it, is decided by the code that counts (agent.Locator,
// tally.Judge). The counting itself never suffers: the copies are read from a packet socket and a small
// ring of their own, which are narrowed to the session's sources; between the ring and whoever reads the
// output is a queue of a fixed size, and what finds it full is lost and told; and the process ends when the
// memory of the pod becomes scarce.
//
// Of each copy no more than the headers leaves the host unless the payload is asked for.
//
// It may import api, controllers/verifier/agent, controllers/verifier/capture, controllers/verifier/match,
// controllers/verifier/memory, controllers/verifier/sample, controllers/verifier/tally and
// controllers/verifier/vxlan.
package tail
