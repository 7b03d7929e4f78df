package diagnosis

import (
	"fmt"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"vpcmirror.io/operator/api/v1alpha1"
)

// Verdict is what TrafficObserved says.
type Verdict struct {
	Status  metav1.ConditionStatus
	Reason  string
	Message string
	// Severity is that of the finding, when Status is not True.
	Severity v1alpha1.Severity
	// DecidedBy is by what it was told.
	DecidedBy v1alpha1.DecidedBy
}

// Judge decides TrafficObserved: first whether anybody can know, then by what the verifiers
// that count now have counted in the present epoch, never by totals of all time.
func Judge(k *Known) Verdict {
	verdict, known := unknowable(k)
	if !known {
		verdict = byCounts(k)
	}
	entries, _ := k.counting()
	if shared := first(entries, func(e v1alpha1.Verification) string { return e.Shared }); shared != "" {
		verdict.Message += "; " + shared
	}
	return verdict
}

// unknowable is the verdict while nobody counts what the cloud copies now: whatever was seen
// before says nothing about that.
func unknowable(k *Known) (Verdict, bool) {
	unknown := func(severity v1alpha1.Severity, by v1alpha1.DecidedBy, reason, message string) (Verdict, bool) {
		return Verdict{metav1.ConditionUnknown, reason, message, severity, by}, true
	}
	entries, gone := k.counting()
	switch {
	case k.suspended():
		return unknown(v1alpha1.SeverityInfo, v1alpha1.DecidedBySpec, v1alpha1.ReasonSuspended,
			"spec.suspend is true: what the cloud copies now is not known")
	case !k.Session.InCloud():
		return unknown(v1alpha1.SeverityInfo, v1alpha1.DecidedByRead, v1alpha1.ReasonNotReady, "the session is not in the cloud yet")
	case k.off() != "":
		return unknown(v1alpha1.SeverityInfo, v1alpha1.DecidedBySpec, v1alpha1.ReasonDisabled, k.off())
	case len(entries) == 0 && len(gone) > 0:
		return unknown(v1alpha1.SeverityWarning, v1alpha1.DecidedByNode, v1alpha1.ReasonVerifierLost, lostMessage(gone))
	case len(entries) == 0:
		return unknown(noVerifierSeverity(k), v1alpha1.DecidedByNode, v1alpha1.ReasonNoVerifier,
			"no verifier has reported from "+hostsOfTarget(k.Session)+": run one there")
	case !k.judged():
		return unknown(v1alpha1.SeverityWarning, v1alpha1.DecidedByNode, v1alpha1.ReasonCaptureFailed, first(entries, messageOf))
	}
	return Verdict{}, false
}

// noVerifierSeverity is Info as long as the verifier may just not have noticed the session.
func noVerifierSeverity(k *Known) v1alpha1.Severity {
	f := k.reported(v1alpha1.ReasonNoVerifier, targetSubject(k.Session))
	if f == nil || k.Now.Sub(f.Since.Time) < k.catchUp() {
		return v1alpha1.SeverityInfo
	}
	return v1alpha1.SeverityWarning
}

// byCounts is the verdict by what was counted in the present epoch.
func byCounts(k *Known) Verdict {
	entries := k.counters()
	var t, ever v1alpha1.Counts
	for _, e := range entries {
		t, ever = t.Plus(k.inEpoch(e)), ever.Plus(e.Counts.InBounds())
	}
	wrong := func(reason, message string) Verdict {
		return Verdict{metav1.ConditionFalse, reason, message, v1alpha1.SeverityError, v1alpha1.DecidedByCount}
	}
	switch silent := silentSources(k); {
	case t.Packets > 0 && k.silent():
		return wrong(v1alpha1.ReasonSilent, silentMessage(k))
	case t.Packets > 0 && len(silent) > 0:
		v := wrong(v1alpha1.ReasonSourceSilent, sourcesSilentMessage(k, silent))
		v.Severity = v1alpha1.SeverityWarning
		return v
	case t.Packets > 0:
		return Verdict{Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonPacketsObserved, Message: "copies that the filter accepts arrive " + where(entries)}
	case t.Unexpected > 0:
		return wrong(v1alpha1.ReasonUnexpectedPackets, "only packets that the filter does not accept arrive "+where(entries)+
			": look at the last packet in status.verification, and at the filter's directions, addresses and ports")
	case t.ForeignSource > 0:
		return wrong(v1alpha1.ReasonForeignSource, foreignMessage(k, entries))
	case t.Undecided > 0 && k.FilterChanging:
		return wrong(v1alpha1.ReasonUndecided, "packets arrive "+where(entries)+
			", but whether the filter accepts them can't be told while the MirrorFilter is not Ready: look at its conditions")
	case t.Undecided > 0:
		return wrong(v1alpha1.ReasonUndecided, "packets arrive "+where(entries)+
			", but whether the filter accepts them can't be told: raise spec.packetLength, or look at the last packet in status.verification")
	case k.silent():
		return wrong(v1alpha1.ReasonSilent, silentMessage(k))
	}
	none := Verdict{Status: metav1.ConditionUnknown, Severity: v1alpha1.SeverityInfo, DecidedBy: v1alpha1.DecidedByCount}
	all, _ := k.counting()
	if failed := first(all, messageOf); failed != "" {
		none.Reason, none.Message, none.Severity, none.DecidedBy = v1alpha1.ReasonCaptureFailed, failed, v1alpha1.SeverityWarning, v1alpha1.DecidedByNode
		return none
	}
	yet := " yet"
	if ever.Packets > 0 {
		yet = " since sources, target, VNI, enabled or filter last changed"
	}
	none.Reason, none.Message = v1alpha1.ReasonNoPackets, "no packet has arrived "+where(entries)+yet+
		": is there traffic that the filter accepts, and does the target's security group allow UDP 4789 from the sources?"
	return none
}

// silent reports whether no copy that the filter accepts was counted for as long as the spec
// allows, by the manager's clock.
func (k *Known) silent() bool {
	after := k.silenceAfter()
	return after > 0 && k.judged() && k.Now.Sub(k.Movement.accepted) >= after && !k.heldBack(v1alpha1.ReasonSilent, "")
}

// silentSources are the sources of which that is so, though not of all together. Where a
// verifier does not tell the sources apart, nothing is known of one; nor of one that has no
// address of its own, as copies count for the first source that has it.
func silentSources(k *Known) []v1alpha1.ResolvedInterface {
	after := k.silenceAfter()
	if after == 0 || !k.judged() || k.silent() || len(k.Session.Status.Sources) < 2 {
		return nil
	}
	if !k.sourcesTold() {
		return nil
	}
	var silent []v1alpha1.ResolvedInterface
	for _, source := range k.Session.Status.Sources {
		moved, watched := k.Movement.sources.at(source.InterfaceID)
		if watched && ownAddress(k.Session, source) && k.Now.Sub(moved) >= after && !k.heldBack(v1alpha1.ReasonSourceSilent, sourceName(source)) {
			silent = append(silent, source)
		}
	}
	return silent
}

// ownAddress reports whether a source has an address that no other source of the session has.
func ownAddress(s *v1alpha1.MirrorSession, source v1alpha1.ResolvedInterface) bool {
	return len(source.Addresses) == 0 || slices.ContainsFunc(source.Addresses, func(address string) bool {
		return !slices.ContainsFunc(s.Status.Sources, func(other v1alpha1.ResolvedInterface) bool {
			return other.InterfaceID != source.InterfaceID && slices.Contains(other.Addresses, address)
		})
	})
}

func silentMessage(k *Known) string {
	return fmt.Sprintf("no copy that the filter accepts was counted %s since %s; spec.silenceAfter is %s",
		where(k.counters()), moment(k.Movement.accepted), span(k.Session.Spec.SilenceAfter.Duration))
}

func sourcesSilentMessage(k *Known, silent []v1alpha1.ResolvedInterface) string {
	said := make([]string, 0, len(silent))
	for _, source := range silent {
		said = append(said, fmt.Sprintf("%s since %s", sourceName(source), moment(k.Movement.sources.of(source.InterfaceID))))
	}
	return fmt.Sprintf("no copy that the filter accepts was counted from %s, while others come; spec.silenceAfter is %s",
		strings.Join(said, ", nor from "), span(k.Session.Spec.SilenceAfter.Duration))
}

func lostMessage(gone []v1alpha1.Verification) string {
	return "the verifier " + where(gone) + " has stopped renewing its lease: the counts are as of its last report. Is its pod running, and can it reach the API server?"
}

// foreignMessage names the address that sends the most, where a verifier could tell.
func foreignMessage(k *Known, entries []v1alpha1.Verification) string {
	sender := ""
	var most int64
	for _, e := range entries {
		if c := k.inEpoch(e); e.ForeignSender != "" && c.ForeignSource > most {
			sender, most = e.ForeignSender, c.ForeignSource
		}
	}
	if sender == "" {
		return "packets with the session's VNI arrive " + where(entries) +
			", but from an address that is no source of it: another session may use the same VNI for this target"
	}
	return fmt.Sprintf("packets with the session's VNI arrive %s from %s, which is no source of it: another session may use the same VNI for this target",
		where(entries), sender)
}

func targetName(s *v1alpha1.MirrorSession) string {
	if s.Status.Target == nil {
		return ""
	}
	return sourceName(s.Status.Target.ResolvedInterface)
}

// sourceName is how people know an interface: its primary address, or its ID.
func sourceName(i v1alpha1.ResolvedInterface) string {
	if len(i.Addresses) > 0 {
		return i.Addresses[0]
	}
	return i.InterfaceID
}

// interfaceOf is the source of a name, empty where there is none.
func (k *Known) interfaceOf(name string) string {
	for _, source := range k.Session.Status.Sources {
		if sourceName(source) == name {
			return source.InterfaceID
		}
	}
	return ""
}

// where reads like: on ecs-target (eth0).
func where(entries []v1alpha1.Verification) string {
	places := make([]string, 0, len(entries))
	for _, e := range entries {
		places = append(places, place(e))
	}
	return "on " + strings.Join(places, ", ")
}

func place(e v1alpha1.Verification) string {
	if e.Interface == "" {
		return e.Node
	}
	return fmt.Sprintf("%s (%s)", e.Node, e.Interface)
}

func moment(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// span is a duration as the spec would have it: 1h0m0s is 1h.
func span(d time.Duration) string {
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

func messageOf(e v1alpha1.Verification) string { return e.Message }

// first is the first of a kind of text that an entry has, with the entry's node.
func first(entries []v1alpha1.Verification, text func(v1alpha1.Verification) string) string {
	for _, e := range entries {
		if said := text(e); said != "" {
			return e.Node + ": " + said
		}
	}
	return ""
}

// hostsOfTarget are the hosts where copies arrive, in words.
func hostsOfTarget(s *v1alpha1.MirrorSession) string {
	if t := s.Status.Target; t != nil && t.LoadBalancerID != "" {
		if members := uncounted(t.Members, nil); len(members) > 0 {
			return membersNamed(members) + " of the load balancer " + targetName(s)
		}
		return "a host behind the load balancer " + targetName(s)
	}
	return "the host that owns the target " + targetName(s)
}
