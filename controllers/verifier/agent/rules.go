package agent

import (
	"context"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/verifier/match"
)

// ruleBook keeps the rules by which each session's packets are judged: those that the
// cloud has. While a filter is being changed they stay as they were, because the
// copies that arrive were made by the old ones.
type ruleBook struct {
	reader client.Reader
	known  map[types.UID][]match.Rule
}

func newRuleBook(reader client.Reader) *ruleBook {
	return &ruleBook{reader: reader, known: make(map[types.UID][]match.Rule)}
}

// of returns the rules of a session's filter, false when they were never known.
func (b *ruleBook) of(ctx context.Context, s *v1alpha1.MirrorSession) ([]match.Rule, bool) {
	var f v1alpha1.MirrorFilter
	err := b.reader.Get(ctx, client.ObjectKey{Namespace: s.Namespace, Name: s.Spec.FilterRef.Name}, &f)
	known, before := b.known[s.UID]
	if err != nil || (before && !inCloud(&f)) {
		return known, before
	}
	rules, err := rulesFrom(&f)
	if err != nil {
		return known, before
	}
	b.known[s.UID] = rules
	return rules, true
}

func (b *ruleBook) forget(session types.UID) { delete(b.known, session) }

// inCloud says whether the cloud has the rules of the present spec.
func inCloud(f *v1alpha1.MirrorFilter) bool {
	return f.Status.ObservedGeneration == f.Generation && meta.IsStatusConditionTrue(f.Status.Conditions, v1alpha1.ConditionReady)
}
