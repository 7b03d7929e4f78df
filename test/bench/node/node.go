package node

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"path/filepath"
	"time"

	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/test/bench/cluster"
	"vpcmirror.io/operator/test/bench/proc"
	"vpcmirror.io/operator/test/bench/result"
	"vpcmirror.io/operator/test/bench/seed"
	"vpcmirror.io/operator/test/demo/process"
)

// Options says what is measured.
type Options struct {
	// Programs is the folder with the program verifier.
	Programs string
	// Sessions is how many there are in the cluster; by default 20,000, with Quick 2,000.
	Sessions int
	// Quick measures for seconds: its counts alone mean something.
	Quick bool
}

// limit is the chart's: what the verifier's runtime keeps its memory below.
const limit = "GOMEMLIMIT=60MiB"

// bench is a cluster of many sessions, and a node of it.
type bench struct {
	*cluster.Cluster
	options  Options
	out      io.Writer
	store    *seed.Store
	models   models
	wire     *wire
	verifier *process.Process
	rows     []result.Row
}

// Run measures, and tells on out what it does meanwhile. It needs root, as it makes network
// namespaces.
func Run(ctx context.Context, o Options, out io.Writer) (rows []result.Row, err error) {
	if o.Sessions == 0 {
		o.Sessions = 20000
		if o.Quick {
			o.Sessions = 2000
		}
	}
	if o.Programs, err = filepath.Abs(o.Programs); err != nil {
		return nil, fmt.Errorf("find the folder of the programs: %w", err)
	}
	b := &bench{options: o, out: out}
	if b.Cluster, err = cluster.New(ctx, "verifier"); err != nil {
		return nil, errors.Join(err, b.Close())
	}
	defer func() { err = errors.Join(err, b.Close()) }()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	steps := []func(context.Context) error{b.prepare, b.start, b.foreign, b.few, b.many, b.memory}
	if o.Quick {
		steps = []func(context.Context) error{b.prepare, b.start, b.foreign, b.few, b.memory}
	}
	for _, step := range steps {
		if err := step(ctx); err != nil {
			return b.rows, fmt.Errorf("measure a verifier among %d sessions: %w", o.Sessions, err)
		}
	}
	return b.rows, nil
}

func (b *bench) row(r result.Row) {
	r.What = fmt.Sprintf("a node among %d sessions: %s", b.options.Sessions, r.What)
	b.rows = append(b.rows, r)
}

func (b *bench) say(format string, args ...any) {
	fmt.Fprintf(b.out, "a node among %d sessions: "+format+"\n", append([]any{b.options.Sessions}, args...)...)
}

// prepare fills the cluster, and makes the node's network.
func (b *bench) prepare(ctx context.Context) error {
	began := time.Now()
	var err error
	if b.store, err = seed.Open(b.Plane()); err != nil {
		return err
	}
	if err := b.learn(ctx); err != nil {
		return err
	}
	objects := b.filters(others, b.options.Sessions)
	for n := range b.options.Sessions {
		objects = append(objects, b.other(n, 1))
	}
	if err := b.store.Put(ctx, objects...); err != nil {
		return err
	}
	if err := b.store.Put(ctx, b.filters(own, ownMost)...); err != nil {
		return err
	}
	b.wire, err = newWire()
	b.Later(b.wire.close)
	b.say("the objects are made after %.0f s, %.1f kB each", time.Since(began).Seconds(), float64(len(b.other(0, 1).Value))/1e3)
	return err
}

// start starts the verifier as on a node of its own, and waits until it knows the sessions.
func (b *bench) start(ctx context.Context) error {
	config, err := clientcmd.LoadFromFile(b.Kubeconfig)
	if err != nil {
		return fmt.Errorf("read the verifier's kubeconfig: %w", err)
	}
	for _, c := range config.Clusters {
		outside, err := url.Parse(c.Server)
		if err != nil {
			return fmt.Errorf("find the API server: %w", err)
		}
		if err := forward(ctx, outside.Host); err != nil {
			return err
		}
		c.Server = "https://" + server
	}
	path := b.Path("inside.kubeconfig")
	if err := clientcmd.WriteToFile(*config, path); err != nil {
		return fmt.Errorf("write the verifier's kubeconfig: %w", err)
	}
	began := time.Now()
	b.verifier, err = b.Start(filepath.Join(b.options.Programs, "verifier"), nodeSpace, []string{limit},
		"run", "--kubeconfig", path, "--node-name", ownNode, "--lease-namespace", cluster.SystemNamespace, "--health-probe-bind-address", health)
	if err != nil {
		return err
	}
	if err := cluster.Ready(ctx, b.verifier, inside, "http://"+health+"/readyz"); err != nil {
		return err
	}
	used, _, err := proc.New(b.verifier.PID, began).Used()
	b.row(result.Row{What: "CPU until it knows the sessions", Value: used.Seconds(), Unit: "s"})
	b.row(result.Row{What: "time until it knows the sessions", Value: time.Since(began).Seconds(), Unit: "s"})
	return err
}

// while measures the verifier for so long, while do is done so often, and what it asked for.
func (b *bench) while(ctx context.Context, d time.Duration, perSecond int, do func(n int) []seed.Object) (percent float64, asked cluster.Requests, err error) {
	if b.options.Quick {
		d /= 10
	}
	if _, err := b.Audit.Next(); err != nil {
		return 0, nil, err
	}
	meter, err := proc.Begin(b.verifier.PID)
	if err != nil {
		return 0, nil, err
	}
	ends := time.After(d)
	pace := time.NewTicker(time.Second / time.Duration(max(perSecond, 1)))
	defer pace.Stop()
	for n, on := 0, true; on; n++ {
		select {
		case <-ctx.Done():
			return 0, nil, context.Cause(ctx)
		case <-ends:
			on = false
		case <-pace.C:
			if perSecond > 0 {
				if err := b.store.Put(ctx, do(n)...); err != nil {
					return 0, nil, err
				}
			}
		}
	}
	if _, percent, err = meter.Used(); err != nil {
		return 0, nil, err
	}
	asked, err = b.Audit.Next()
	return percent, asked, err
}

// foreign measures a node that has no session.
func (b *bench) foreign(ctx context.Context) error {
	if !b.options.Quick {
		if err := cluster.Pause(ctx, 10*time.Second); err != nil { // what its start left is collected
			return err
		}
	}
	all := cluster.Requests{}
	for _, kind := range []struct {
		what      string
		perSecond int
		most      float64
		do        func(n int) []seed.Object
	}{
		{"idle without a session of its own", 0, 0.1, nil},
		{"while 5 sessions a second change elsewhere", 5, 2, b.changed},
		{"while 50 statuses a second change elsewhere", 50, 4, func(n int) []seed.Object {
			return []seed.Object{b.other(n*7%b.options.Sessions, n+2)}
		}},
	} {
		percent, asked, err := b.while(ctx, 30*time.Second, kind.perSecond, kind.do)
		if err != nil {
			return err
		}
		for what, n := range asked {
			all[what] += n
		}
		b.row(result.Row{What: kind.what, Value: percent, Unit: "% of a core", AtMost: kind.most})
	}
	reads, writes := all.Split()
	b.say("requests without a session of its own: %s", cluster.Describe(all))
	b.row(result.Row{What: "requests without a session of its own", Value: float64(reads + writes), Unit: "requests", AtMost: none, Count: true})
	return nil
}

// none is the goal of what is counted and must not be: a goal of 0 would be no goal.
const none = 0.5

// changed is a session elsewhere that gets another target and back.
func (b *bench) changed(n int) []seed.Object {
	object := b.other(n*7%b.options.Sessions, 1)
	return []seed.Object{object.Copy(`"generation":1`, fmt.Sprintf(`"generation":%d`, n+2), `"spec":{`, fmt.Sprintf(`"spec":{"description":"change %d",`, n))}
}

// few measures a node with 8 sessions of its own.
func (b *bench) few(ctx context.Context) error {
	const sessions = 8
	if _, err := b.assign(ctx, 0, sessions); err != nil {
		return err
	}
	return b.rest(ctx, sessions, 0.05)
}

// many measures a node with 300 sessions of its own.
func (b *bench) many(ctx context.Context) error {
	if _, err := b.Audit.Next(); err != nil {
		return err
	}
	void := ""
	took, err := b.assign(ctx, 8, ownMost)
	if late := (*lateError)(nil); errors.As(err, &late) {
		void = err.Error()
	} else if err != nil {
		return err
	}
	asked, err := b.Audit.Next()
	if err != nil {
		return err
	}
	b.say("requests for the first entries of %d sessions: %s", ownMost-8, cluster.Describe(asked))
	b.row(result.Row{What: "the last first entry of 300 sessions of its own", Value: took.Seconds(), Unit: "s", AtMost: 15, Void: void})
	return b.rest(ctx, ownMost, 0.1)
}

// rest measures a node whose sessions have no packets.
func (b *bench) rest(ctx context.Context, sessions int, most float64) error {
	if err := b.settle(ctx, sessions); err != nil {
		return err
	}
	percent, asked, err := b.while(ctx, 30*time.Second, 0, nil)
	if err != nil {
		return err
	}
	reads, writes := asked.Split()
	b.say("requests while %d sessions of its own rest: %s", sessions, cluster.Describe(asked))
	b.row(result.Row{What: fmt.Sprintf("idle with %d sessions of its own", sessions), Value: percent, Unit: "% of a core", AtMost: most})
	b.row(result.Row{
		What: fmt.Sprintf("requests while %d sessions of its own rest", sessions), Value: float64(reads + writes), Unit: "requests", AtMost: none, Count: true,
	})
	return nil
}

const (
	// quiet is for how long a verifier has asked for nothing that has come to rest.
	quiet = 15 * time.Second
	// settling is how long that may take: entries of copies that have ended are refreshed once more, and after a
	// minute each says that no program reads what came.
	settling = 3 * time.Minute
)

// settle waits until the verifier asks for nothing any more.
func (b *bench) settle(ctx context.Context, sessions int) error {
	began := time.Now()
	for asked := (cluster.Requests{"": 1}); len(asked) > 0; {
		if time.Since(began) > settling {
			return fmt.Errorf("a verifier with %d sessions that nothing comes for does not rest: %s", sessions, cluster.Describe(asked))
		}
		if err := cluster.Pause(ctx, quiet); err != nil {
			return err
		}
		var err error
		if asked, err = b.Audit.Next(); err != nil {
			return err
		}
	}
	b.say("%d sessions of its own rest after %.0f s", sessions, time.Since(began).Seconds())
	return nil
}

// assign gives the node sessions, whose copies come all the time, and waits until each has an
// entry with packets.
func (b *bench) assign(ctx context.Context, from, to int) (time.Duration, error) {
	var objects []seed.Object
	for n := from; n < to; n++ {
		objects = append(objects, b.ownOne(n))
	}
	began := time.Now()
	if err := b.store.Put(ctx, objects...); err != nil {
		return 0, err
	}
	for counted := 0; counted < to; {
		if time.Since(began) > entryPatience {
			return time.Since(began), &lateError{entries: counted, sessions: to}
		}
		if err := cluster.Pause(ctx, 250*time.Millisecond); err != nil {
			return 0, err
		}
		if err := b.wire.send(to); err != nil {
			return 0, err
		}
		var err error
		if counted, err = b.entries(ctx); err != nil {
			return 0, err
		}
	}
	return time.Since(began), nil
}

// entryPatience is for how long entries are waited for.
const entryPatience = time.Minute

// lateError is told where some are missing then.
type lateError struct{ entries, sessions int }

// Error says how many.
func (e *lateError) Error() string {
	return fmt.Sprintf("%d of %d sessions have an entry after %s", e.entries, e.sessions, entryPatience)
}

// entries is how many sessions have an entry of the node with packets.
func (b *bench) entries(ctx context.Context) (counted int, err error) {
	var list v1alpha1.MirrorSessionList
	if err := b.API.List(ctx, &list, client.InNamespace(own)); err != nil {
		return 0, fmt.Errorf("list the sessions of the node: %w", err)
	}
	for i := range list.Items {
		for _, e := range list.Items[i].Status.Verification {
			if e.Node == ownNode && e.Packets > 0 {
				counted++
			}
		}
	}
	return counted, nil
}

// memory tells what the verifier had at most, over everything.
func (b *bench) memory(context.Context) error {
	_, most, err := proc.Memory(b.verifier.PID)
	// 100 MB of the 128 MiB that the chart allows.
	b.row(result.Row{What: "memory, at most", Value: most, Unit: "MiB", AtMost: 95})
	return err
}
