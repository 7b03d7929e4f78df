package mirrorsession

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/lru"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/cloud"
	"vpcmirror.io/operator/controllers/diagnosis"
	"vpcmirror.io/operator/controllers/status"
)

// Observe sums up what the verifiers saw, and says whether copies arrive, whether they can, whether
// something takes them, and what stands in the way, with an event of each change. It asks the cloud
// nothing: the way is judged by what was read of it last.
func (s *scope) Observe(ctx context.Context) time.Duration {
	now := s.Clock()
	status.Traffic(s.session, now)
	probed := s.probe(ctx, now)
	memo := s.reconciler.observed.of(s.session)
	known := s.known(ctx, now)
	known.SharedVNI, known.FilterChanging, known.Path = s.sharedVNI(), s.filterChanges(ctx), memo.path
	known.Unknown = s.unknown()
	s.followFilter(&memo.changes)
	resting := s.restOf(known)
	if memo.rest.goesOn(resting) && !s.foundInCloud() {
		s.reconciler.observed.keep(s.session, memo)
		return soonest(s.comesBack(memo.edges.next(now)), s.pathAgainIn(now), probed)
	}
	memo.movement = memo.movement.Next(known)
	known.Movement = memo.movement
	path, traffic, consumer := diagnosis.JudgePath(known), diagnosis.Judge(known), diagnosis.JudgeConsumer(known)
	status.PathClear(s.session, path.Status, path.Reason, path.Message)
	status.TrafficObserved(s.session, traffic.Status, traffic.Reason, traffic.Message)
	status.ConsumerReady(s.session, consumer.Status, consumer.Reason, consumer.Message)
	s.session.Status.Findings = diagnosis.Findings(known)
	if s.foundInCloud() {
		memo.edges = memo.edges.found()
	}
	memo.edges = memo.edges.track(now, diagnosis.Await(known), path.Status == metav1.ConditionFalse)
	before := s.told(memo)
	s.announceVerdict(before, v1alpha1.ConditionPathClear, "Judge", path)
	s.announceVerdict(before, v1alpha1.ConditionTrafficObserved, "Verify", traffic)
	s.announceConsumer(before, consumer)
	s.announceFindings(before)
	memo.told = &v1alpha1.MirrorSessionStatus{
		CommonStatus: v1alpha1.CommonStatus{Conditions: slices.Clone(s.session.Status.Conditions)}, Findings: s.session.Status.Findings,
	}
	again := time.Duration(0)
	memo.rest = rest{}
	if diagnosis.Rests(known) {
		memo.rest = s.restOf(known) // nothing at all while something is to be stored
	} else {
		again = diagnosis.Next(known)
	}
	s.reconciler.observed.keep(s.session, memo)
	return soonest(again, s.comesBack(memo.edges.next(now)), s.pathAgainIn(now), probed)
}

// soonest is the shortest of the times that are not over, 0 when none is to come.
func soonest(all ...time.Duration) (first time.Duration) {
	for _, in := range all {
		if in > 0 && in != never && (first == 0 || in < first) {
			first = in
		}
	}
	return first
}

// known is what is known of the session without the cloud.
func (s *scope) known(ctx context.Context, now time.Time) *diagnosis.Known {
	return &diagnosis.Known{
		Session: s.session, Reported: &s.storedSession().Status, Lost: s.lost(), Overdue: s.overdue(), Now: now,
		CountsDelay: s.reconciler.countsDelay(ctx, now, s.session),
	}
}

// filterChanges reports whether the filter is there, but not in line with its spec.
func (s *scope) filterChanges(ctx context.Context) bool {
	if s.filter == nil && s.noFilter == nil { // nothing was compared with the cloud
		s.readFilter(ctx)
	}
	return s.filter != nil && !status.Settled(s.filter)
}

// unknown are the fields that Kubernetes has left out of the manifests. A filter that can't be read now has none.
func (s *scope) unknown() diagnosis.Unknown {
	all := diagnosis.Unknown{Session: v1alpha1.UnknownFields(s.session)}
	if s.filter != nil {
		all.Filter = v1alpha1.UnknownFields(s.filter)
	}
	return all
}

// sharedVNI is what the cloud shows of another session with VNI and target of this one. A
// reconcile that did not get so far takes back nothing of what was said.
func (s *scope) sharedVNI() string {
	if shared := s.sharesVNI(); shared != "" && s.session.Status.VNI != nil {
		return fmt.Sprintf("the session has VNI %d, which %s", *s.session.Status.VNI, shared)
	}
	if s.compared {
		return ""
	}
	for _, f := range s.storedSession().Status.Findings {
		if f.Reason == v1alpha1.ReasonSharedVNI && f.DecidedBy == v1alpha1.DecidedByRead {
			return f.Message
		}
	}
	return ""
}

// countsDelay is how long the counts of traffic that goes on may stand still in a status, with
// so many sessions as there are. They are counted now and then.
func (r *Reconciler) countsDelay(ctx context.Context, now time.Time, s *v1alpha1.MirrorSession) time.Duration {
	o := &r.observed
	o.mu.Lock()
	defer o.mu.Unlock()
	// Of twenty thousand once a minute: to count them takes as long as some hundred looks.
	often := max(10*time.Second, time.Duration(o.all)*3*time.Millisecond)
	if o.counted.IsZero() || now.Sub(o.counted) >= often {
		var sessions v1alpha1.MirrorSessionList
		// The cache answers this; it fails only when it stops.
		if err := r.Client.List(ctx, &sessions, client.UnsafeDisableDeepCopy); err == nil {
			o.counted, o.all, o.ofNode = now, len(sessions.Items), map[string]int{}
			for i := range sessions.Items {
				for _, node := range reporters(&sessions.Items[i]) {
					o.ofNode[node]++
				}
			}
		}
	}
	most := 0
	for _, node := range reporters(s) {
		most = max(most, o.ofNode[node])
	}
	return v1alpha1.CountsDelay(o.all, most)
}

// reporters are the nodes that have an entry of a session, and those that are to get one.
func reporters(s *v1alpha1.MirrorSession) []string {
	nodes := s.Status.Target.Nodes()
	for _, e := range s.Status.Verification {
		if !slices.Contains(nodes, e.Node) {
			nodes = append(nodes, e.Node)
		}
	}
	return nodes
}

// lost are the nodes of entries whose verifier has stopped renewing its lease.
func (s *scope) lost() map[string]bool {
	reported := s.storedSession().Status
	condition := meta.FindStatusCondition(reported.Conditions, v1alpha1.ConditionTrafficObserved)
	all := condition != nil && condition.Reason == v1alpha1.ReasonVerifierLost
	lost := map[string]bool{}
	for i := range s.session.Status.Verification {
		node := s.session.Status.Verification[i].Node
		was := all || slices.ContainsFunc(reported.Findings, func(f v1alpha1.Finding) bool {
			return f.Reason == v1alpha1.ReasonVerifierLost && f.Subject == node
		})
		lost[node] = s.Liveness.Lost(node, was)
	}
	return lost
}

// overdue are the nodes of entries whose verifier should have renewed its lease by now.
func (s *scope) overdue() map[string]bool {
	overdue := map[string]bool{}
	for i := range s.session.Status.Verification {
		node := s.session.Status.Verification[i].Node
		overdue[node] = s.Liveness.Overdue(node)
	}
	return overdue
}

// told is the status of which events were made last: that of before, though it could not be stored.
func (s *scope) told(memo observation) *v1alpha1.MirrorSessionStatus {
	if memo.told != nil {
		return memo.told
	}
	return &s.storedSession().Status
}

// announceVerdict makes an event when a condition has another reason than before.
func (s *scope) announceVerdict(before *v1alpha1.MirrorSessionStatus, condition, action string, verdict diagnosis.Verdict) {
	was := meta.FindStatusCondition(before.Conditions, condition)
	switch {
	case was == nil && verdict.Status == metav1.ConditionUnknown:
		return // of a new session it says nothing that Ready does not
	case verdict.Reason == v1alpha1.ReasonClear && (was == nil || was.Reason == v1alpha1.ReasonNotJudged):
		return // nothing was in the way
	case was != nil && was.Reason == verdict.Reason && was.Status == verdict.Status:
		return
	}
	s.Event(eventType(verdict.Severity), verdict.Reason, action, "%s", verdict.Message)
}

// announceFindings makes an event of each finding that has come, become worse, or gone.
func (s *scope) announceFindings(before *v1alpha1.MirrorSessionStatus) {
	for _, e := range findingEvents(before, &s.session.Status) {
		s.Event(e.kind, e.reason, e.action, "%s", e.note)
	}
}

// findingEvent is an event about a finding. action names the subject, so that events about
// several are not folded into one.
type findingEvent struct{ kind, reason, action, note string }

// findingEvents are those between two statuses. What a condition's reason says, or said, has
// the event of that condition's change alone.
func findingEvents(before, now *v1alpha1.MirrorSessionStatus) (events []findingEvent) {
	for _, f := range now.Findings {
		was := slices.IndexFunc(before.Findings, func(other v1alpha1.Finding) bool { return diagnosis.SameCause(f, other) })
		worse := was >= 0 && !diagnosis.NeedsPerson(before.Findings[was].Severity) && diagnosis.NeedsPerson(f.Severity)
		told := isCondition(now.Conditions, f.Reason) && !isCondition(before.Conditions, f.Reason)
		if worse || was < 0 && !told {
			events = append(events, findingEvent{
				eventType(f.Severity), f.Reason, strings.TrimSpace("Find " + f.Subject), strings.TrimSuffix(f.Message+". Remedy: "+f.Remedy, ". Remedy: "),
			})
		}
	}
	for _, f := range before.Findings {
		gone := !slices.ContainsFunc(now.Findings, func(other v1alpha1.Finding) bool { return diagnosis.SameCause(f, other) })
		told := isCondition(before.Conditions, f.Reason) && !isCondition(now.Conditions, f.Reason)
		if gone && !told {
			events = append(events, findingEvent{
				corev1.EventTypeNormal, f.Reason, strings.TrimSpace("Over " + f.Subject), "over, since " + f.Since.UTC().Format(time.RFC3339) + ": " + f.Message,
			})
		}
	}
	return events
}

func isCondition(conditions []metav1.Condition, reason string) bool {
	return slices.ContainsFunc(conditions, func(c metav1.Condition) bool { return c.Reason == reason })
}

func eventType(severity v1alpha1.Severity) string {
	if diagnosis.NeedsPerson(severity) {
		return corev1.EventTypeWarning
	}
	return corev1.EventTypeNormal
}

// observations are what this process remembers of each session from one look to the next. The
// zero value is ready.
type observations struct {
	once     sync.Once
	sessions *lru.Cache // a *observation by types.NamespacedName, for the one reconcile that the object has at a time

	mu sync.Mutex
	// counted is when sessions were counted last.
	counted time.Time
	all     int
	ofNode  map[string]int
	// pauses are those of clients that got no answer when the way of copies was read.
	pauses map[cloud.Client]pause
	// rounds are when an account was read last for the sake of an edge.
	rounds map[cloud.Account]time.Time
}

// observation is of the session with the UID alone.
type observation struct {
	uid      types.UID
	movement diagnosis.Movement
	// told are the conditions and findings that the last events were made of, nil while there was none.
	told *v1alpha1.MirrorSessionStatus
	// changes are what status.changes is made from.
	changes changeMemo
	// path is what the cloud said last of the way of the copies, nil while it has said nothing, and
	// generation and epoch are the session's that it is about.
	path              *diagnosis.Path
	generation, epoch int64
	// former are sources that are gone and were taken off the session, as they were known last.
	former []v1alpha1.ResolvedInterface
	// rest is what the last look found, where that was health.
	rest rest
	// edges say when that is to be read anew, and incomplete does where a part gave no answer.
	edges      edges
	incomplete pause
}

// remembered is of how many sessions at most; beyond that silence is measured anew.
const remembered = 20000

func (o *observations) cache() *lru.Cache {
	o.once.Do(func() { o.sessions = lru.New(remembered) })
	return o.sessions
}

func (o *observations) of(s *v1alpha1.MirrorSession) observation {
	if was, known := o.cache().Get(client.ObjectKeyFromObject(s)); known {
		if was, ok := was.(*observation); ok && was.uid == s.UID {
			return *was
		}
	}
	return observation{uid: s.UID}
}

func (o *observations) keep(s *v1alpha1.MirrorSession, now observation) {
	key := client.ObjectKeyFromObject(s)
	if was, known := o.cache().Get(key); known {
		if was, ok := was.(*observation); ok {
			*was = now
			return
		}
	}
	kept := now // so that the parameter need not be kept, which is most often copied above
	o.cache().Add(key, &kept)
}

func (o *observations) forget(key types.NamespacedName) { o.cache().Remove(key) }
