package mirrorsession

import (
	"context"
	"fmt"
	"strconv"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"vpcmirror.io/operator/api/v1alpha1"
)

// What of numbers is indexed: whoever chooses asks for one number after the other.
const (
	sessionsByPriority = "vpcmirror.io/priority"
	sessionsByVNI      = "vpcmirror.io/vni"
	sessionsByChoice   = "vpcmirror.io/choice"

	// namesPriority and waits are the values of sessionsByChoice.
	namesPriority = "named"
	waits         = "waits"
)

// prioritiesOf are those that a session asks for or has, as far as it tells.
func prioritiesOf(s *v1alpha1.MirrorSession) (texts []string) {
	if s.Spec.Priority != nil {
		texts = append(texts, strconv.Itoa(int(*s.Spec.Priority)))
	}
	for i := range s.Status.Sessions {
		texts = append(texts, strconv.Itoa(int(s.Status.Sessions[i].Priority)))
	}
	return texts
}

// vnisOf are those that a session asks for or has, at the target that it has.
func vnisOf(s *v1alpha1.MirrorSession) (texts []string) {
	if s.Status.Target == nil {
		return nil
	}
	for _, vni := range []*int32{s.Spec.VNI, s.Status.VNI} {
		if vni != nil {
			texts = append(texts, vniAt{s.Status.Target.InterfaceID, int(*vni)}.String())
		}
	}
	return texts
}

func (v vniAt) String() string { return strconv.Itoa(v.vni) + "/" + v.target }

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
	// failed is why the cache did not answer, which it does until it stops.
	failed error
}

func (c *cachedClaims) list(name, value string) []v1alpha1.MirrorSession {
	var found v1alpha1.MirrorSessionList
	// The cache's own objects are only read.
	if err := c.client.List(c.ctx, &found, client.MatchingFields{name: value}, client.UnsafeDisableDeepCopy); err != nil && c.failed == nil {
		c.failed = fmt.Errorf("list the MirrorSessions to choose a priority and a VNI: %w", err)
	}
	return found.Items
}

func (c *cachedClaims) another(name, value string) bool {
	for _, s := range c.list(name, value) {
		if s.UID != c.uid {
			return true
		}
	}
	return false
}

func (c *cachedClaims) hasPriority(priority int) bool {
	return c.another(sessionsByPriority, strconv.Itoa(priority))
}

func (c *cachedClaims) hasVNI(at vniAt) bool { return c.another(sessionsByVNI, at.String()) }

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
