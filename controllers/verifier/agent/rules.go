package agent

import (
	"context"
	"fmt"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
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
	reader client.Reader
	known  map[types.UID]cachedRules
}

// cachedRules are those that the cloud had last for one session.
type cachedRules struct {
	filter string
	rules  []v1alpha1.Rule
}

func newRuleCache(reader client.Reader) *ruleCache {
	return &ruleCache{reader: reader, known: make(map[types.UID]cachedRules)}
}

// of returns the rules of a session's filter, and whether the cloud has just these. An
// error says why they are not known and never were; it is a sentence for the session's
// status.
func (c *ruleCache) of(ctx context.Context, s *v1alpha1.MirrorSession) (rules []v1alpha1.Rule, exact bool, err error) {
	known, before := c.known[s.UID]
	name := s.Spec.FilterRef.Name
	if before && known.filter != name && !inCloud(s.Status.Conditions, s.Status.ObservedGeneration, s.Generation) {
		return known.rules, false, nil
	}
	var f v1alpha1.MirrorFilter
	if err = c.reader.Get(ctx, client.ObjectKey{Namespace: s.Namespace, Name: name}, &f); err == nil {
		rules, err = readRules(&f)
	}
	changing := err == nil && !inCloud(f.Status.Conditions, f.Status.ObservedGeneration, f.Generation)
	switch {
	case changing && before && known.filter == name:
		return known.rules, slices.Equal(known.rules, rules), nil
	case changing:
		return rules, false, nil // what the cloud has meanwhile is not known
	case err == nil:
		c.known[s.UID] = cachedRules{filter: name, rules: rules}
		return rules, true, nil
	case before:
		return known.rules, known.filter == name, nil
	case apierrors.IsNotFound(err):
		return nil, false, fmt.Errorf("the MirrorFilter %q does not exist, so no packet can be judged: create it", name)
	default:
		return nil, false, fmt.Errorf("the MirrorFilter %q can't be used to judge packets: %w", name, err)
	}
}

// keep forgets all sessions but those that are alive.
func (c *ruleCache) keep(alive map[types.UID]*v1alpha1.MirrorSession) {
	for uid := range c.known {
		if alive[uid] == nil {
			delete(c.known, uid)
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
