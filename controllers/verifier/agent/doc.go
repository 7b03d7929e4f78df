// Package agent is the verifier of one host: it finds the sessions whose target is an
// interface of this host, counts their copies there, and reports the counts.
//
// It holds no credentials of the cloud and knows only what the API server tells it.
// It may import api and the other parts of the verifier.
package agent
