package probe

import (
	"fmt"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"vpcmirror.io/operator/api/v1alpha1"
)

const (
	// readyWithin is how long the watchers have to say that they look for the copies, and arriveWithin how long a
	// probe waits for what is sent and for what arrives.
	readyWithin  = 15 * time.Second
	arriveWithin = 15 * time.Second
	// Longest is how long a probe takes at most.
	Longest = readyWithin + arriveWithin
)

// Advance is the probe as it goes on, by what the verifiers have reported, and after how long it does so by itself, 0
// for never. It changes nothing of p, which may be nil.
func Advance(p *v1alpha1.Probe, reports []v1alpha1.ProbeReport, now time.Time) (next *v1alpha1.Probe, again time.Duration) {
	if !p.Active() {
		return p, 0
	}
	next = p.DeepCopy()
	own := slices.DeleteFunc(slices.Clone(reports), func(r v1alpha1.ProbeReport) bool { return r.Probe != p.ID })
	if next.SendingAt == nil {
		return next, ready(next, own, now)
	}
	return next, finish(next, own, now)
}

// Stop ends a probe that goes on where it may not: the session was suspended, so that nobody would look at it again in
// time, or the administrator has switched probes off. It changes nothing of p, which may be nil.
func Stop(p *v1alpha1.Probe, suspended, allowed bool, now time.Time) *v1alpha1.Probe {
	if !p.Active() || !suspended && allowed {
		return p
	}
	reason, because := v1alpha1.ReasonProbeSuspended, "the session was suspended"
	if !allowed {
		reason, because = v1alpha1.ReasonProbeNotAllowed, "probes were switched off"
	}
	next := p.DeepCopy()
	for _, send := range p.Sends {
		if r := resultOf(next, send.InterfaceID); r != nil && r.Outcome == "" {
			cannotSend(next, send.InterfaceID, reason, because+" before the probe was over: what was sent meanwhile tells nothing")
		}
	}
	end(next, now)
	return next
}

// ready lets the senders send once all watchers look for the copies. Without all of them copies could be counted as
// traffic, so nothing is sent where one does not answer in time.
func ready(p *v1alpha1.Probe, reports []v1alpha1.ProbeReport, now time.Time) (again time.Duration) {
	var missing []string
	for _, node := range p.Watchers {
		if !slices.ContainsFunc(reports, func(r v1alpha1.ProbeReport) bool { return r.Node == node && r.Watching }) {
			missing = append(missing, node)
		}
	}
	if len(missing) == 0 {
		p.SendingAt = new(metav1.NewTime(now))
		return arriveWithin
	}
	if left := left(p.StartedAt, readyWithin, now); left > 0 {
		return left
	}
	for _, send := range p.Sends {
		cannotSend(p, send.InterfaceID, v1alpha1.ReasonProbeUnseen, fmt.Sprintf("the verifier of %s did not say within %s that it looks for the copies, so nothing was sent: look at its log, "+
			"and that it is of the manager's version", strings.Join(missing, ", "), readyWithin))
	}
	end(p, now)
	return 0
}

// left is what is left of a time that began then, 0 when it is over. One that began in the future has just begun.
func left(since metav1.Time, whole time.Duration, now time.Time) time.Duration {
	return min(max(whole+time.Second-now.Sub(since.Time), 0), whole+time.Second) // stored in whole seconds
}

// finish notes what is known of each source, and ends the probe when that is all, or its time is over.
func finish(p *v1alpha1.Probe, reports []v1alpha1.ProbeReport, now time.Time) (again time.Duration) {
	again = left(*p.SendingAt, arriveWithin, now)
	complete := true
	for _, send := range p.Sends {
		complete = conclude(p, send, reports, again == 0) && complete
	}
	if complete {
		end(p, now)
		return 0
	}
	return again
}

func end(p *v1alpha1.Probe, now time.Time) {
	p.FinishedAt, p.Sends = new(metav1.NewTime(now)), nil
}

// conclude notes what is known of a source, and reports whether no more is to come. While copies of what was sent may
// still come the probe goes on: they are to be counted apart.
func conclude(p *v1alpha1.Probe, send v1alpha1.ProbeSend, reports []v1alpha1.ProbeReport, over bool) bool {
	result := resultOf(p, send.InterfaceID)
	if result == nil {
		return true
	}
	sent, copies := sentBy(reports, send), copiesOf(reports, p.Watchers, send.InterfaceID)
	switch {
	case copies != nil:
		result.Outcome = v1alpha1.ProbeArrived
		result.LatencyMicroseconds = nil
		if sent != nil && sent.At != nil {
			// By two clocks, which may contradict each other.
			if took := copies.At.Sub(sent.At.Time); took >= 0 && took < Longest {
				result.LatencyMicroseconds = new(took.Round(10 * time.Microsecond).Microseconds())
			}
		}
		return over || sent != nil && copies.Packets >= int64(sent.Packets)
	case sent != nil && sent.Packets == 0:
		cannotSend(p, send.InterfaceID, v1alpha1.ReasonProbeNotSent, fmt.Sprintf("%s sent nothing: %s", send.Node, sent.Message))
		return true
	case !over:
		return false
	case sent == nil:
		cannotSend(p, send.InterfaceID, v1alpha1.ReasonProbeSenderSilent, fmt.Sprintf("the verifier of %s did not say within %s that it has sent anything: look at its log", send.Node, arriveWithin))
	default:
		result.Outcome = v1alpha1.ProbeNotArrived
	}
	return true
}

func cannotSend(p *v1alpha1.Probe, id, reason, message string) {
	if result := resultOf(p, id); result != nil {
		result.Outcome, result.Reason, result.Message = v1alpha1.ProbeCannotSend, reason, v1alpha1.FitASCII(message, maxMessage)
	}
}

func resultOf(p *v1alpha1.Probe, id string) *v1alpha1.ProbeResult {
	for i := range p.Results {
		if p.Results[i].InterfaceID == id {
			return &p.Results[i]
		}
	}
	return nil
}

// sentBy is what the sender says, nil for nothing.
func sentBy(reports []v1alpha1.ProbeReport, send v1alpha1.ProbeSend) *v1alpha1.ProbeSent {
	for i := range reports {
		for j := range reports[i].Sent {
			if reports[i].Node == send.Node && reports[i].Sent[j].InterfaceID == send.InterfaceID {
				return &reports[i].Sent[j]
			}
		}
	}
	return nil
}

// copiesOf are the copies of all watchers together, nil for none. Of nobody else's word copies arrive, though the node
// that sends may write a report too.
func copiesOf(reports []v1alpha1.ProbeReport, watchers []string, id string) *v1alpha1.ProbeCopies {
	var all *v1alpha1.ProbeCopies
	for i := range reports {
		for _, c := range reports[i].Arrived {
			switch {
			case c.InterfaceID != id || !slices.Contains(watchers, reports[i].Node):
			case all == nil:
				all = &c
			default:
				all.Packets += c.Packets
				if c.At.Before(&all.At) {
					all.At = c.At
				}
			}
		}
	}
	return all
}

// Summary says in a sentence what a probe has told, or what it does.
func Summary(p *v1alpha1.Probe) string {
	if p.Reason != "" {
		return "the probe was refused: " + p.Message
	}
	if p.Active() {
		return fmt.Sprintf("sends packets for %d of %d sources, and looks for their copies on %s", len(p.Sends), len(p.Results), strings.Join(p.Watchers, ", "))
	}
	counts := map[v1alpha1.ProbeOutcome]int{}
	for i := range p.Results {
		counts[p.Results[i].Outcome]++
	}
	return fmt.Sprintf("of %d sources a copy arrived of %d, none of %d, and nothing could be sent for %d",
		len(p.Results), counts[v1alpha1.ProbeArrived], counts[v1alpha1.ProbeNotArrived], counts[v1alpha1.ProbeCannotSend])
}
