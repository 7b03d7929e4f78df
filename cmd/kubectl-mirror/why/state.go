package why

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"vpcmirror.io/operator/api/v1alpha1"
)

// knowledge is what the facts say, read in the way that all parts of an answer need.
type knowledge struct {
	Facts
	copies Copies
}

const (
	// fresh is how old the last copy may be for copies to arrive now: a verifier reports traffic
	// that goes on each 15 s, and somewhat later in a large cluster.
	fresh = time.Minute
	// gaps is how many of the usual times between two copies have to pass without one.
	gaps = 5
	// lapsed is how long a lease must not have been renewed at least: a manager that is replaced
	// by another needs less.
	lapsed = 30 * time.Second
)

func (k *knowledge) condition(kind string) metav1.Condition {
	if c := meta.FindStatusCondition(k.Session.Status.Conditions, kind); c != nil {
		return *c
	}
	return metav1.Condition{}
}

// count reads the counts. In a status without epochs everything is of the present one.
func (k *knowledge) count() {
	t := k.Session.Status.Traffic
	if t == nil {
		return
	}
	c := Copies{Total: t.Packets, ChangedAt: t.Since, LastAt: t.LastPacketAt}
	switch {
	case t.InEpoch != nil:
		c.SinceChange = t.InEpoch.Packets
	case k.Session.Status.Epoch == 0:
		c.SinceChange = t.Packets
	}
	began := t.FirstPacketAt
	if began != nil && t.Since != nil && began.Before(t.Since) {
		began = t.Since
	}
	if began != nil && c.LastAt != nil && c.SinceChange > 2 {
		c.SecondsApart = max(0, c.LastAt.Sub(began.Time).Seconds()) / float64(c.SinceChange-1)
	}
	k.copies = c
}

// silence is how long ago the last copy came.
func (k *knowledge) silence() time.Duration {
	if k.copies.LastAt == nil {
		return 0
	}
	return max(0, k.Now.Sub(k.copies.LastAt.Time))
}

// stopped reports whether copies came since the last change, and none for longer than usual.
func (k *knowledge) stopped() bool {
	usual := time.Duration(k.copies.SecondsApart * gaps * float64(time.Second))
	return k.copies.LastAt != nil && k.silence() > max(fresh, usual)
}

// off reports whether the spec wants no copies.
func (k *knowledge) off() bool {
	s := k.Session.Spec
	return s.Enabled != nil && !*s.Enabled || len(s.Sources) == 0
}

// inLine reports whether the cloud matched the spec that the status speaks of.
func (k *knowledge) inLine() bool {
	return k.condition(v1alpha1.ConditionReady).Status == metav1.ConditionTrue
}

// shut reports whether no copy of any source can get to the target. What the cloud says of the
// way is a finding then, of the severity Error.
func (k *knowledge) shut() bool {
	path := k.condition(v1alpha1.ConditionPathClear)
	return path.Status == metav1.ConditionFalse && slices.ContainsFunc(k.Session.Status.Findings, func(f v1alpha1.Finding) bool {
		return f.Reason == path.Reason && f.Severity == v1alpha1.SeverityError
	})
}

// state is what the status says, whatever its age.
func (k *knowledge) state() State {
	ready, traffic := k.condition(v1alpha1.ConditionReady), k.condition(v1alpha1.ConditionTrafficObserved)
	switch {
	case !k.Session.DeletionTimestamp.IsZero():
		return NotReady
	case ready.Type == "", k.Session.Spec.Suspend:
		return Unknown
	case k.off() && (k.inLine() || ready.Reason == v1alpha1.ReasonNoSources || ready.Reason == v1alpha1.ReasonNoNodeSelected), traffic.Reason == v1alpha1.ReasonDisabled && k.inLine():
		return Off
	case k.off(), !k.Session.InCloud(), traffic.Reason == v1alpha1.ReasonNotReady:
		return NotReady
	case traffic.Type == "":
		return Unknown
	case k.copies.SinceChange > 0:
		return k.afterCopies(traffic)
	default:
		return k.withoutCopies(traffic)
	}
}

// afterCopies is the state of a session of which copies were counted since the last change.
func (k *knowledge) afterCopies(traffic metav1.Condition) State {
	path := k.condition(v1alpha1.ConditionPathClear)
	switch {
	case traffic.Reason == v1alpha1.ReasonSilent, k.shut():
		return Silent
	case traffic.Status == metav1.ConditionUnknown: // nobody counts any more
		return Unknown
	case k.stopped() && path.Status == metav1.ConditionTrue:
		return Quiet
	case k.stopped():
		return Silent
	case k.untaken():
		return NobodyTakesThem
	case path.Status == metav1.ConditionFalse, traffic.Reason == v1alpha1.ReasonSourceSilent:
		return NotAllArrive
	default:
		return CopiesArrive
	}
}

// withoutCopies is the state of a session of which none was counted since the last change.
func (k *knowledge) withoutCopies(traffic metav1.Condition) State {
	path := k.condition(v1alpha1.ConditionPathClear)
	blocked := slices.ContainsFunc(k.Session.Status.Findings, func(f v1alpha1.Finding) bool { return needsPerson(f) && onTheWay(f) })
	switch {
	case traffic.Status == metav1.ConditionFalse, path.Status == metav1.ConditionFalse, blocked:
		return NoCopiesArrive
	case !k.inLine():
		return NotReady
	case traffic.Reason == v1alpha1.ReasonNoPackets && path.Status == metav1.ConditionTrue:
		return Quiet
	default:
		return Unknown
	}
}

// untaken reports whether nothing on the target's node gets the copies. ConsumerReady is False
// too where something does, but not all of them or not whole.
func (k *knowledge) untaken() bool {
	c := k.condition(v1alpha1.ConditionConsumerReady)
	return c.Status == metav1.ConditionFalse && slices.Contains([]string{
		v1alpha1.ReasonNobodyListens, v1alpha1.ReasonWrongVNI, v1alpha1.ReasonConsumerDown, v1alpha1.ReasonDroppedOnNode,
	}, c.Reason)
}

// notes say why the status may be of before.
func (k *knowledge) notes() []string {
	var notes []string
	if l := k.Lease; l != nil {
		where := "look at the Deployment of the manager in namespace " + l.Namespace
		switch age := k.Now.Sub(l.RenewedAt); {
		case age <= max(lapsed, 2*l.Duration):
		case l.Held:
			notes = append(notes, fmt.Sprintf("the manager has not renewed its lease for %s: the status may be of before; %s", span(age), where))
		default:
			notes = append(notes, fmt.Sprintf("no manager has held the lease for %s: the status may be of before; %s", span(age), where))
		}
	}
	switch observed := k.Session.Status.ObservedGeneration; {
	case observed < 0:
		notes = append(notes, "no manager has looked at it yet: is vpcmirror-manager running, and does it serve this namespace?")
	case observed < k.Session.Generation:
		notes = append(notes, fmt.Sprintf("the spec has changed (generation %d), and the status is of the one before (generation %d)", k.Session.Generation, observed))
	}
	if k.Waited > 0 {
		notes = append(notes, fmt.Sprintf("the manager was asked to look now, and has not answered within %s", span(k.Waited)))
	}
	return notes
}

// observedAt is when the manager last wrote the status, or the time of the last request that it
// has answered, if that has one.
func (k *knowledge) observedAt() *metav1.Time {
	var at *metav1.Time
	for _, e := range k.Session.ManagedFields {
		if e.Manager == managerName && e.Subresource == "status" && e.Time != nil && (at == nil || at.Before(e.Time)) {
			at = e.Time
		}
	}
	if asked, err := time.Parse(time.RFC3339Nano, k.Session.Status.LastHandledReconcileAt); err == nil && (at == nil || at.Time.Before(asked)) && !asked.After(k.Now) {
		at = &metav1.Time{Time: asked}
	}
	return at
}

// managerName is the manager's name in server-side apply.
const managerName = "vpcmirror-manager"

// words are what a headline calls the states.
var words = map[State]string{
	CopiesArrive:    "COPIES ARRIVE",
	NotAllArrive:    "COPIES ARRIVE, BUT NOT ALL",
	NobodyTakesThem: "COPIES ARRIVE, NOBODY TAKES THEM",
	NoCopiesArrive:  "NO COPIES ARRIVE",
	Silent:          "SILENT",
	Quiet:           "QUIET",
	Off:             "OFF",
	NotReady:        "NOT READY",
	Unknown:         "UNKNOWN",
}

// headline is the state, and in brackets what belongs to it.
func (k *knowledge) headline(state State) string {
	headline := words[state]
	if state == Silent && k.copies.LastAt != nil {
		headline += " for " + span(k.silence())
	}
	if detail := k.detail(state); detail != "" {
		headline += " (" + detail + ")"
	}
	return headline
}

func (k *knowledge) detail(state State) string {
	switch state {
	case CopiesArrive, NotAllArrive, NobodyTakesThem:
		return sentence(plural(k.copies.SinceChange, "copy", "copies"), k.lastOne(), k.pace())
	case Silent:
		last := ""
		if k.copies.LastAt != nil {
			last = "the last at " + k.moment(k.copies.LastAt.Time)
		}
		return sentence(plural(k.copies.SinceChange, "copy", "copies")+" before", last, k.pace())
	case NoCopiesArrive:
		return k.none()
	case Quiet:
		if k.copies.SinceChange > 0 {
			return sentence(plural(k.copies.SinceChange, "copy", "copies"), k.lastOne(), k.pace()) + "; nothing stands in the way"
		}
		return k.none() + "; nothing stands in the way"
	case Off:
		return k.whyOff()
	case NotReady:
		if !k.Session.DeletionTimestamp.IsZero() {
			return "it is being deleted"
		}
		return k.condition(v1alpha1.ConditionReady).Reason
	default:
		return k.whyUnknown()
	}
}

// none says that no copy came, since when.
func (k *knowledge) none() string {
	if k.copies.Total == 0 {
		return "no copy yet"
	}
	return "no copy" + k.sinceChange() + ", " + plural(k.copies.Total, "copy", "copies") + " before it"
}

func (k *knowledge) sinceChange() string {
	if k.copies.ChangedAt == nil {
		return ""
	}
	return " since the last change at " + k.moment(k.copies.ChangedAt.Time)
}

func (k *knowledge) lastOne() string {
	if k.copies.LastAt == nil {
		return ""
	}
	return "the last " + span(k.silence()) + " ago"
}

// pace is how often copies came.
func (k *knowledge) pace() string {
	switch apart := k.copies.SecondsApart; {
	case apart <= 0:
		return ""
	case apart < 1:
		return fmt.Sprintf("usually %.0f a second", 1/apart)
	case apart < 100:
		return fmt.Sprintf("usually one each %.1f s", apart)
	default:
		return "usually one each " + span(time.Duration(apart*float64(time.Second)))
	}
}

func (k *knowledge) whyOff() string {
	switch s := k.Session.Spec; {
	case s.Enabled != nil && !*s.Enabled:
		return "spec.enabled is false"
	case len(s.Sources) == 0:
		return "spec.sources is empty"
	default:
		return k.condition(v1alpha1.ConditionTrafficObserved).Message
	}
}

func (k *knowledge) whyUnknown() string {
	traffic := k.condition(v1alpha1.ConditionTrafficObserved)
	switch {
	case k.condition(v1alpha1.ConditionReady).Type == "":
		return "the status says nothing yet"
	case k.Session.Spec.Suspend:
		return "spec.suspend is true: nobody looks at what the cloud does"
	case traffic.Type == "":
		return "the status does not say whether copies come"
	case traffic.Reason == v1alpha1.ReasonNoPackets:
		return k.none() + ", and what lies on the way could not be judged"
	default:
		return traffic.Reason
	}
}

// sentence joins what is not empty.
func sentence(parts ...string) string {
	return strings.Join(slices.DeleteFunc(parts, func(p string) bool { return p == "" }), ", ")
}

func plural(n int64, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// moment is a time of day in UTC, as in the messages of the status, with the date where that is
// not today's.
func (k *knowledge) moment(t time.Time) string {
	t, now := t.UTC(), k.Now.UTC()
	if t.YearDay() == now.YearDay() && t.Year() == now.Year() {
		return t.Format("15:04:05Z")
	}
	return t.Format("2006-01-02 15:04:05Z")
}

// span is a duration in one unit, as a person would say it.
func span(d time.Duration) string {
	switch {
	case d < 2*time.Minute:
		return fmt.Sprintf("%d s", int(max(0, d).Seconds()))
	case d < 2*time.Hour:
		return fmt.Sprintf("%d m", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h", int(d.Hours()))
	default:
		return fmt.Sprintf("%d d", int(d.Hours()/24))
	}
}
