package diagnosis

import (
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"vpcmirror.io/operator/api/v1alpha1"
)

// since is a moment as a status has it.
func since(t time.Time) metav1.Time { return metav1.NewTime(t.Truncate(time.Second)) }

func warning(by v1alpha1.DecidedBy, reason, subject, message string) v1alpha1.Finding {
	return v1alpha1.Finding{Severity: v1alpha1.SeverityWarning, DecidedBy: by, Reason: reason, Subject: subject, Message: message}
}

// notReady: the cloud does not match the spec. By the Ready condition.
func notReady(k *Known) []v1alpha1.Finding {
	ready := k.ready()
	if ready == nil || ready.Status == metav1.ConditionTrue {
		return nil
	}
	f := warning(v1alpha1.DecidedByRead, ready.Reason, "", ready.Message)
	switch {
	case v1alpha1.GoesOnByItself(ready.Reason) && !k.stalled():
		f.Severity = v1alpha1.SeverityInfo
	case k.stalled() || !k.Session.InCloud():
		f.Severity = v1alpha1.SeverityError
	}
	switch ready.Reason {
	case v1alpha1.ReasonSuspended, v1alpha1.ReasonNoSources, v1alpha1.ReasonNoNodeSelected, v1alpha1.ReasonTooManySources, v1alpha1.ReasonSourceIsTarget:
		f.DecidedBy = v1alpha1.DecidedBySpec
	}
	return []v1alpha1.Finding{k.refusedBy(f)}
}

// unobserved: TrafficObserved is not True. What has findings of its own, with a subject each,
// is left to those; that the session is not in the cloud, to that of Ready.
func unobserved(k *Known) []v1alpha1.Finding {
	v := Judge(k)
	f := v1alpha1.Finding{Severity: v.Severity, DecidedBy: v.DecidedBy, Reason: v.Reason, Message: v.Message}
	switch {
	case v.Status == metav1.ConditionTrue:
		return nil
	case v.Reason == v1alpha1.ReasonVerifierLost, v.Reason == v1alpha1.ReasonCaptureFailed, v.Reason == v1alpha1.ReasonSourceSilent:
		return nil
	case v.Reason == v1alpha1.ReasonNotReady && len(notReady(k)) > 0:
		return nil
	case v.Reason == v1alpha1.ReasonNoPackets:
		f.Remedy = k.hinted(v1alpha1.Remedy(f.Reason))
	case v.Reason == v1alpha1.ReasonNoVerifier:
		f.Subject = targetSubject(k.Session)
	case v.Reason == v1alpha1.ReasonSilent:
		f.Since = since(k.Movement.accepted)
	}
	return []v1alpha1.Finding{f}
}

func targetSubject(s *v1alpha1.MirrorSession) string {
	if s.Status.Target == nil {
		return ""
	}
	return "target " + targetName(s)
}

// captureFailed: a verifier can't look at the interface. By what it says of itself.
func captureFailed(k *Known) []v1alpha1.Finding {
	return ofEntries(k, func(e v1alpha1.Verification) *v1alpha1.Finding {
		if e.Message == "" {
			return nil
		}
		return new(warning(v1alpha1.DecidedByNode, v1alpha1.ReasonCaptureFailed, e.Node, e.Node+": "+e.Message))
	})
}

// verifierLost: a verifier has stopped renewing its lease, so that its counts are old.
func verifierLost(k *Known) []v1alpha1.Finding {
	if !k.awaited() {
		return nil
	}
	_, gone := k.counting()
	var all []v1alpha1.Finding
	for _, e := range gone {
		all = append(all, warning(v1alpha1.DecidedByNode, v1alpha1.ReasonVerifierLost, e.Node, lostMessage([]v1alpha1.Verification{e})))
	}
	return all
}

// booksDontBalance: a capture has read more or fewer frames than came. By its own books:
// frames read and dropped are those that the kernel says came.
func booksDontBalance(k *Known) []v1alpha1.Finding {
	return ofEntries(k, func(e v1alpha1.Verification) *v1alpha1.Finding {
		said := "more frames were read than came"
		switch {
		case e.Imbalance == 0:
			return nil
		case e.Imbalance < 0:
			said = "fewer frames were read than came"
		}
		return new(warning(v1alpha1.DecidedByCount, v1alpha1.ReasonBooksDontBalance, e.Node,
			"the books of the capture on "+place(e)+" do not balance: "+said+", so its counts are not to be trusted"))
	})
}

// verifierBehind: a verifier still counts in another epoch than the session's, which it would
// write at once if it knew epochs and could write. By comparing the two for equality.
func verifierBehind(k *Known) []v1alpha1.Finding {
	return ofEntries(k, func(e v1alpha1.Verification) *v1alpha1.Finding {
		was, is := k.Movement.entries.at(e.Node)
		if !is || was.behind.IsZero() || k.Now.Sub(was.behind) < k.catchUp() {
			return nil
		}
		said := fmt.Sprintf("the verifier on %s counts in epoch %d, while the session is in epoch %d", place(e), e.Epoch, k.Session.Status.Epoch)
		if e.Epoch == 0 {
			said = fmt.Sprintf("the verifier on %s does not count by epochs", place(e))
		}
		return new(warning(v1alpha1.DecidedByCount, v1alpha1.ReasonVerifierBehind, e.Node,
			said+": what it counts says nothing about what is copied since the last change"))
	})
}

// sourceSilent: one source of several sends no copies any more. By when its count last moved.
func sourceSilent(k *Known) []v1alpha1.Finding {
	if Judge(k).Reason != v1alpha1.ReasonSourceSilent {
		return nil
	}
	var all []v1alpha1.Finding
	for _, source := range silentSources(k) {
		f := warning(v1alpha1.DecidedByCount, v1alpha1.ReasonSourceSilent, sourceName(source),
			sourcesSilentMessage(k, []v1alpha1.ResolvedInterface{source}))
		f.Since = since(k.Movement.sources.of(source.InterfaceID))
		all = append(all, f)
	}
	return all
}

// sharedVNI: another session sends copies with the same VNI to the same target. By the cloud's
// list where the caller has it, and by the verifiers, which see what sessions claim.
func sharedVNI(k *Known) []v1alpha1.Finding {
	subject := ""
	if k.Session.Status.VNI != nil {
		subject = fmt.Sprintf("VNI %d", *k.Session.Status.VNI)
	}
	if k.SharedVNI != "" {
		return []v1alpha1.Finding{k.freeVNI(warning(v1alpha1.DecidedByRead, v1alpha1.ReasonSharedVNI, subject, k.SharedVNI))}
	}
	entries, _ := k.counting()
	if shared := first(entries, func(e v1alpha1.Verification) string { return e.Shared }); shared != "" && k.awaited() {
		return []v1alpha1.Finding{warning(v1alpha1.DecidedByCount, v1alpha1.ReasonSharedVNI, subject, shared)}
	}
	return nil
}

// captureDrops: frames reached a node and were not looked at. By the kernel's count of drops.
func captureDrops(k *Known) []v1alpha1.Finding {
	return ofEntries(k, func(e v1alpha1.Verification) *v1alpha1.Finding {
		if !k.happened(v1alpha1.ReasonCaptureDrops, e.Node) {
			return nil
		}
		return new(warning(v1alpha1.DecidedByCount, v1alpha1.ReasonCaptureDrops, e.Node,
			"the capture on "+place(e)+" could not keep up and dropped frames: more copies arrive than are counted"))
	})
}

// unexpectedPackets: beside those that the filter accepts others come from the sources.
func unexpectedPackets(k *Known) []v1alpha1.Finding {
	if !k.happened(v1alpha1.ReasonUnexpectedPackets, "") {
		return nil
	}
	return []v1alpha1.Finding{warning(v1alpha1.DecidedByCount, v1alpha1.ReasonUnexpectedPackets, "",
		"packets that the filter does not accept arrive from the sources too, "+where(k.counters()))}
}

// foreignSource: packets with the session's VNI come from elsewhere.
func foreignSource(k *Known) []v1alpha1.Finding {
	if !k.happened(v1alpha1.ReasonForeignSource, "") {
		return nil
	}
	return []v1alpha1.Finding{warning(v1alpha1.DecidedByCount, v1alpha1.ReasonForeignSource, "", foreignMessage(k, k.counters()))}
}

// unreadableCopies: frames came from a source of the session to the port of the copies that
// are none: the header is another protocol's (RFC 7348 section 5), or cut, or contradicts
// itself.
func unreadableCopies(k *Known) []v1alpha1.Finding {
	if !k.happened(v1alpha1.ReasonUnreadableCopies, "") {
		return nil
	}
	return []v1alpha1.Finding{warning(v1alpha1.DecidedByCount, v1alpha1.ReasonUnreadableCopies, "",
		"frames from a source arrive "+where(k.counters())+" on UDP 4789 that can't be read as copies: their VXLAN header is not valid, or they are cut or malformed")}
}

// clockAhead: a node's clock is ahead of the manager's. By the times of its entry when that
// were looked at, recently: they lay in the future.
func clockAhead(k *Known) []v1alpha1.Finding {
	return ofEntries(k, func(e v1alpha1.Verification) *v1alpha1.Finding {
		if !k.recently(v1alpha1.ReasonClockAhead, e.Node) {
			return nil
		}
		return new(warning(v1alpha1.DecidedByNode, v1alpha1.ReasonClockAhead, e.Node,
			"the clock of "+e.Node+" is ahead of the manager's: the times that it reports lie in the future, and LAST-SEEN goes by the manager's clock"))
	})
}

// ofEntries looks at each entry of a verifier that is alive, while it matters what is counted.
func ofEntries(k *Known, look func(v1alpha1.Verification) *v1alpha1.Finding) []v1alpha1.Finding {
	if !k.awaited() {
		return nil
	}
	entries, _ := k.counting()
	var all []v1alpha1.Finding
	for _, e := range entries {
		if f := look(e); f != nil {
			all = append(all, *f)
		}
	}
	return all
}

func (k *Known) stalled() bool {
	for _, c := range k.Session.Status.Conditions {
		if c.Type == v1alpha1.ConditionStalled {
			return c.Status == metav1.ConditionTrue
		}
	}
	return false
}
