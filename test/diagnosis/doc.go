// Package diagnosis holds the catalogue of causes: each keeps copies away, is injected into a
// world of real frames, and is scored by what the session then says of it.
//
// The world is the simulated cloud with its network, hosts that are network namespaces, a real
// API server, the manager and a verifier on each target's host as programs with the rights of
// an installation, and a few packets a second for each session. All causes are injected at once,
// each has interfaces of its own.
//
// In a world of the same kind a session of a hundred sources becomes smaller and larger, and no copy of a source that stays
// is missed.
//
// It may import everything of ours.
package diagnosis
