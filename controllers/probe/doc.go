// Package probe decides about the probe of a session: whether a request is taken, which packet is sent for which source
// from which node, and what became of it. It is pure: no I/O, no clock.
//
// A probe goes through three steps, each of which is stored in status.probe before the next begins. [Begin] chooses
// what is to be sent and who watches. Once every watcher has said that it looks for the copies, [Advance] lets the
// senders send. It then waits for what arrives, and finishes.
//
// What holds whatever is asked: packets go only to addresses of status.sources and of nodes, at most
// [v1alpha1.MaxProbePackets] for each source, and a session has at most one probe a minute.
//
// It may import api.
package probe
