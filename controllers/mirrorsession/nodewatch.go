package mirrorsession

import (
	"context"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/selection"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"vpcmirror.io/operator/api/v1alpha1"
)

// nodeMatters passes nodes that come or go, and changes of what they are found by. Each node is written
// several times a minute, by which nothing of that changes.
func nodeMatters() predicate.Predicate {
	return predicate.Funcs{CreateFunc: sinceTheStart, UpdateFunc: func(e event.UpdateEvent) bool {
		before, ok1 := e.ObjectOld.(*corev1.Node)
		after, ok2 := e.ObjectNew.(*corev1.Node)
		return ok1 && ok2 && (moved(before, after) || !maps.Equal(before.Labels, after.Labels))
	}}
}

// moved reports whether a node may have another interface than before.
func moved(before, after *corev1.Node) bool {
	return before.Spec.ProviderID != after.Spec.ProviderID ||
		!slices.Equal(before.Status.Addresses, after.Status.Addresses) && !slices.Equal(internalIPs(before), internalIPs(after))
}

// ofNodes wakes the sessions that a node concerns which comes, goes or changes: of a change of labels those
// that have selected it and don't any more, or the other way round.
func (r *Reconciler) ofNodes() handler.EventHandler {
	type queue = workqueue.TypedRateLimitingInterface[reconcile.Request]
	wake := func(ctx context.Context, q queue, nodes ...client.Object) {
		var last *corev1.Node
		for _, o := range nodes {
			if node, ok := o.(*corev1.Node); ok {
				add(q, r.usersOfNode(ctx, node))
				last = node
			}
		}
		if last != nil {
			add(q, r.selectorsOf(ctx, func(by labels.Selector) bool {
				return slices.ContainsFunc(nodes, func(o client.Object) bool { return by.Matches(labels.Set(o.GetLabels())) })
			}, nodes...))
		}
	}
	return handler.Funcs{
		CreateFunc: func(ctx context.Context, e event.CreateEvent, q queue) { wake(ctx, q, e.Object) },
		DeleteFunc: func(ctx context.Context, e event.DeleteEvent, q queue) { wake(ctx, q, e.Object) },
		UpdateFunc: func(ctx context.Context, e event.UpdateEvent, q queue) {
			before, ok1 := e.ObjectOld.(*corev1.Node)
			after, ok2 := e.ObjectNew.(*corev1.Node)
			if !ok1 || !ok2 {
				return
			}
			if moved(before, after) {
				wake(ctx, q, before, after)
				return
			}
			was, is := labels.Set(before.Labels), labels.Set(after.Labels)
			add(q, r.selectorsOf(ctx, func(by labels.Selector) bool { return by.Matches(was) != by.Matches(is) }, before, after))
		},
	}
}

func add(q workqueue.TypedRateLimitingInterface[reconcile.Request], all []reconcile.Request) {
	for _, one := range all {
		q.Add(one)
	}
}

// usersOfNode are the sessions that name a node, run over it, or have an entry of it.
func (r *Reconciler) usersOfNode(ctx context.Context, node *corev1.Node) []reconcile.Request {
	requests := r.sessionsThat(ctx, every, client.MatchingFields{sessionsByNode: node.Name})
	for _, ip := range internalIPs(node) {
		runsOver := func(s *v1alpha1.MirrorSession) bool { return slices.Contains(addressesOf(s), ip) }
		requests = append(requests, r.sessionsThat(ctx, runsOver, client.MatchingFields{sessionsByAddress: addressText(ip)})...)
	}
	return requests
}

// selectorsOf are the sessions with a selector that fits, of those that may be about one of the nodes.
func (r *Reconciler) selectorsOf(ctx context.Context, fits func(labels.Selector) bool, nodes ...client.Object) (requests []reconcile.Request) {
	var terms []string
	for _, n := range nodes {
		terms = append(terms, termsOfNode(n.GetLabels())...)
	}
	slices.Sort(terms)
	fit := func(s *v1alpha1.MirrorSession) bool { return slices.ContainsFunc(selectorsIn(s), fits) }
	for _, term := range slices.Compact(terms) {
		requests = append(requests, r.sessionsThat(ctx, fit, client.MatchingFields{sessionsBySelector: term})...)
	}
	return requests
}

// selectorsIn are the selectors of a session's spec that can be read.
func selectorsIn(s *v1alpha1.MirrorSession) (all []labels.Selector) {
	for i := range s.Spec.Sources {
		if by := s.Spec.Sources[i].NodeSelector; by != nil {
			if is, err := by.Selector(); err == nil {
				all = append(all, is)
			}
		}
	}
	return all
}

// anyNode is the term of a selector that no label has to fit.
const anyNode = "*"

// termsOfNode are the terms of every selector that can match a node with these labels: a label, its key, and
// the term of those that only exclude.
func termsOfNode(has map[string]string) []string {
	terms := make([]string, 0, 2*len(has)+1)
	terms = append(terms, anyNode)
	for key, value := range has {
		terms = append(terms, key, key+"="+value)
	}
	return terms
}

// selectorTerms are what the selectors of a session are found by.
func selectorTerms(s *v1alpha1.MirrorSession) (terms []string) {
	for _, by := range selectorsIn(s) {
		terms = append(terms, termsOf(by)...)
	}
	slices.Sort(terms)
	return slices.Compact(terms)
}

// termsOf are the terms of one requirement of a selector, one of which each node has that it matches; none for
// a selector that matches nothing. Of the requirements it is that which few nodes are likely to fit: every node
// has the labels that Kubernetes sets.
func termsOf(by labels.Selector) []string {
	all, selectable := by.Requirements()
	if !selectable {
		return nil
	}
	best, found := []string{anyNode}, -1
	for _, r := range all {
		var terms []string
		switch r.Operator() {
		case selection.Equals, selection.DoubleEquals, selection.In:
			for value := range r.Values() {
				terms = append(terms, r.Key()+"="+value)
			}
		case selection.Exists:
			terms = []string{r.Key()}
		default: // what a node must not have finds none
			continue
		}
		worth := 0
		if !strings.Contains(r.Key(), "kubernetes.io/") {
			worth += 2
		}
		if r.Operator() != selection.Exists {
			worth++
		}
		if worth > found {
			best, found = terms, worth
		}
	}
	return best
}
