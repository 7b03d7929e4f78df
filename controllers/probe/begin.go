package probe

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"vpcmirror.io/operator/api/v1alpha1"
)

const (
	// Interval is the least time from one probe of a session to the next.
	Interval = time.Minute
	// Stale is how old a request may be: one that a backup brings back, or that nobody was there to take, sends
	// nothing.
	Stale = 5 * time.Minute
	// maxRequest is the bound of status.probe.requestedAt, and maxMessage that of a result's message.
	maxRequest = 64
	maxMessage = 256
	maxCommand = 128
	// leastLength is how much of a packet its copy has to keep to be known: the headers of Ethernet, IPv6 and UDP,
	// and the nonce behind them.
	leastLength = 66
)

// Node is a node of the cluster.
type Node struct {
	Name string
	// Addresses are its InternalIPs.
	Addresses []netip.Addr
}

// Asked is what a request is judged by.
type Asked struct {
	Session *v1alpha1.MirrorSession
	// Rules are those of the session's filter, and NoRules is why they are not known, empty where they are.
	Rules   []v1alpha1.Rule
	NoRules string
	// Nodes are those whose verifiers may send, and Watchers the nodes that count copies of the session.
	Nodes    []Node
	Watchers []string
	// Allowed is false where the administrator has switched probes off.
	Allowed bool
	// ID tells the probe from all others. It is to be random.
	ID  uint32
	Now time.Time
}

// Request is the request of a session that was not taken yet, empty for none.
func Request(s *v1alpha1.MirrorSession) string {
	request := v1alpha1.Fit(s.Annotations[v1alpha1.ProbeRequestedAnnotation], maxRequest)
	if s.Status.Probe != nil && s.Status.Probe.RequestedAt == request {
		return ""
	}
	return request
}

// Due reports whether a probe is to begin now, or after how long one is, 0 for never.
func Due(s *v1alpha1.MirrorSession, now time.Time) (begin bool, in time.Duration) {
	before := s.Status.Probe
	switch {
	case Request(s) == "", before.Active():
		return false, 0
	case before == nil || before.ID == "": // nothing was sent
		return true, 0
	}
	// The time is stored in whole seconds, and a clock that was set back must not hold it for ever.
	passed := now.Sub(before.StartedAt.Time)
	if passed < 0 || passed >= Interval+time.Second {
		return true, 0
	}
	return false, Interval + time.Second - passed
}

// Begin answers a request that is due: it refuses it, or says what is sent from where.
func Begin(a Asked) *v1alpha1.Probe {
	p := &v1alpha1.Probe{RequestedAt: Request(a.Session), StartedAt: metav1.NewTime(a.Now)}
	if p.Reason, p.Message = a.refusal(p.RequestedAt); p.Reason != "" {
		p.FinishedAt = &p.StartedAt
		return p
	}
	sources := a.Session.Status.Sources
	if all := len(sources); all > v1alpha1.MaxProbeSources {
		sources = sources[:v1alpha1.MaxProbeSources]
		p.Message = fmt.Sprintf("the session has %d sources, and a probe is for the first %d of them", all, len(sources))
	}
	for i := range sources {
		result, send := a.choose(sourceOf(&sources[i], uint32(i)))
		if send != nil {
			p.Sends = append(p.Sends, *send)
		}
		p.Results = append(p.Results, result)
	}
	if len(p.Sends) == 0 {
		p.FinishedAt = &p.StartedAt
		return p
	}
	p.ID, p.Watchers = fmt.Sprintf("%08x", a.ID), slices.Clone(a.Watchers)
	return p
}

// refusal is why nothing is sent at all, empty where something may be.
func (a *Asked) refusal(request string) (reason, message string) {
	s := a.Session
	asked, err := time.Parse(time.RFC3339, request)
	length := s.Spec.PacketLength
	switch {
	case !a.Allowed:
		return v1alpha1.ReasonProbeNotAllowed, "the manager runs with --allow-probes=false, so nothing is sent: send a packet that the filter accepts yourself, and look at the counts"
	case err != nil:
		return v1alpha1.ReasonProbeStale, fmt.Sprintf("the annotation %s is %q, which is no time: write the present one, such as %s",
			v1alpha1.ProbeRequestedAnnotation, v1alpha1.Fit(request, 32), a.Now.UTC().Format(time.RFC3339))
	case a.Now.Sub(asked) > Stale, asked.Sub(a.Now) > Stale:
		return v1alpha1.ReasonProbeStale, fmt.Sprintf("the request is of %s, and one counts for %s: ask anew (kubectl mirror why %s --probe), and compare the clocks where that was done just now",
			asked.UTC().Format(time.RFC3339), Stale, s.Name)
	case s.Spec.Suspend:
		return v1alpha1.ReasonProbeSuspended, "spec.suspend is true, so nothing is done for the session: set it to false"
	case len(s.Status.Sessions) == 0 || len(s.Status.Sources) == 0:
		return v1alpha1.ReasonProbeNothingCopied, "the cloud has no session that copies anything for this object yet: see Ready"
	case s.Spec.Enabled != nil && !*s.Spec.Enabled:
		return v1alpha1.ReasonProbeNothingCopied, "spec.enabled is false, so nothing is copied: set it to true"
	case a.NoRules != "":
		return v1alpha1.ReasonProbeNoRule, v1alpha1.FitASCII(a.NoRules, maxMessage)
	case length != nil && *length < leastLength:
		return v1alpha1.ReasonProbeUnseen, fmt.Sprintf("spec.packetLength is %d, and of a copy that short nobody can tell whether it is the probe's: let it be %d or more", *length, leastLength)
	case len(a.Watchers) == 0:
		return v1alpha1.ReasonProbeUnseen, "no verifier counts the session's copies, so nobody would see those of the probe: see TrafficObserved for what is wrong with it"
	}
	return "", ""
}

// source is a source of the session.
type source struct {
	*v1alpha1.ResolvedInterface
	addresses []netip.Addr
	index     uint32
}

func sourceOf(r *v1alpha1.ResolvedInterface, index uint32) source {
	return source{ResolvedInterface: r, addresses: addressesOf(r), index: index}
}

// addressesOf are those of an interface that are addresses.
func addressesOf(r *v1alpha1.ResolvedInterface) []netip.Addr {
	var out []netip.Addr
	for _, text := range r.Addresses {
		if address, err := netip.ParseAddr(text); err == nil {
			out = append(out, address.Unmap())
		}
	}
	return out
}

// has reports whether one of the addresses is the source's.
func (s *source) has(addresses ...netip.Addr) bool {
	return slices.ContainsFunc(addresses, func(a netip.Addr) bool { return slices.Contains(s.addresses, a) })
}

// name is how messages call the source.
func (s *source) name() string {
	if len(s.Addresses) > 0 {
		return s.Addresses[0]
	}
	return s.InterfaceID
}

// choose says what is sent for a source, nil for nothing.
func (a *Asked) choose(s source) (v1alpha1.ProbeResult, *v1alpha1.ProbeSend) {
	result := v1alpha1.ProbeResult{InterfaceID: s.InterfaceID}
	if len(s.Addresses) > 0 {
		result.Address = s.Addresses[0]
	}
	for _, way := range []func(source) *chosen{a.toSource, a.fromSource, a.answerOfSource} {
		if found := way(s); found != nil {
			found.InterfaceID, found.Nonce = s.InterfaceID, int64(a.ID+s.index)
			result.Rule = ruleName(found.rule)
			result.Message = v1alpha1.FitASCII(found.text(), maxMessage)
			return result, &found.ProbeSend
		}
	}
	result.Outcome = v1alpha1.ProbeCannotSend
	for _, rule := range inOrder(a.Rules) {
		if where, command, fits := byHand(rule, s, a.Session.Status.Target); fits {
			result.Rule, result.Reason, result.Command = ruleName(rule), v1alpha1.ReasonProbeNoSender, v1alpha1.Fit(command, maxCommand)
			result.Message = v1alpha1.FitASCII(fmt.Sprintf("no node with a verifier can send what %s accepts: run the command on %s, and look at the counts", ruleText(rule), where), maxMessage)
			return result, nil
		}
	}
	result.Reason = v1alpha1.ReasonProbeNoRule
	result.Message = v1alpha1.FitASCII(fmt.Sprintf("no rule of the filter accepts a packet of %s: see PathClear", s.name()), maxMessage)
	return result, nil
}

func ruleName(r v1alpha1.Rule) *v1alpha1.ProbeRule {
	return &v1alpha1.ProbeRule{Direction: r.Direction, Priority: int32(r.Priority)}
}

func ruleText(r v1alpha1.Rule) string {
	return fmt.Sprintf("the %s rule %d", strings.ToLower(string(r.Direction)), r.Priority)
}
