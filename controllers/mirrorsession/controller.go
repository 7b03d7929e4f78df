// Package mirrorsession reconciles MirrorSessions: it resolves what the spec refers
// to, makes the cloud's session match, and sums up what the verifiers saw.
//
// It may import api, controllers/cloud, controllers/credentials, controllers/diagnosis,
// controllers/diagnosis/history, controllers/inventory, controllers/lifecycle, controllers/liveness,
// controllers/plan, controllers/probe, controllers/status and controllers/tracing.
package mirrorsession

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/cloud"
	"vpcmirror.io/operator/controllers/lifecycle"
	"vpcmirror.io/operator/controllers/plan"
)

// Reconciler makes cloud sessions match MirrorSessions.
type Reconciler struct {
	*lifecycle.Services
	// RefuseProbes is true where the administrator has switched probes off.
	RefuseProbes bool

	reserved reservations
	observed observations
	// gone are UIDs that no MirrorSession has any more, which marks in the cloud name.
	gone uids
	// shared is what is kept of several sessions.
	shared shared
}

// scope is one reconcile of one session.
type scope struct {
	*lifecycle.Scope
	reconciler *Reconciler
	// session is Object by its type.
	session *v1alpha1.MirrorSession
	// filter is what spec.filterRef names, nil when it can't be read for noFilter.
	filter   *v1alpha1.MirrorFilter
	noFilter error
	// filterID, sources and target are what the spec refers to, once resolved; see resolve.
	filterID string
	sources  []cloud.Interface
	target   cloud.Interface
	// balanced is what is behind the target where that is a load balancer, nil where it is none.
	balanced *balanced
	// resolved is how the status shows the interfaces that the spec and the cloud's session
	// name, by ID; nil before they are.
	resolved map[string]v1alpha1.ResolvedInterface
	// sourceFields are the fields of the spec that name the sources, by interface.
	sourceFields map[string]string
	// sourceNodes are, by interface, the nodes that the spec names: the status keeps them, so
	// that the next reconcile knows what a source stood for whose node is gone.
	sourceNodes map[string]string
	// selectors are the nodeSelectors of the spec.
	selectors []*nodeSelector
	// lostSources are the selectors of the spec's sources that stand for nothing in the cloud.
	lostSources []v1alpha1.InterfaceSelector
	// noSource is true when no source of the spec stands for anything in the cloud.
	noSource bool
	// sameVNI is another session in the cloud that shares target and VNI, nil for none; it is
	// known once they were compared.
	sameVNI  *cloud.Session
	compared bool
	// sameVNICalled is how messages call that session.
	sameVNICalled string
	changes       changes
	// leftover has the IDs of sessions in the cloud whose objects are gone, see noteLeftover.
	leftover map[string]bool

	// began is when the reconcile began to ask the cloud.
	began time.Time
	// parts are the sessions in the cloud, as they were seen last, and chosen are the numbers that the first
	// is to have.
	parts  parts
	chosen plan.Numbers
	// swapped is true once another part was to leave the priority that the spec names.
	swapped bool
	// seen are the interfaces that the cloud has shown in this reconcile, by ID.
	seen map[string]cloud.Interface
	// absent are IDs of interfaces that the cloud surely did not have in this reconcile.
	absent map[string]bool
	// edgeIn is after how long the account is read for an edge that is due, 0 where that is now.
	edgeIn time.Duration
	// pathAgain is when the way of the copies can be read that could not be now, zero where it was.
	pathAgain time.Time
}

// +kubebuilder:rbac:groups=vpcmirror.io,resources=mirrorsessions,verbs=get;list;watch;patch
// +kubebuilder:rbac:groups=vpcmirror.io,resources=mirrorsessions/status,verbs=patch
// +kubebuilder:rbac:groups=vpcmirror.io,resources=mirrorfilters,verbs=get;list;watch
// +kubebuilder:rbac:groups="",resources=secrets,verbs=get;patch
// +kubebuilder:rbac:groups="",resources=nodes,verbs=list;watch
// +kubebuilder:rbac:groups=events.k8s.io,resources=events,verbs=create;patch

// Reconcile goes once through the life of one session and its counterpart in the cloud.
func (r *Reconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	defer r.Sessions.Done(req)
	return lifecycle.Latest(ctx, func(latest bool) (ctrl.Result, error) { return r.look(ctx, req, latest) })
}

// look reconciles one session, from the cache or as the API server has it.
func (r *Reconciler) look(ctx context.Context, req ctrl.Request, latest bool) (ctrl.Result, error) {
	session, latest, err := lifecycle.Read[v1alpha1.MirrorSession](ctx, r.Services, req.NamespacedName, latest)
	if err != nil {
		if apierrors.IsNotFound(err) {
			r.observed.forget(req.NamespacedName)
		}
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	if v1alpha1.PlannedOf(session) != "" {
		return ctrl.Result{}, nil // it is a question, see package rehearsal
	}
	var unfolded error
	if session.DeletionTimestamp.IsZero() {
		unfolded = r.foldFinalEntries(ctx, session)
	}
	s := r.newScope(ctx, session, latest)
	s.recallChanges()
	result, err := s.Scope.Reconcile(ctx, s)
	s.rememberChanges()
	if unfolded == nil || err != nil {
		return result, err
	}
	// It holds up nothing else, and is tried again.
	if p := lifecycle.Diagnose(unfolded); p != nil {
		s.Event(corev1.EventTypeWarning, p.Reason, "Fold", "%s", p.Message)
	}
	return ctrl.Result{}, unfolded
}

func (r *Reconciler) newScope(ctx context.Context, session *v1alpha1.MirrorSession, latest bool) *scope {
	s := &scope{Scope: r.NewScope(ctx, session), reconciler: r, session: session, parts: newParts(), leftover: map[string]bool{}, seen: map[string]cloud.Interface{}, absent: map[string]bool{}}
	s.Latest = latest
	return s
}

// Rehearse goes once through the life of a session, and returns it as it is then. It is for services whose clients
// write nothing. The error is one that no condition of the session tells, such as that of reading it.
func (r *Reconciler) Rehearse(ctx context.Context, key client.ObjectKey) (*v1alpha1.MirrorSession, error) {
	session, latest, err := lifecycle.Read[v1alpha1.MirrorSession](ctx, r.Services, key, true)
	if err != nil {
		return nil, err
	}
	s := r.newScope(ctx, session, latest)
	_, err = s.Scope.Reconcile(ctx, s)
	return session, lifecycle.Untold(session, err)
}

// Sync brings the cloud's session in line with the spec, and then reads whether copies can get to
// the target.
func (s *scope) Sync(ctx context.Context) error {
	s.expectCopies(ctx)
	err := s.bring(ctx)
	s.readPath(cloud.WithUrgency(ctx, cloud.Routine), err)
	return err
}

// bring observes what the cloud has, resolves what the spec refers to, divides the sources among sessions, chooses
// numbers, makes what is missing, and mends what differs. What can't be resolved holds up nothing else: it is
// reported when all the rest is done.
func (s *scope) bring(ctx context.Context) error {
	s.readFilter(ctx)
	if s.Observes() {
		return s.compare(ctx)
	}
	if len(s.session.Spec.Sources) == 0 {
		return s.switchOff(ctx)
	}
	if err := s.findParts(ctx); err != nil {
		return err
	}
	unresolved, err := s.resolve(ctx, s.inCloud())
	s.observed()
	if err != nil {
		return err
	}
	taken, err := s.bringParts(ctx, s.divide(ctx))
	if err != nil {
		return err
	}
	s.compared = true
	if taken != nil {
		unresolved = slices.Insert(unresolved, 0, taken)
	}
	return s.orSurplus(ctx, joined(unresolved))
}

// orSurplus looks for a second session of a part in the cloud, whatever is wrong with the first: it
// would copy on. What is wrong goes first.
func (s *scope) orSurplus(ctx context.Context, wrong error) error {
	for _, number := range s.order() {
		surplus := s.parts.known[number].Surplus(ctx)
		first, second := lifecycle.Diagnose(wrong), lifecycle.Diagnose(surplus)
		if first == nil || second == nil {
			wrong = cmp.Or(wrong, surplus)
		} else {
			wrong = joined([]*lifecycle.Problem{first, second})
		}
	}
	return wrong
}

// storedSession is the session with the status that the API server has.
func (s *scope) storedSession() *v1alpha1.MirrorSession {
	return s.Stored.(*v1alpha1.MirrorSession) // it is a copy of session
}

// want is what the spec asks of a part, with references resolved and numbers chosen.
func (s *scope) want(number int, sources []string, n plan.Numbers) plan.WantedSession {
	want := plan.SessionFrom(s.session, s.Mark(s.session, number), s.filterID, s.target.ID, sources, n.VNI, n.Priority)
	want.Enabled = want.Enabled && !s.noSource
	for _, have := range s.parts.have {
		if have.TargetID == want.TargetID {
			want.TargetType = have.TargetType // of one that is kept the spec does not say it
		}
	}
	return want
}

func (s *scope) sourceIDs() []string {
	ids := make([]string, 0, len(s.sources))
	for _, i := range s.sources {
		ids = append(ids, i.ID)
	}
	return ids
}

// Delete removes what the cloud has of the session.
func (s *scope) Delete(ctx context.Context) error {
	if s.Observes() {
		s.Leave()
		return nil
	}
	if s.Retained() {
		return s.Release(ctx, func(ctx context.Context) error {
			return s.everyPart(ctx, (*lifecycle.Part[cloud.Session]).Disown)
		})
	}
	if err := s.Connect(ctx); err != nil {
		return err
	}
	return s.everyPart(ctx, (*lifecycle.Part[cloud.Session]).Delete)
}

// everyPart does something to each part that the cloud has or may have.
func (s *scope) everyPart(ctx context.Context, do func(*lifecycle.Part[cloud.Session], context.Context) error) error {
	numbers, err := lifecycle.AllNumbers(ctx, s.part(1), s.numbersKnown(), s.mayHaveParts())
	if err != nil {
		return err
	}
	for _, number := range numbers {
		if err := do(s.part(number), ctx); err != nil {
			return err
		}
	}
	return nil
}

// mayHaveParts reports whether more than one session may have been made for the object.
func (s *scope) mayHaveParts() bool {
	return len(s.session.Spec.Sources) > 1 || len(s.session.Status.Sessions) > 1
}

// Synced is the message of Ready when the cloud matches the spec.
func (s *scope) Synced() string {
	spec, st := &s.session.Spec, &s.session.Status
	switch {
	case spec.Enabled != nil && !*spec.Enabled:
		return "the cloud has the session; it is switched off by spec.enabled"
	case st.Target != nil && st.VNI != nil:
		message := fmt.Sprintf("the cloud copies from %s to %s with VNI %d", names(st.Sources...), names(st.Target.ResolvedInterface), *st.VNI)
		if n := len(st.Sessions); n > 1 {
			message += fmt.Sprintf(" in %d sessions", n)
		}
		if shared := s.sharesVNI(); shared != "" {
			message += ", which " + shared
		}
		if len(s.selectors) > 0 {
			message += "; " + selections(s.selectors)
		}
		if spec.Observes() {
			message += "; it is only observed (spec.managementPolicy)"
		}
		return message
	default:
		return "the cloud has the session"
	}
}

// sharesVNI says which other session has VNI and target, empty when none has.
func (s *scope) sharesVNI() string {
	other := s.sameVNI
	if other == nil {
		return ""
	}
	message := s.sameVNICalled + " to this target has too: their copies can't be told apart, so "
	if s.leftover[other.ID] {
		return message + "one has to go: " + leftOver
	}
	return message + "give one of the two another VNI"
}

// names are the primary addresses of interfaces, or their IDs where they have none.
func names(interfaces ...v1alpha1.ResolvedInterface) string {
	const most = 10
	out := make([]string, 0, most)
	for _, i := range interfaces[:min(most, len(interfaces))] {
		if len(i.Addresses) > 0 {
			out = append(out, i.Addresses[0])
		} else {
			out = append(out, i.InterfaceID)
		}
	}
	if more := len(interfaces) - most; more > 0 {
		return fmt.Sprintf("%s and %d more", strings.Join(out, ", "), more)
	}
	return strings.Join(out, ", ")
}
