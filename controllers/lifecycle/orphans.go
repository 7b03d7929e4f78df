package lifecycle

import (
	"context"
	"fmt"
	"slices"
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
	// known are the orphans that were told, by list and ID, with when they were seen first.
	// Only Start's goroutine uses it.
	known map[listed]map[string]time.Time
}

// listed names a list of the cloud.
type listed struct {
	account cloud.Account
	kind    string
}

// list is what bears a mark of this cluster in it.
type list struct {
	client cloud.Client
	marked []Identity
}

// perLook is how many orphans of one list are told of, or removed, at once: each costs a call
// or two, and other lists wait. The rest has its turn with the next list.
const perLook = 20

// orphanAge is how old an orphan has to be to be removed: an hour is long after whatever
// could still be on the way.
const orphanAge = time.Hour

// NewOrphans returns what finds orphans of the services' inventory. Events of them are made
// in the namespace, none where it is empty; remove deletes those that are over an hour old.
// The metric is registered with registerer.
func NewOrphans(s *Services, namespace string, remove bool, registerer prometheus.Registerer) (*Orphans, error) {
	o := &Orphans{
		services: s, remove: remove, pending: map[listed]list{}, arrived: make(chan struct{}, 1), known: map[listed]map[string]time.Time{},
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
	s.Inventory.Watch(o.filters, o.sessions)
	return o, nil
}

// The kinds of cloud objects, as people call them.
const (
	kindFilter  = "filter"
	kindSession = "session"
)

func (o *Orphans) filters(c cloud.Client, all []cloud.Filter) {
	note(o, c, kindFilter, all, func(f cloud.Filter) Identity {
		return Identity{ID: f.ID, Name: f.Name, Description: f.Description, CreatedAt: f.CreatedAt}
	})
}

func (o *Orphans) sessions(c cloud.Client, all []cloud.Session) {
	note(o, c, kindSession, all, func(s cloud.Session) Identity {
		return Identity{ID: s.ID, Name: s.Name, Description: s.Description, CreatedAt: s.CreatedAt}
	})
}

// note keeps what a list shows of this cluster for the next look. It asks nobody anything.
func note[T any](o *Orphans, c cloud.Client, kind string, all []T, identity func(T) Identity) {
	var marked []Identity
	for _, have := range all {
		is := identity(have)
		if mark, ok := plan.MarkOf(is.Description); ok && mark.Cluster == o.services.Cluster {
			marked = append(marked, is)
		}
	}
	o.mu.Lock()
	o.pending[listed{c.Account(), kind}] = list{c, marked}
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
			if err := o.look(ctx, of, l); err != nil && ctx.Err() == nil {
				log.FromContext(ctx).Error(err, "Whether the cloud has something left over is not known", "account", describe(of.account), "kind", of.kind)
			}
		}
	}
}

// look compares one list with the objects.
func (o *Orphans) look(ctx context.Context, of listed, l list) error {
	suspects, err := o.without(ctx, o.services.Client, l.marked)
	if err == nil && len(suspects) > 0 {
		suspects, err = o.without(ctx, o.services.Reader, suspects) // the cache may be behind
	}
	if err != nil {
		return err
	}
	now := o.services.Clock()
	were, are := o.known[of], make(map[string]time.Time, len(suspects))
	asked := 0
	for _, is := range suspects {
		since, told := were[is.ID]
		if !told {
			since = now
		}
		if told && !o.due(is, since) {
			are[is.ID] = since
			continue
		}
		if asked++; asked > perLook {
			continue
		}
		kept, err := o.meet(ctx, of, l.client, is, o.due(is, since), told)
		if err != nil {
			return err
		}
		if kept {
			are[is.ID] = since
		}
	}
	o.known[of] = are
	total := 0
	for other, ids := range o.known {
		if other.kind == of.kind {
			total += len(ids)
		}
	}
	o.gauge.WithLabelValues(of.kind).Set(float64(total))
	return nil
}

// due reports whether an orphan is to be removed that was seen first at the given time.
func (o *Orphans) due(is Identity, since time.Time) bool {
	if !is.CreatedAt.IsZero() {
		since = is.CreatedAt
	}
	return o.remove && o.services.Clock().Sub(since) > orphanAge
}

// meet tells of an orphan the first time, and removes it when that is due. It reports
// whether the cloud still has it.
func (o *Orphans) meet(ctx context.Context, of listed, c cloud.Client, is Identity, due, told bool) (kept bool, err error) {
	there, err := o.still(ctx, of.kind, c, is)
	if err != nil || !there {
		return false, err
	}
	if !told {
		o.tell(ctx, corev1.EventTypeWarning, "Orphaned", of, is,
			"the object of this cluster to which it belonged is gone: delete it in the cloud, or let the manager do that (--delete-orphans)")
	}
	if !due {
		return true, nil
	}
	remove := c.DeleteFilter
	if of.kind == kindSession {
		remove = c.DeleteSession
	}
	if err := remove(ctx, is.ID); err != nil && !cloud.IsNotFound(err) {
		// A filter that a session still uses goes another time.
		log.FromContext(ctx).Info("What is left over can't be deleted now", "kind", of.kind, "id", is.ID, "because", err.Error())
		return true, nil
	}
	o.tell(ctx, corev1.EventTypeNormal, "OrphanDeleted", of, is, "it was left over, and is deleted")
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
