// Package netns makes, enters and removes the network namespaces in which the
// simulated cloud's hosts live.
//
// A namespace is known by its name under /run/netns, so that `ip netns exec`
// and `nsenter --net=/run/netns/NAME` reach it as well. Who made which
// namespace is written down before it gets its name (see Claim), so that the
// leftovers of a killed process can be removed and nothing else ever is.
//
// It may import nothing of ours.
package netns
