package diagnosis

import (
	"fmt"
	"slices"
	"strings"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/cloud"
)

const (
	// maxMessage, maxRemedy are the bounds of a finding's texts.
	maxMessage, maxRemedy = 1024, 512
	// vxlanPort is where copies go (VPC user guide, "Traffic Mirroring").
	vxlanPort = 4789
)

// obstacles are the causes on the way: each looks at one thing.
var obstacles = []func(*Known) sight{
	switchedOff, notAnInterface, interfaceGone, interfaceDetached, serverStopped, interfaceDown, flavorUnsupported,
	sourceGroupDenies, sourceACLDenies, noPath, sourceACLAssumed, unlessBalanced(targetACLDenies), targetGroupDenies,
	balancerDelivers, atMembers,
}

// unlessBalanced leaves a look out where the target is a load balancer: members are looked at one by one.
func unlessBalanced(look func(*Known) sight) func(*Known) sight {
	return func(k *Known) sight {
		if k.balanced() {
			return sight{}
		}
		return look(k)
	}
}

// sight is what a look at the way gave.
type sight struct {
	obstacles []obstacle
	// doubts are what decides and could not be judged.
	doubts []doubt
	// assumed are what was taken for granted, as what follows "assuming that".
	assumed []string
}

func (s *sight) add(other sight) {
	s.obstacles = append(s.obstacles, other.obstacles...)
	s.doubts = append(s.doubts, other.doubts...)
	s.assumed = append(s.assumed, other.assumed...)
}

func (s *sight) stop(o obstacle) { s.obstacles = append(s.obstacles, o) }
func (s *sight) doubt(d doubt)   { s.doubts = append(s.doubts, d) }
func (s *sight) assume(format string, args ...any) {
	s.assumed = append(s.assumed, fmt.Sprintf(format, args...))
}

// doubt is something that decides about the way and could not be judged.
type doubt struct {
	// action is the right that is missing, empty when it is not that.
	action string
	says   string
}

// unread is the doubt about an answer that is needed and not there.
func unread(what string, missing *Missing) doubt {
	switch {
	case missing == nil:
		return doubt{says: what + " were not read"}
	case missing.Action != "":
		return doubt{action: missing.Action, says: fmt.Sprintf("the account may not read %s: grant it %s", what, missing.Action)}
	default:
		return doubt{says: fmt.Sprintf("%s could not be read: %s", what, missing.Says)}
	}
}

// obstacle holds up the copies of a source, or of all.
type obstacle struct {
	reason string
	// source is the ID of the interface whose copies are held up, empty for all.
	source string
	// partly is whether it holds up only some of the source's packets.
	partly bool
	// about is what it is about where it holds up all, empty where that is the source itself.
	about string
	// message names the source, and remedy its address.
	message, remedy around
}

// around is a text, with a place in it for what differs between sources where it is open.
type around struct {
	before, after string
	open          bool
}

// plain is a text without a place, and open one between two parts.
func plain(format string, args ...any) around { return around{before: fmt.Sprintf(format, args...)} }
func open(before, after string) around        { return around{before: before, after: after, open: true} }

// onTheWay is what stands in the way of the copies, by what was read. While nobody has looked,
// what was found stays. What is read never wins over copies that are counted.
func onTheWay(k *Known) []v1alpha1.Finding {
	switch {
	case k.noCopiesWanted() != "":
		return nil
	case k.Path == nil:
		return k.standing(wayReasons)
	default:
		return k.found(k.seen().obstacles)
	}
}

// seen is what all looks at the way gave, without what the counts refute.
func (k *Known) seen() sight {
	all, _ := k.seenAndRefuted()
	return all
}

// seenAndRefuted are what all looks at the way gave, and the obstacles that copies get over
// whatever the reads say.
func (k *Known) seenAndRefuted() (all sight, refuted []obstacle) {
	for _, look := range obstacles {
		all.add(look(k))
	}
	standing := all.obstacles[:0:0]
	for _, o := range all.obstacles {
		if k.refuted(o) {
			refuted = append(refuted, o)
		} else {
			standing = append(standing, o)
		}
	}
	all.obstacles = standing
	return all, refuted
}

// refuted reports whether copies come that the obstacle should hold up. That a session is switched
// off is no matter of the way, and soon mended.
func (k *Known) refuted(o obstacle) bool {
	if o.reason == v1alpha1.ReasonSwitchedOff {
		return false
	}
	return !k.isFormer(o.source) && k.overcome(denial{o.reason, o.source, o.about + " " + o.message.before + o.message.after})
}

// standing are the findings of some reasons that were said before.
func (k *Known) standing(reasons []string) []v1alpha1.Finding {
	if k.Reported == nil {
		return nil
	}
	var all []v1alpha1.Finding
	for _, f := range k.Reported.Findings {
		if slices.Contains(reasons, f.Reason) {
			all = append(all, f)
		}
	}
	return all
}

// wayReasons are those of what the looks at the way find, in the order in which they are said.
var wayReasons = []string{
	v1alpha1.ReasonSwitchedOff, v1alpha1.ReasonInterfaceReplaced, v1alpha1.ReasonInterfaceGone, v1alpha1.ReasonInterfaceDetached,
	v1alpha1.ReasonServerStopped, v1alpha1.ReasonInterfaceDown, v1alpha1.ReasonFlavorUnsupported, v1alpha1.ReasonSourceGroupDenies,
	v1alpha1.ReasonLoadBalancerGone, v1alpha1.ReasonNoListener, v1alpha1.ReasonNoMembers, v1alpha1.ReasonMembersUnhealthy,
	v1alpha1.ReasonMemberPort, v1alpha1.ReasonSourcesHidden,
	v1alpha1.ReasonNoPeering, v1alpha1.ReasonNoRoute, v1alpha1.ReasonNetworkACLDenies, v1alpha1.ReasonTargetGroupDenies,
}

// found makes findings of obstacles. Where one thing holds up all sources, that is one finding,
// and where every source is held up by something, each of these is an error.
func (k *Known) found(all []obstacle) []v1alpha1.Finding {
	severity := v1alpha1.SeverityWarning
	if k.allHeldUp(all) {
		severity = v1alpha1.SeverityError
	}
	var findings []v1alpha1.Finding
	for _, reason := range wayReasons {
		left := slices.DeleteFunc(slices.Clone(all), func(o obstacle) bool { return o.reason != reason })
		shared := slices.DeleteFunc(slices.Clone(left), func(o obstacle) bool { return o.about == "" })
		if k.allHeldUp(shared) {
			findings = append(findings, k.finding(shared, shared[0].about, severity))
			left = slices.DeleteFunc(left, func(o obstacle) bool { return o.about != "" })
		}
		if some := slices.DeleteFunc(slices.Clone(left), func(o obstacle) bool { return o.source != "" || o.about == "" }); len(some) > 0 {
			findings = append(findings, k.finding(some, some[0].about, severity)) // of part of all copies
		}
		for _, source := range k.named() {
			own := slices.DeleteFunc(slices.Clone(left), func(o obstacle) bool { return o.source != source })
			if len(own) > 0 {
				findings = append(findings, k.finding(own, k.sourceAbout(source), severity))
			}
		}
	}
	return findings
}

// allHeldUp reports whether no copy of any source comes, by these obstacles.
func (k *Known) allHeldUp(all []obstacle) bool {
	return len(all) > 0 && !slices.ContainsFunc(k.sources(), func(source string) bool {
		return !slices.ContainsFunc(all, func(o obstacle) bool { return !o.partly && (o.source == "" || o.source == source) })
	})
}

// finding says obstacles of one reason and subject. Sources with the same words share a sentence.
func (k *Known) finding(all []obstacle, subject string, severity v1alpha1.Severity) v1alpha1.Finding {
	if !slices.ContainsFunc(all, func(o obstacle) bool { return !o.partly }) {
		severity = v1alpha1.SeverityWarning
	}
	var messages, remedies sentences
	for _, o := range all {
		name, prefix := "", ""
		if o.source != "" {
			name = k.nameOf(o.source)
			if from, _ := k.outer(o.source); from.IsValid() {
				prefix = single(from)
			}
		}
		messages.add(o.message, name)
		remedies.add(o.remedy, prefix)
	}
	return v1alpha1.Finding{
		Severity: severity, DecidedBy: v1alpha1.DecidedByRead, Reason: all[0].reason, Subject: subject,
		Message: v1alpha1.Fit(messages.String(), maxMessage), Remedy: v1alpha1.Fit(remedies.String(), maxRemedy),
	}
}

// sentences are texts, and what goes into the place of each.
type sentences struct {
	texts []around
	names map[around][]string
}

func (s *sentences) add(text around, name string) {
	if s.names == nil {
		s.names = map[around][]string{}
	}
	if !slices.Contains(s.texts, text) {
		s.texts = append(s.texts, text)
	}
	if text.open && !slices.Contains(s.names[text], name) {
		s.names[text] = append(s.names[text], name)
	}
}

func (s *sentences) String() string {
	said := make([]string, 0, len(s.texts))
	for _, text := range s.texts {
		said = append(said, text.before+inWords(s.names[text])+text.after)
	}
	return strings.Join(said, "; ")
}

// sources are the IDs of the interfaces that are to be copied from.
func (k *Known) sources() []string { return k.Path.Session.Sources }

// named are those, and those that the spec names beside them and that are gone.
func (k *Known) named() []string {
	all := slices.Clone(k.sources())
	for _, i := range k.Path.Former {
		all = append(all, i.ID)
	}
	return all
}

// isFormer reports whether an interface was a source, is gone, and was taken off the session.
func (k *Known) isFormer(id string) bool {
	return slices.ContainsFunc(k.Path.Former, func(i cloud.Interface) bool { return i.ID == id })
}

// source is an interface that is to be copied from, nil where it was not read.
func (k *Known) source(id string) *cloud.Interface {
	for i := range k.Path.Sources {
		if k.Path.Sources[i].ID == id {
			return &k.Path.Sources[i]
		}
	}
	return nil
}

// inWords reads like: a, b and c.
func inWords(names []string) string {
	if n := len(names) - 1; n > 0 {
		return strings.Join(names[:n], ", ") + " and " + names[n]
	}
	return strings.Join(names, "")
}
