// Package sim runs the simulated cloud's API in the test's own process, on a loopback port, over plain HTTP, or over HTTPS
// WithCertificate. It needs no privilege and moves no packet; package lab adds the data plane.
//
//	cloud := sim.ForTest(t)                            // the walkthrough's cloud, closed with the test
//	client of cloud.URL with scenario.WalkthroughAccessKey and so on
//	cloud.Faults.Add(fault.Throttle(1, "2"))           // the next request gets 429
//	cloud.State.Edit(func(w *state.World) { ... })     // drift, behind the API's back
//	cloud.Journal.Writes(since)                        // what was written since
//
// It may import test/cloudsim/api, test/cloudsim/fault, test/cloudsim/journal, test/cloudsim/scenario and
// test/cloudsim/state.
package sim

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"time"

	"vpcmirror.io/operator/test/cloudsim/api"
	"vpcmirror.io/operator/test/cloudsim/fault"
	"vpcmirror.io/operator/test/cloudsim/journal"
	"vpcmirror.io/operator/test/cloudsim/scenario"
	"vpcmirror.io/operator/test/cloudsim/state"
)

// Sim is a running simulated cloud. All its parts are safe for concurrent use.
type Sim struct {
	// URL is the endpoint of every service (VPC, ECS, IAM): http://127.0.0.1:port, or https.
	URL string
	// Scenario is what the cloud started with.
	Scenario *scenario.Scenario
	// State is what it holds now. Its methods check as the API does; Edit does not.
	State *state.Store
	// Journal lists the requests so far.
	Journal *journal.Journal
	// Faults are switched on and off here.
	Faults *fault.Set

	api    *api.Server
	server *http.Server
	done   chan error
}

type settings struct {
	listen  string
	tls     *tls.Config
	quirks  state.Quirks
	quotas  []func(*state.Quotas)
	missing []string
	api     api.Config
}

// Option changes how a simulated cloud behaves.
type Option func(*settings)

// WithListen sets the address to listen on (127.0.0.1:0, any free port, by default).
func WithListen(address string) Option { return func(s *settings) { s.listen = address } }

// WithCertificate serves HTTPS with a certificate and its key.
func WithCertificate(c tls.Certificate) Option {
	return func(s *settings) {
		s.tls = &tls.Config{Certificates: []tls.Certificate{c}, MinVersion: tls.VersionTLS12, NextProtos: []string{"h2", "http/1.1"}}
	}
}

// WithPageSize sets the page of lists that ask for no limit, 1-2000.
func WithPageSize(n int) Option { return func(s *settings) { s.api.PageSize = n } }

// WithPageCap shortens every page of the mirror and security group lists to n, whatever limit is asked for, so that a
// client that does not follow next_marker misses objects.
func WithPageCap(n int) Option { return func(s *settings) { s.api.PageCap = n } }

// WithPreparation lets its health say 503 until Ready, as for a data plane that is started after it.
func WithPreparation() Option { return func(s *settings) { s.api.Preparing = true } }

// WithQuotas changes quotas, which are the documented defaults and the scenario's otherwise.
func WithQuotas(change func(*state.Quotas)) Option {
	return func(s *settings) { s.quotas = append(s.quotas, change) }
}

// WithQuirks switches behaviour that the documents leave open.
func WithQuirks(q state.Quirks) Option { return func(s *settings) { s.quirks = q } }

// WithClock replaces time.Now: it stamps objects, judges X-Sdk-Date and fills the rate limit.
func WithClock(now func() time.Time) Option { return func(s *settings) { s.api.Clock = now } }

// WithRateLimit bounds each access key to so many requests per second, with a burst. retryAfter is sent as the header of
// that name when not empty; the real gateway sends none.
func WithRateLimit(perSecond float64, burst int, retryAfter string) Option {
	return func(s *settings) { s.api.Rate, s.api.Burst, s.api.RetryAfter = perSecond, burst, retryAfter }
}

// WithoutOperations answers the calls of these names (of the SDK, such as ListPorts; patterns as in path.Match) with 404
// APIGW.0101, as a region does that lacks them.
func WithoutOperations(names ...string) Option {
	return func(s *settings) { s.missing = append(s.missing, names...) }
}

// Start runs a cloud of the scenario until the context ends or Close is called.
func Start(ctx context.Context, sc *scenario.Scenario, options ...Option) (*Sim, error) {
	set := settings{listen: "127.0.0.1:0"}
	for _, o := range options {
		o(&set)
	}
	clock := set.api.Clock
	if clock == nil {
		clock = time.Now
	}
	world := state.FromScenario(sc, clock())
	for _, change := range set.quotas {
		change(&world.Quotas)
	}
	store := state.NewStore(world, clock)
	store.SetQuirks(set.quirks)
	listener, err := net.Listen("tcp", set.listen)
	if err != nil {
		return nil, fmt.Errorf("listen for the simulated cloud on %s: %w", set.listen, err)
	}
	scheme := "http://"
	if set.tls != nil {
		scheme, listener = "https://", tls.NewListener(listener, set.tls)
	}
	s := &Sim{
		URL: scheme + listener.Addr().String(), Scenario: sc, State: store, Journal: &journal.Journal{}, Faults: &fault.Set{},
		done: make(chan error, 1),
	}
	for _, operation := range set.missing {
		if _, err := s.Faults.Add(fault.NotPublished(operation)); err != nil {
			_ = listener.Close()
			return nil, fmt.Errorf("switch off the operation %q: %w", operation, err)
		}
	}
	set.api.State, set.api.Journal, set.api.Faults = store, s.Journal, s.Faults
	s.api = api.New(set.api)
	s.server = &http.Server{
		Handler: s.api, ReadHeaderTimeout: 10 * time.Second, MaxHeaderBytes: 64 << 10,
		ErrorLog: log.New(io.Discard, "", 0), // it would only tell of clients that went away
	}
	s.server.TLSConfig = set.tls // which tells the server that HTTP/2 may come
	go func() { s.done <- s.server.Serve(listener) }()
	context.AfterFunc(ctx, func() { _ = s.Close() }) //nolint:contextcheck // the end comes after the context's
	return s, nil
}

// Effects are those of writes that take effect later than they are answered.
type Effects struct{ Awaited, Came int }

// Effects counts the late effects of the requests that the journal still has.
func (s *Sim) Effects() (e Effects) {
	for _, entry := range s.Journal.Writes(0) {
		switch {
		case entry.Effect == nil:
		case entry.Effect.Came == nil:
			e.Awaited++
		default:
			e.Came++
		}
	}
	return e
}

// TakeEffect lets every write take effect now that is due by the cloud's clock: the clock that WithClock gives wakes nobody.
func (s *Sim) TakeEffect() { s.api.TakeEffect() }

// SetStats shows what f returns as data_plane under /_sim/stats.
func (s *Sim) SetStats(f func() any) { s.api.SetStats(f) }

// TB is the part of testing.TB that ForTest needs.
type TB interface {
	Helper()
	Cleanup(func())
	Fatalf(format string, args ...any)
}

// ForTest runs the walkthrough's cloud for one test and closes it with the test.
func ForTest(t TB, options ...Option) *Sim {
	t.Helper()
	s, err := Start(context.Background(), scenario.Walkthrough(), options...)
	if err != nil {
		t.Fatalf("start the simulated cloud: %v", err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// Ready ends what WithPreparation began.
func (s *Sim) Ready() { s.api.Ready() }

// Wait returns when the cloud no longer serves: nil after Close, else why.
func (s *Sim) Wait() error {
	err := <-s.done
	s.done <- err
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return fmt.Errorf("serve the simulated cloud: %w", err)
}

// closeGrace is how long answers under way may take once Close is called.
const closeGrace = 500 * time.Millisecond

// Close ends the cloud: answers under way are finished, held back ones are let go. It may be called more than once.
func (s *Sim) Close() error {
	s.api.Close()
	ctx, cancel := context.WithTimeout(context.Background(), closeGrace)
	defer cancel()
	if err := s.server.Shutdown(ctx); err != nil {
		return s.server.Close()
	}
	return nil
}
