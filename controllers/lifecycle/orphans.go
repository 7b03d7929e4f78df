package lifecycle

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/cloud"
	"vpcmirror.io/operator/controllers/plan"
	"vpcmirror.io/operator/controllers/tracing"
)

// Orphans finds what bears a mark of this cluster in the cloud, though its object is gone:
// what is left when somebody takes a finalizer off by hand, or when a write took effect later
// than anybody could wait for. It looks at the lists that are read anyway. Make one with
// NewOrphans.
type Orphans struct {
	services *Services
	remove   bool
	// regarding is what events are about: an object of the manager's namespace.
	regarding runtime.Object
	gauge     *prometheus.GaugeVec

	mu      sync.Mutex
	pending map[listed]list // the newest of each
	arrived chan struct{}   // has room for one: something is pending
	// known is what was seen without an object so far. Only Start's goroutine uses it.
	known map[listed]*seen
}

// seen is what the lists of one kind in one account have shown without an object.
type seen struct {
	at   time.Time // when the newest list began
	byID map[string]*orphan
}

// orphan is something in the cloud without an object.
type orphan struct {
	Identity
	first time.Time // when the list began that showed it first
	told  bool
	asked time.Time // when the cloud was last asked about it, zero for never
}

// listed names a list of the cloud.
type listed struct {
	account cloud.Account
	kind    string
}

// list is what bears a mark of this cluster in it.
type list struct {
	client cloud.Client
	began  time.Time
	marked []Identity
}

// perLook is how many orphans of one list are told of, or removed, at once: each costs a call
// or two, and other lists wait. The rest has its turn with the next list.
const perLook = 20

const (
	// orphanAge is how long ago something has to be made, and to be known as an orphan by this
	// process, until it is removed: long after whatever could still be on the way, and time for
	// somebody who has made a mistake.
	orphanAge = time.Hour
	// unread is how long the orphans of an account are remembered that nobody reads any more.
	unread = time.Hour
	// lookTimeout bounds one look, as other accounts wait.
	lookTimeout = 30 * time.Second
)

// NewOrphans returns what finds orphans of the services' inventory. Events of them are made
// in the namespace, none where it is empty; remove deletes those that it has known for an hour.
// The metric is registered with registerer.
func NewOrphans(s *Services, namespace string, remove bool, registerer prometheus.Registerer) (*Orphans, error) {
	o := &Orphans{
		services: s, remove: remove, pending: map[listed]list{}, arrived: make(chan struct{}, 1), known: map[listed]*seen{},
		gauge: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "vpcmirror_cloud_orphans",
			Help: "Filters and sessions in the cloud that bear this cluster's mark, though their objects are gone.",
		}, []string{"kind"}),
	}
	if namespace != "" {
		o.regarding = &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "vpcmirror-manager"}}
	}
	for _, kind := range []string{kindFilter, kindSession} {
		o.gauge.WithLabelValues(kind).Set(0)
	}
	if err := registerer.Register(o.gauge); err != nil {
		return nil, fmt.Errorf("register the metric of orphans: %w", err)
	}
	s.Inventory.WatchFilters(o.filters)
	s.Inventory.WatchSessions(o.sessions)
	return o, nil
}

// The kinds of cloud objects, as people call them.
const (
	kindFilter  = "filter"
	kindSession = "session"
)

func (o *Orphans) filters(c cloud.Client, began time.Time, all []cloud.Filter) {
	note(o, c, kindFilter, began, all, FilterIdentity)
}

func (o *Orphans) sessions(c cloud.Client, began time.Time, all []cloud.Session) {
	note(o, c, kindSession, began, all, SessionIdentity)
}

// note keeps what a list shows of this cluster for the next look. It asks nobody anything.
func note[T any](o *Orphans, c cloud.Client, kind string, began time.Time, all []T, identity func(T) Identity) {
	var marked []Identity
	for _, have := range all {
		is := identity(have)
		if mark, ok := plan.MarkOf(is.Description); ok && mark.Cluster == o.services.Cluster {
			marked = append(marked, is)
		}
	}
	o.mu.Lock()
	o.pending[listed{c.Account(), kind}] = list{c, began, marked}
	o.mu.Unlock()
	select {
	case o.arrived <- struct{}{}:
	default: // it is told already
	}
}

// NeedLeaderElection is true: only the leader reads lists.
func (o *Orphans) NeedLeaderElection() bool { return true }

// Start compares lists with the objects until ctx ends.
func (o *Orphans) Start(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-o.arrived:
		}
		o.mu.Lock()
		pending := o.pending
		o.pending = map[listed]list{}
		o.mu.Unlock()
		for of, l := range pending {
			// What can't be known now is compared with the next list.
			ctx := tracing.Noting(ctx)
			if err := o.look(ctx, of, l); err != nil && ctx.Err() == nil {
				log.FromContext(ctx).Error(err, "What is left over in the cloud could not all be looked at", "account", describe(of.account), "kind", of.kind)
			}
		}
	}
}

// look compares one list with the objects.
func (o *Orphans) look(ctx context.Context, of listed, l list) error {
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	suspects, err := o.without(ctx, o.services.Client, l.marked)
	if err == nil && o.anyNew(of, suspects) {
		suspects, err = o.without(ctx, o.services.Reader, suspects) // the cache may be behind
	}
	if err != nil {
		return err
	}
	known := o.note(of, l.began, suspects)
	ask := known.due(l.began, o.services.Timing.Lag, o.removable)
	for _, one := range ask[:min(len(ask), perLook)] {
		one.asked = o.services.Clock()
		kept, failed := o.meet(ctx, of, l.client, one)
		if !kept {
			delete(known.byID, one.ID)
		}
		err = errors.Join(err, failed)
	}
	o.count()
	return err
}

// anyNew reports whether something is not known yet, or is to be removed.
func (o *Orphans) anyNew(of listed, suspects []Identity) bool {
	return slices.ContainsFunc(suspects, func(is Identity) bool {
		known := o.known[of]
		return known == nil || known.byID[is.ID] == nil || o.removable(known.byID[is.ID])
	})
}

// note remembers what a list shows without an object, and forgets what it does not show.
func (o *Orphans) note(of listed, began time.Time, suspects []Identity) *seen {
	was := o.known[of]
	now := &seen{at: began, byID: make(map[string]*orphan, len(suspects))}
	for _, is := range suspects {
		one := &orphan{first: began}
		if was != nil && was.byID[is.ID] != nil {
			one = was.byID[is.ID]
		}
		one.Identity = is
		now.byID[is.ID] = one
	}
	o.known[of] = now
	return now
}

// due are those about which the cloud is to be asked: that are to be told, once a second list
// shows them which shows what was true at the first; and that are to be removed. Those that
// were not asked about for the longest time go first.
func (s *seen) due(began time.Time, lag time.Duration, removable func(*orphan) bool) (ask []*orphan) {
	for _, one := range s.byID {
		if !one.told && !began.Before(one.first.Add(lag)) && began.After(one.first) || one.told && removable(one) {
			ask = append(ask, one)
		}
	}
	slices.SortFunc(ask, func(a, b *orphan) int { return cmp.Or(a.asked.Compare(b.asked), strings.Compare(a.ID, b.ID)) })
	return ask
}

// removable reports whether an orphan is to be removed.
func (o *Orphans) removable(one *orphan) bool {
	old := func(since time.Time) bool { return o.services.Clock().Sub(since) > orphanAge }
	return o.remove && old(one.first) && (one.CreatedAt.IsZero() || old(one.CreatedAt))
}

// count sets the metric, and forgets accounts that nobody reads any more.
func (o *Orphans) count() {
	total := map[string]int{kindFilter: 0, kindSession: 0}
	for of, known := range o.known {
		if o.services.Clock().Sub(known.at) > unread+o.services.Resync {
			delete(o.known, of)
			continue
		}
		for _, one := range known.byID {
			if one.told {
				total[of.kind]++
			}
		}
	}
	for kind, n := range total {
		o.gauge.WithLabelValues(kind).Set(float64(n))
	}
}

// meet tells of an orphan the first time, and removes it later. It reports whether the
// cloud still has it.
func (o *Orphans) meet(ctx context.Context, of listed, c cloud.Client, one *orphan) (kept bool, err error) {
	there, err := o.still(ctx, of.kind, c, one.Identity)
	if err != nil || !there {
		return err != nil, err
	}
	if !one.told {
		one.told = true
		o.tell(ctx, corev1.EventTypeWarning, "Orphaned", of, one.Identity,
			"the object of this cluster to which it belonged is gone: delete it in the cloud, or let the manager do that (--delete-orphans)")
		return true, nil
	}
	if cloud.IsReadOnly(c) { // the list was read for what is only observed
		return true, nil
	}
	remove := c.DeleteFilter
	if of.kind == kindSession {
		remove = c.DeleteSession
	}
	if err := remove(ctx, one.ID); err != nil && !cloud.IsNotFound(err) {
		return true, fmt.Errorf("delete the %s %s, which is left over: %w", of.kind, one.ID, err) // one in use goes another time
	}
	o.tell(ctx, corev1.EventTypeNormal, "OrphanDeleted", of, one.Identity, "it was left over, and is deleted")
	return false, nil
}

// still asks the cloud itself whether an orphan is there as the list showed it.
func (o *Orphans) still(ctx context.Context, kind string, c cloud.Client, is Identity) (bool, error) {
	var description string
	var err error
	if kind == kindFilter {
		var f cloud.Filter
		f, err = c.GetFilter(ctx, is.ID)
		description = f.Description
	} else {
		var s cloud.Session
		s, err = c.GetSession(ctx, is.ID)
		description = s.Description
	}
	if cloud.IsNotFound(err) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("read the %s %s: %w", kind, is.ID, err)
	}
	was, _ := plan.MarkOf(is.Description)
	mark, ok := plan.MarkOf(description)
	return ok && mark == was, nil
}

func (o *Orphans) tell(ctx context.Context, kind, reason string, of listed, is Identity, what string) {
	log.FromContext(ctx).Info("Left over in the cloud", "reason", reason, "kind", of.kind, "id", is.ID, "name", is.Name,
		"account", describe(of.account), "note", what)
	if o.regarding != nil {
		o.services.Recorder.Eventf(o.regarding, nil, kind, reason, "Look at "+is.ID, "the %s %s (%s) in %s: %s", of.kind, is.ID, is.Name, describe(of.account), what)
	}
}

// without returns those whose objects do not exist, and that no other object's status names: of
// that the object itself says that it is a conflict.
func (o *Orphans) without(ctx context.Context, reader client.Reader, marked []Identity) (gone []Identity, err error) {
	if len(marked) == 0 {
		return nil, nil
	}
	objects, named := map[types.UID]bool{}, map[string]bool{}
	for _, of := range []client.ObjectList{&v1alpha1.MirrorFilterList{}, &v1alpha1.MirrorSessionList{}} {
		if err := reader.List(ctx, of, client.UnsafeDisableDeepCopy); err != nil {
			return nil, fmt.Errorf("list the objects to find what has none in the cloud: %w", err)
		}
		if err := meta.EachListItem(of, func(item runtime.Object) error {
			switch object := item.(type) {
			case *v1alpha1.MirrorFilter:
				objects[object.UID], named[object.Status.ID] = true, true
			case *v1alpha1.MirrorSession:
				objects[object.UID] = true
				for _, part := range object.Status.Sessions {
					named[part.ID] = true
				}
			}
			return nil
		}); err != nil {
			return nil, fmt.Errorf("list the objects to find what has none in the cloud: %w", err)
		}
	}
	return slices.DeleteFunc(slices.Clone(marked), func(is Identity) bool {
		mark, _ := plan.MarkOf(is.Description)
		return objects[types.UID(mark.UID)] || named[is.ID]
	}), nil
}
