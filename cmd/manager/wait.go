package main

import (
	"context"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/rest"
)

// A manager that starts while the API server is away waits that long for it, within what
// the liveness probe allows, before it gives up: the pauses between restarts of its
// container would soon be longer than the outage.
const (
	serverPatience = time.Minute
	serverInterval = time.Second
)

// waitForServer returns once the API server answers, or patience is over; the error of the
// next call then says what is wrong.
func waitForServer(ctx context.Context, log logr.Logger, config *rest.Config, patience, interval time.Duration) {
	config = rest.CopyConfig(config)
	config.Timeout = 5 * time.Second
	client, err := discovery.NewDiscoveryClientForConfig(config)
	if err != nil {
		return
	}
	logged := false
	_ = wait.PollUntilContextTimeout(ctx, interval, patience, true, func(context.Context) (bool, error) {
		_, err := client.ServerVersion()
		if err != nil && !logged {
			log.Info("The API server does not answer yet: waiting for it", "for", patience.String(), "because", err.Error())
			logged = true
		}
		return err == nil, nil
	})
}
