package agent

import (
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/verifier/match"
)

// ruleCache keeps the rules by which each session's packets are judged: those that the
// cloud has. While a filter is being changed, or a session gets another one, the cloud
// works with a mixture; the old rules then stay, and what they don't accept is undecided.
// It is not safe for concurrent use.
type ruleCache struct {
	// filter returns a filter, nil where there is none: the same object until it has changed.
	filter func(types.NamespacedName) (*v1alpha1.MirrorFilter, error)
	known  map[types.UID]cachedRules
	read   map[types.NamespacedName]readFilter
}

// cachedRules are those that the cloud had last for one session.
type cachedRules struct {
	session types.NamespacedName
	filter  string
	rules   []v1alpha1.Rule
}

// readFilter is what was read of a filter, once for all its sessions and until it changes.
type readFilter struct {
	of    *v1alpha1.MirrorFilter
	rules []v1alpha1.Rule
	err   error
}

func newRuleCache(filter func(types.NamespacedName) (*v1alpha1.MirrorFilter, error)) *ruleCache {
	return &ruleCache{filter: filter, known: make(map[types.UID]cachedRules), read: make(map[types.NamespacedName]readFilter)}
}

// of returns the rules of a session's filter, and whether the cloud has just these. An
// error says why they are not known and never were; it is a sentence for the session's
// status.
func (c *ruleCache) of(s *v1alpha1.MirrorSession) (rules []v1alpha1.Rule, exact bool, err error) {
	known, before := c.known[s.UID]
	key := types.NamespacedName{Namespace: s.Namespace, Name: s.Spec.FilterRef.Name}
	f, err := c.filter(key) // asked in any case, so that its changes are told
	if before && known.filter != key.Name && !inCloud(s.Status.Conditions, s.Status.ObservedGeneration, s.Generation) {
		return known.rules, false, nil
	}
	if err == nil && f != nil {
		rules, err = c.rulesOf(key, f)
	}
	found := err == nil && f != nil
	changing := found && !inCloud(f.Status.Conditions, f.Status.ObservedGeneration, f.Generation)
	switch {
	case changing && before && known.filter == key.Name:
		return known.rules, slices.Equal(known.rules, rules), nil
	case changing:
		return rules, false, nil // what the cloud has meanwhile is not known
	case found:
		c.known[s.UID] = cachedRules{session: client.ObjectKeyFromObject(s), filter: key.Name, rules: rules}
		return rules, true, nil
	case before:
		return known.rules, known.filter == key.Name, nil
	case err == nil:
		return nil, false, fmt.Errorf("the MirrorFilter %q does not exist, so no packet can be judged: create it", key.Name)
	default:
		return nil, false, fmt.Errorf("the MirrorFilter %q can't be used to judge packets: %w", key.Name, err)
	}
}

// rulesOf reads the rules of a filter.
func (c *ruleCache) rulesOf(key types.NamespacedName, f *v1alpha1.MirrorFilter) ([]v1alpha1.Rule, error) {
	if c.read[key].of != f {
		rules, err := readRules(f)
		c.read[key] = readFilter{of: f, rules: rules, err: err}
	}
	return c.read[key].rules, c.read[key].err
}

// keep forgets the sessions that are no more, and the filters of which no session is known.
func (c *ruleCache) keep(has func(types.NamespacedName, types.UID) bool) {
	used := make(map[types.NamespacedName]struct{}, len(c.known))
	for uid, known := range c.known {
		if !has(known.session, uid) {
			delete(c.known, uid)
			continue
		}
		used[types.NamespacedName{Namespace: known.session.Namespace, Name: known.filter}] = struct{}{}
	}
	for key := range c.read {
		if _, ok := used[key]; !ok {
			delete(c.read, key)
		}
	}
}

// inCloud reports whether the cloud has what the present spec says.
func inCloud(conditions []metav1.Condition, observed, generation int64) bool {
	return observed == generation && meta.IsStatusConditionTrue(conditions, v1alpha1.ConditionReady)
}

// readRules returns the rules of a filter's spec, and that they can be followed.
func readRules(f *v1alpha1.MirrorFilter) ([]v1alpha1.Rule, error) {
	rules, err := f.Spec.ReadRules()
	if err != nil {
		return nil, err
	}
	if _, err := match.Compile(rules); err != nil {
		return nil, fmt.Errorf("spec.rules: %w", err)
	}
	return rules, nil
}
