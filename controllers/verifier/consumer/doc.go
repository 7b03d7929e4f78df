// Package consumer says what on this host takes the copies that arrive at one of its
// interfaces, or why nothing does. That a copy was captured proves no more than that the
// card had it: an IDS gets it only when it listens, and when nothing between card and
// IDS throws the copy away.
//
// It is made of two steps. [Observe] writes down what the kernel tells at one moment:
// the UDP sockets on the port, the packet sockets of other processes, the vxlan devices
// with their counters, and the counters of the network namespace. [Judge] is pure: it
// compares two such observations with the number of copies that were captured between
// them, and answers True with the name of the consumer, False with the cause and the
// remedy, or Unknown with what is missing.
//
// Observe reads the network namespace of the calling thread, with the rights that the
// verifier's pod has: root on the host's network, of all capabilities CAP_NET_RAW alone.
// It needs not even that one: /proc/net is readable for everybody, and the kernel
// answers the questions of rtnetlink and sock_diag that are asked here without any. Of
// /proc/PID it reads its own process only. What would need CAP_NET_ADMIN is not read:
// the filter of a foreign socket, and the rules of the firewall.
//
// Judge accuses only on evidence. A counter of the kernel is of the whole network
// namespace, so that the traffic of others can only make it larger: a counter that grew
// by less than half of the copies proves that they are not in it, while one that grew by
// more proves nothing by itself. Where a consumer is there and no counter contradicts,
// the answer is True; where somebody out of sight could take the copies (a pod behind a
// redirected port, a bridge, a traffic control rule), it is Unknown.
//
// The messages of rtnetlink and sock_diag are read by code of this package and not by
// github.com/vishvananda/netlink, which tests use: that one reads all of an answer into
// memory without a bound, panics on an attribute that is shorter than expected, and does
// not know the ring of a packet socket, while a parser over bytes can be fuzzed.
//
// It may import api.
package consumer
