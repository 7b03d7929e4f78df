package why

import (
	"fmt"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"vpcmirror.io/operator/api/v1alpha1"
)

// Names of rows: the stages on the way of the copies, in their order.
const (
	cloud    = "cloud"
	source   = "source"
	order    = "order"
	path     = "path"
	target   = "target"
	consumer = "consumer"
	traffic  = "traffic"
)

// stages are the rows of the findings that don't belong to that of what decided them.
var stages = map[string]string{
	v1alpha1.ReasonSwitchedOff:          cloud,
	v1alpha1.ReasonChangedInCloud:       cloud,
	v1alpha1.ReasonSourceGroupDenies:    source,
	v1alpha1.ReasonFlavorUnsupported:    source,
	v1alpha1.ReasonFilterMatchesNothing: source,
	v1alpha1.ReasonRuleMatchesNothing:   source,
	v1alpha1.ReasonUnknownField:         source,
	v1alpha1.ReasonSourceSilent:         source,
	v1alpha1.ReasonTakenEarlier:         order,
	v1alpha1.ReasonRejectedEarlier:      order,
	v1alpha1.ReasonSharedVNI:            order,
	v1alpha1.ReasonTargetGroupDenies:    path,
	v1alpha1.ReasonNetworkACLDenies:     path,
	v1alpha1.ReasonNoPeering:            path,
	v1alpha1.ReasonNoRoute:              path,
	v1alpha1.ReasonNobodyListens:        consumer,
	v1alpha1.ReasonWrongVNI:             consumer,
	v1alpha1.ReasonConsumerDown:         consumer,
	v1alpha1.ReasonDroppedOnNode:        consumer,
	v1alpha1.ReasonPayloadTruncated:     consumer,
	v1alpha1.ReasonSilent:               target,
	v1alpha1.ReasonNoPackets:            target,
	v1alpha1.ReasonDisabled:             cloud,
}

// stageOf is the row that a finding belongs to. What is found of an interface names it as a
// source or as the target.
func (k *knowledge) stageOf(f v1alpha1.Finding) string {
	if f.Reason == k.condition(v1alpha1.ConditionReady).Reason {
		return cloud
	}
	return stageOf(f)
}

func stageOf(f v1alpha1.Finding) string {
	if stage, is := stages[f.Reason]; is {
		return stage
	}
	switch {
	case strings.HasPrefix(f.Subject, source+" "):
		return source
	case strings.HasPrefix(f.Subject, target+" "):
		return target
	case f.DecidedBy == v1alpha1.DecidedByRead:
		return path
	case f.DecidedBy == v1alpha1.DecidedBySpec:
		return cloud
	default:
		return target
	}
}

// onTheWay reports whether a finding is about what lies before the target.
func onTheWay(f v1alpha1.Finding) bool {
	return slices.Contains([]string{cloud, source, order, path}, stageOf(f)) && !symptom(f)
}

// symptom reports whether a finding only says that copies don't come.
func symptom(f v1alpha1.Finding) bool {
	return slices.Contains([]string{v1alpha1.ReasonSilent, v1alpha1.ReasonSourceSilent, v1alpha1.ReasonNoPackets}, f.Reason)
}

// causes are the findings. That copies don't come is none where something says why.
func (k *knowledge) causes() []v1alpha1.Finding {
	all := slices.Clone(k.Session.Status.Findings)
	explained := slices.ContainsFunc(all, func(f v1alpha1.Finding) bool { return needsPerson(f) && onTheWay(f) })
	return slices.DeleteFunc(all, func(f v1alpha1.Finding) bool { return explained && symptom(f) })
}

// rows are the stages of the way.
func (k *knowledge) rows(state State) []Row {
	rows := []Row{k.cloudRow(), k.sourceRow(), k.orderRow(), k.pathRow(), k.targetRow(), k.consumerRow()}
	if state == Quiet {
		rows = append(rows, Row{traffic, Open, []string{
			"nobody can see from here whether " + k.sourceNames() + " sends or receives anything that the filter accepts",
		}})
	}
	return rows
}

// row puts the findings of a stage before what else is known of it. Without any, the mark is
// the one given.
func (k *knowledge) row(stage string, mark Mark, known ...string) Row {
	row := Row{Name: stage, Mark: mark}
	for _, f := range k.Session.Status.Findings {
		if k.stageOf(f) != stage {
			continue
		}
		switch {
		case needsPerson(f):
			row.Mark = Fail
		case f.DecidedBy == v1alpha1.DecidedBySpec: // it is meant so
			row.Mark = None
		case row.Mark == OK && !symptom(f):
			row.Mark = Open
		}
		says := f.Message
		if !strings.Contains(says, strings.TrimPrefix(strings.TrimPrefix(f.Subject, source+" "), target+" ")) {
			says = f.Subject + ": " + says
		}
		row.Says = append(row.Says, says)
	}
	for _, says := range known {
		if says != "" && !slices.Contains(row.Says, says) {
			row.Says = append(row.Says, says)
		}
	}
	return row
}

func (k *knowledge) cloudRow() Row {
	ready := k.condition(v1alpha1.ConditionReady)
	mark, said := Open, ready.Message
	switch {
	case ready.Type == "":
		mark = None
	case ready.Status == metav1.ConditionTrue:
		mark, said = OK, ""
	}
	return k.row(cloud, mark, said, k.inCloud())
}

// inCloud is what the cloud has of the session.
func (k *knowledge) inCloud() string {
	if !k.Session.InCloud() {
		return ""
	}
	parts := []string{fmt.Sprintf("%s, filter %q%s, %s", k.ofSessions(), k.Session.Spec.FilterRef.Name, k.ofFilter(), k.ofPriorities())}
	if k.Session.Status.VNI != nil {
		parts = append(parts, fmt.Sprintf("VNI %d", *k.Session.Status.VNI))
	}
	return sentence(parts...)
}

// ofSessions names what stands for the session in the cloud: the first of several.
func (k *knowledge) ofSessions() string {
	all := k.Session.Status.Sessions
	if len(all) == 1 {
		return fmt.Sprintf("session %.8s", all[0].ID)
	}
	return fmt.Sprintf("%d sessions, which divide %d sources (the first is %.8s)", len(all), len(k.Session.Status.Sources), all[0].ID)
}

// ofPriorities are the session's, of several from the smallest to the largest.
func (k *knowledge) ofPriorities() string {
	least, most := k.Session.Status.Sessions[0].Priority, k.Session.Status.Sessions[0].Priority
	for i := range k.Session.Status.Sessions {
		priority := k.Session.Status.Sessions[i].Priority
		least, most = min(least, priority), max(most, priority)
	}
	if least == most {
		return fmt.Sprintf("priority %d", least)
	}
	return fmt.Sprintf("priorities from %d to %d", least, most)
}

// ofFilter is what is to be said of the filter.
func (k *knowledge) ofFilter() string {
	if k.Filter == nil {
		return ""
	}
	said := " with " + plural(int64(len(k.Filter.Spec.Rules)), "rule", "rules")
	for _, c := range k.Filter.Status.Conditions {
		if c.Type == v1alpha1.ConditionReady && c.Status != metav1.ConditionTrue {
			said += " (not Ready: " + c.Reason + ")"
		}
	}
	return said
}

// judged is the mark of a stage that the cloud was asked about, if no finding is about it.
func (k *knowledge) judged() Mark {
	switch c := k.condition(v1alpha1.ConditionPathClear); {
	case c.Status == metav1.ConditionTrue, c.Status == metav1.ConditionFalse:
		return OK
	case c.Reason == v1alpha1.ReasonNotJudged, c.Reason == v1alpha1.ReasonNotPermitted:
		return Open
	default: // there is no way to be judged
		return None
	}
}

func (k *knowledge) sourceRow() Row {
	if len(k.Session.Status.Sources) == 0 {
		return k.row(source, None)
	}
	row := k.row(source, k.judged(), k.sourceNames())
	if row.Mark == OK && k.condition(v1alpha1.ConditionPathClear).Status == metav1.ConditionTrue {
		row.Says[len(row.Says)-1] += ": can be mirrored, and a rule can match"
	}
	return row
}

// sourceNames are the sources, with what was counted of each where there are several.
func (k *knowledge) sourceNames() string {
	var names []string
	for _, i := range k.Session.Status.Sources {
		name := nameOf(i)
		if t := k.Session.Status.Traffic; t != nil && len(k.Session.Status.Sources) > 1 {
			for _, counts := range t.Sources {
				if counts.InterfaceID == i.InterfaceID {
					name += " (" + plural(counts.Packets, "copy", "copies") + ")"
				}
			}
		}
		names = append(names, name)
	}
	if len(names) == 0 {
		return "any source"
	}
	return strings.Join(names, ", ")
}

// nameOf is how people know an interface: its primary address, or its ID.
func nameOf(i v1alpha1.ResolvedInterface) string {
	name := i.InterfaceID
	if len(i.Addresses) > 0 {
		name = i.Addresses[0]
	}
	if i.NodeName != "" {
		name += " on node " + i.NodeName
	}
	return name
}

func (k *knowledge) orderRow() Row {
	row := k.row(order, k.judged())
	if len(row.Says) == 0 && k.judged() == OK {
		row.Says = []string{"no session that comes before this one takes its packets"}
	}
	return row
}

func (k *knowledge) pathRow() Row {
	c := k.condition(v1alpha1.ConditionPathClear)
	row := k.row(path, k.judged())
	switch {
	case len(row.Says) > 0:
	case c.Status == metav1.ConditionFalse:
		row.Says = []string{"nothing that was read keeps the copies from the target"}
	default:
		row.Says = nonEmpty(c.Message)
	}
	return row
}

func (k *knowledge) targetRow() Row {
	var known []string
	mark := None
	for _, e := range k.Session.Status.Verification {
		if e.Ended {
			continue
		}
		said := fmt.Sprintf("verifier on %s: %s", placeOf(e), k.counted(e))
		known = append(known, said)
		if k.copies.SinceChange > 0 {
			mark = OK
		}
	}
	if len(known) == 0 && k.Session.Status.Target != nil {
		mark = Open
		known = append(known, "no verifier counts at "+nameOf(k.Session.Status.Target.ResolvedInterface))
	}
	return k.row(target, mark, known...)
}

// counted is what one verifier has counted since the last change.
func (k *knowledge) counted(e v1alpha1.Verification) string {
	counts := e.Counts
	if e.InEpoch != nil {
		counts = *e.InEpoch
	}
	said := plural(counts.Packets, "copy", "copies") + k.sinceChange()
	if e.LastPacketAt != nil && counts.Packets > 0 {
		said += ", the last " + span(max(0, k.Now.Sub(e.LastPacketAt.Time))) + " ago"
	}
	for _, other := range []struct {
		n    int64
		what string
	}{
		{counts.Unexpected, "not accepted by the filter"}, {counts.Undecided, "undecided"}, {counts.ForeignSource, "from elsewhere"},
		{counts.Truncated, "cut"}, {counts.Unreadable, "unreadable"}, {counts.Dropped, "dropped by the capture"},
	} {
		if other.n > 0 {
			said += fmt.Sprintf(", %d %s", other.n, other.what)
		}
	}
	return said
}

// placeOf reads like: ecs-target (eth0).
func placeOf(e v1alpha1.Verification) string {
	if e.Interface == "" {
		return e.Node
	}
	return fmt.Sprintf("%s (%s)", e.Node, e.Interface)
}

func (k *knowledge) consumerRow() Row {
	c := k.condition(v1alpha1.ConditionConsumerReady)
	mark := None
	switch {
	case c.Status == metav1.ConditionTrue:
		mark = OK
	case c.Status == metav1.ConditionFalse:
		mark = Fail
	case c.Status == metav1.ConditionUnknown && k.copies.SinceChange > 0:
		mark = Open
	}
	row := k.row(consumer, mark)
	if len(row.Says) == 0 {
		row.Says = nonEmpty(c.Message)
	}
	return row
}

func nonEmpty(texts ...string) []string {
	return slices.DeleteFunc(texts, func(t string) bool { return t == "" })
}

// before is how long before copies stopped a change may have been made that is shown.
const before = 2 * time.Minute

// changes are those from shortly before the copies stopped on, the oldest first. Nothing is
// shown of a session whose copies arrive.
func (k *knowledge) changes(state State) []v1alpha1.Change {
	began := k.stoppedAt(state)
	if began.IsZero() {
		return nil
	}
	var near []v1alpha1.Change
	for _, c := range slices.Backward(k.Session.Status.Changes) {
		if !c.At.Time.Before(began.Add(-before)) {
			near = append(near, c)
		}
	}
	return near
}

// stoppedAt is when what the state says began, as far as the status shows.
func (k *knowledge) stoppedAt(state State) time.Time {
	switch state {
	case CopiesArrive, Off:
		return time.Time{}
	case Silent, Quiet:
		if k.copies.SinceChange > 0 && k.copies.LastAt != nil {
			return k.copies.LastAt.Time
		}
	default:
	}
	var began time.Time
	for _, f := range k.causes() {
		if began.IsZero() || f.Since.Time.Before(began) {
			began = f.Since.Time
		}
	}
	if at := k.copies.ChangedAt; at != nil && (began.IsZero() || at.Time.Before(began)) && k.copies.SinceChange == 0 {
		began = at.Time
	}
	return began
}
