package agent

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// InterfaceEvents are what the kernel says of the interfaces of a network namespace, and of their
// addresses.
type InterfaceEvents struct{ socket *nl.NetlinkSocket }

// WatchInterfaces subscribes to the events of the network namespace that the calling thread is in. It
// needs no capability. Close ends it.
func WatchInterfaces() (*InterfaceEvents, error) {
	socket, err := nl.Subscribe(unix.NETLINK_ROUTE, unix.RTNLGRP_LINK, unix.RTNLGRP_IPV4_IFADDR, unix.RTNLGRP_IPV6_IFADDR)
	if err != nil {
		return nil, fmt.Errorf("subscribe to the events of the interfaces: %w", os.NewSyscallError("netlink", err))
	}
	return &InterfaceEvents{socket}, nil
}

// Next waits until something has changed, or may have. Several changes may be one.
func (e *InterfaceEvents) Next() error {
	_, _, err := e.socket.Receive()
	if err != nil && !errors.Is(err, unix.ENOBUFS) { // more came than the socket holds: something did
		return fmt.Errorf("receive the events of the interfaces: %w", os.NewSyscallError("netlink", err))
	}
	return nil
}

// Close ends the subscription, and a Next that waits.
func (e *InterfaceEvents) Close() { e.socket.Close() }

const (
	// interfacesInterval is how often the interfaces of the host are read although no event said
	// that they have changed, and how long after it failed a subscription is tried again.
	interfacesInterval = time.Minute
	// unwatchedInterval is how often they are read where the kernel tells no events.
	unwatchedInterval = 2 * time.Second
)

// watchInterfaces has the interfaces read whenever the kernel says that they have changed, until ctx
// ends.
func (a *Agent) watchInterfaces(ctx context.Context) {
	if a.WatchInterfaces == nil {
		return // they are read every so often
	}
	failed := false
	for ctx.Err() == nil {
		err := a.followInterfaces(ctx, func() { failed = false })
		a.interfacesWatched.Store(false)
		a.requestInterfaces() // and from now on more often
		if ctx.Err() != nil {
			return
		}
		if !failed {
			a.Log.Error(err, "The kernel does not tell when the interfaces of this host change; they are read every "+unwatchedInterval.String()+" until it does")
		}
		failed = true
		select {
		case <-ctx.Done():
		case <-time.After(interfacesInterval):
		}
	}
}

// followInterfaces subscribes, which it tells, and has the interfaces read at each event, until that fails
// or ctx ends.
func (a *Agent) followInterfaces(ctx context.Context, subscribed func()) error {
	events, err := a.WatchInterfaces()
	if err != nil {
		return err
	}
	defer context.AfterFunc(ctx, events.Close)()
	defer events.Close()
	subscribed()
	a.interfacesWatched.Store(true)
	a.Log.V(1).Info("The kernel tells when the interfaces of this host change")
	for {
		a.requestInterfaces() // at first for what has changed before the subscription
		if err := events.Next(); err != nil {
			return err
		}
	}
}

// requestInterfaces asks for the interfaces to be read; several requests in a row become one.
func (a *Agent) requestInterfaces() {
	select {
	case a.interfacesChanged <- struct{}{}:
	default:
	}
}
