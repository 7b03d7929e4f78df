package rehearsal

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/lifecycle"
)

const (
	// runLifetime is how long a run is remembered: longer than anybody waits for its answers who does not say so.
	runLifetime = 2 * time.Minute
	// maxRuns is how many are remembered.
	maxRuns = 16
)

// runs are those of which questions came a short time ago.
type runs struct {
	of *lifecycle.Services

	mu sync.Mutex
	// known is by namespace and the value of the label.
	known map[client.ObjectKey]*run
}

func newRuns(of *lifecycle.Services) *runs { return &runs{of: of, known: map[client.ObjectKey]*run{}} }

// run is what is asked together, such as the objects of a file: each session is planned as it comes after those before
// it, on one stage.
type run struct {
	of    *lifecycle.Services
	began time.Time

	mu        sync.Mutex
	rehearsal *rehearsal
	filters   []v1alpha1.MirrorFilter
	// sessions are the copies in their order, and plans those that were made, by the UID of the copy.
	sessions []v1alpha1.MirrorSession
	plans    map[types.UID]*v1alpha1.Plan
	// failed are the copies that could not be planned: they are left out of what others come after.
	failed map[types.UID]bool
}

// filter answers the question what would be done for a filter.
func (r *runs) filter(ctx context.Context, question *v1alpha1.MirrorFilter) (*v1alpha1.Plan, error) {
	return newRehearsal(r.of).filter(ctx, question)
}

// session answers the question what would be done for a session after those of its run before it.
func (r *runs) session(ctx context.Context, question *v1alpha1.MirrorSession) (*v1alpha1.Plan, error) {
	in := r.runOf(question)
	in.mu.Lock()
	defer in.mu.Unlock()
	if !in.has(question) {
		if err := in.read(ctx, question); err != nil {
			return nil, err
		}
	}
	return in.upTo(ctx, question)
}

// runOf is the run of a question; one of its own where that names none.
func (r *runs) runOf(question *v1alpha1.MirrorSession) *run {
	now, name := r.of.Clock(), question.Labels[v1alpha1.PlanLabel]
	if name == "" {
		return newRun(r.of, now)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	key := client.ObjectKey{Namespace: question.Namespace, Name: name}
	maps.DeleteFunc(r.known, func(_ client.ObjectKey, old *run) bool { return now.Sub(old.began) > runLifetime })
	if r.known[key] == nil {
		if len(r.known) >= maxRuns {
			oldest := slices.MinFunc(slices.Collect(maps.Keys(r.known)), func(a, b client.ObjectKey) int { return r.known[a].began.Compare(r.known[b].began) })
			delete(r.known, oldest)
		}
		r.known[key] = newRun(r.of, now)
	}
	return r.known[key]
}

func newRun(of *lifecycle.Services, now time.Time) *run {
	r := &run{of: of, began: now, failed: map[types.UID]bool{}}
	r.again()
	return r
}

// again begins with an empty stage.
func (r *run) again() {
	r.rehearsal, r.plans = newRehearsal(r.of), map[types.UID]*v1alpha1.Plan{}
}

func (r *run) has(question *v1alpha1.MirrorSession) bool {
	return slices.ContainsFunc(r.sessions, func(s v1alpha1.MirrorSession) bool { return s.UID == question.UID })
}

// read reads the copies of the run of a question. Those before it were made before it, and are there.
func (r *run) read(ctx context.Context, question *v1alpha1.MirrorSession) error {
	name := question.Labels[v1alpha1.PlanLabel]
	if name == "" {
		r.sessions = []v1alpha1.MirrorSession{*question}
		return nil
	}
	var filters v1alpha1.MirrorFilterList
	var sessions v1alpha1.MirrorSessionList
	for _, list := range []client.ObjectList{&filters, &sessions} {
		if err := r.of.Reader.List(ctx, list, client.InNamespace(question.Namespace), client.MatchingLabels{v1alpha1.PlanLabel: name}); err != nil {
			return fmt.Errorf("find what is asked together with it: %w", err)
		}
	}
	r.filters = slices.DeleteFunc(filters.Items, func(f v1alpha1.MirrorFilter) bool { return v1alpha1.PlannedOf(&f) == "" })
	r.sessions = slices.DeleteFunc(sessions.Items, func(s v1alpha1.MirrorSession) bool { return v1alpha1.PlannedOf(&s) == "" })
	slices.SortFunc(r.sessions, func(a, b v1alpha1.MirrorSession) int {
		return cmp.Or(cmp.Compare(placeOf(&a), placeOf(&b)), strings.Compare(a.Name, b.Name))
	})
	if !r.has(question) {
		return fmt.Errorf("the copy %s is gone", question.Name)
	}
	for played := range r.plans {
		if !slices.ContainsFunc(r.sessions, func(s v1alpha1.MirrorSession) bool { return s.UID == played }) {
			r.again() // somebody uses one label for one question after the other
			break
		}
	}
	return nil
}

// placeOf is which place a copy has in its run; the last where it does not say.
func placeOf(o client.Object) int {
	place, err := strconv.Atoi(o.GetAnnotations()[v1alpha1.PlanOrderAnnotation])
	if err != nil {
		return math.MaxInt
	}
	return place
}

// upTo plans the sessions of a run up to that of a question, as far as that was not done. Where one fails, what it has
// left on the stage is not to be relied on: all begins anew, without one that has failed for long.
func (r *run) upTo(ctx context.Context, question *v1alpha1.MirrorSession) (*v1alpha1.Plan, error) {
	for i := range r.sessions {
		copied := &r.sessions[i]
		asked := copied.UID == question.UID
		if !asked && r.failed[copied.UID] {
			continue
		}
		if err := ctx.Err(); err != nil {
			return nil, err // before anything is done on the stage
		}
		if err := r.play(ctx, copied); err != nil {
			switch {
			case asked:
				return nil, err
			case r.of.Clock().Sub(copied.CreationTimestamp.Time) < patience:
				return nil, fmt.Errorf("rehearse %s, which comes before it: %w", v1alpha1.PlannedOf(copied), err)
			default:
				r.failed[copied.UID] = true
				return r.upTo(ctx, question)
			}
		}
		if asked {
			return r.plans[copied.UID], nil
		}
	}
	return nil, fmt.Errorf("the copy %s is gone", question.Name)
}

// play plans one session of a run, unless that was done.
func (r *run) play(ctx context.Context, copied *v1alpha1.MirrorSession) error {
	if r.plans[copied.UID] != nil {
		return nil
	}
	made, err := r.rehearsal.session(ctx, copied, r.filterOf(copied))
	if err != nil {
		r.again()
		return err
	}
	r.plans[copied.UID] = made
	return nil
}

// filterOf is the copy of the filter that a session uses, nil where the run has none.
func (r *run) filterOf(session *v1alpha1.MirrorSession) *v1alpha1.MirrorFilter {
	for i := range r.filters {
		if v1alpha1.PlannedOf(&r.filters[i]) == session.Spec.FilterRef.Name {
			return &r.filters[i]
		}
	}
	return nil
}
