package mirrorsession

import (
	"context"
	"fmt"
	"slices"
	"strconv"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"vpcmirror.io/operator/api/v1alpha1"
)

// What of numbers is indexed: whoever chooses asks for one number after the other. A value of an index that
// one session has alone costs half a kilobyte, so some have one in common: priorities that follow each
// other, and the VNIs of a target.
const (
	sessionsByPriority = "vpcmirror.io/priority"
	sessionsByVNI      = "vpcmirror.io/vni"
	sessionsByChoice   = "vpcmirror.io/choice"

	// namesPriority and waits are the values of sessionsByChoice.
	namesPriority = "named"
	waits         = "waits"
)

// prioritiesTogether are how many priorities have a value of the index in common.
const prioritiesTogether = 32

func priorityText(priority int) string { return strconv.Itoa(priority / prioritiesTogether) }

// prioritiesOf are those that a session asks for or has, as far as it tells.
func prioritiesOf(s *v1alpha1.MirrorSession) (priorities []int) {
	if s.Spec.Priority != nil {
		priorities = append(priorities, int(*s.Spec.Priority))
	}
	for i := range s.Status.Sessions {
		priorities = append(priorities, int(s.Status.Sessions[i].Priority))
	}
	return priorities
}

func priorityTexts(s *v1alpha1.MirrorSession) (texts []string) {
	for _, priority := range prioritiesOf(s) {
		texts = append(texts, priorityText(priority))
	}
	return texts
}

// vnisOf are those that a session asks for or has, at the target that it has.
func vnisOf(s *v1alpha1.MirrorSession) (vnis []vniAt) {
	if s.Status.Target == nil {
		return nil
	}
	for _, vni := range []*int32{s.Spec.VNI, s.Status.VNI} {
		if vni != nil {
			vnis = append(vnis, vniAt{s.Status.Target.ID(), int(*vni)})
		}
	}
	return vnis
}

// vniTargets is the target of those.
func vniTargets(s *v1alpha1.MirrorSession) []string {
	if vnis := vnisOf(s); len(vnis) > 0 {
		return []string{vnis[0].target}
	}
	return nil
}

// choiceOf tells whether a session matters to others that choose numbers.
func choiceOf(s *v1alpha1.MirrorSession) (texts []string) {
	if s.Spec.Priority != nil {
		texts = append(texts, namesPriority)
	}
	if !s.InCloud() {
		texts = append(texts, waits)
	}
	return texts
}

// cachedClaims are what the cache's MirrorSessions have of numbers, but the one with the UID.
type cachedClaims struct {
	ctx    context.Context
	client client.Reader
	uid    types.UID
	// answers are those that the cache gave, for a choice asks for many numbers of one value.
	answers map[[2]string][]v1alpha1.MirrorSession
	// failed is why the cache did not answer, which it does until it stops.
	failed error
}

func (c *cachedClaims) list(name, value string) []v1alpha1.MirrorSession {
	asked := [2]string{name, value}
	if known, is := c.answers[asked]; is {
		return known
	}
	var found v1alpha1.MirrorSessionList
	// The cache's own objects are only read.
	if err := c.client.List(c.ctx, &found, client.MatchingFields{name: value}, client.UnsafeDisableDeepCopy); err != nil && c.failed == nil {
		c.failed = fmt.Errorf("list the MirrorSessions to choose a priority and a VNI: %w", err)
	}
	if c.answers == nil {
		c.answers = map[[2]string][]v1alpha1.MirrorSession{}
	}
	c.answers[asked] = found.Items
	return found.Items
}

func (c *cachedClaims) another(name, value string, has func(*v1alpha1.MirrorSession) bool) bool {
	all := c.list(name, value)
	for i := range all {
		if all[i].UID != c.uid && has(&all[i]) {
			return true
		}
	}
	return false
}

func (c *cachedClaims) hasPriority(priority int) bool {
	return c.another(sessionsByPriority, priorityText(priority), func(s *v1alpha1.MirrorSession) bool { return slices.Contains(prioritiesOf(s), priority) })
}

func (c *cachedClaims) hasVNI(at vniAt) bool {
	return c.another(sessionsByVNI, at.target, func(s *v1alpha1.MirrorSession) bool { return slices.Contains(vnisOf(s), at) })
}

func (c *cachedClaims) named() []*v1alpha1.MirrorSession {
	return pointers(c.list(sessionsByChoice, namesPriority))
}

func (c *cachedClaims) waiting() []*v1alpha1.MirrorSession {
	return pointers(c.list(sessionsByChoice, waits))
}

func pointers(all []v1alpha1.MirrorSession) []*v1alpha1.MirrorSession {
	out := make([]*v1alpha1.MirrorSession, 0, len(all))
	for i := range all {
		out = append(out, &all[i])
	}
	return out
}
