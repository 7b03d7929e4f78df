package credentials

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/labels"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"vpcmirror.io/operator/controllers/cloud"
)

var errSelectsAll = errors.New("it selects every namespace: write kubernetes.io/metadata.name, which every namespace has, if that is meant")

// ParseSelector reads the selector of the namespaces that the operator's own credentials
// serve. Nothing selects nothing; a selector without a requirement, which would select all,
// is refused.
func ParseSelector(text string) (labels.Selector, error) {
	if strings.TrimSpace(text) == "" {
		return labels.Nothing(), nil
	}
	selector, err := labels.Parse(text)
	if err != nil {
		return nil, fmt.Errorf("%q is no label selector like team=network: %w", text, err)
	}
	if selector.Empty() {
		return nil, fmt.Errorf("%q: %w", text, errSelectsAll)
	}
	return selector, nil
}

// Namespaces says which namespaces the operator's own credentials serve, by their labels
// as the API server has them. Its methods may be called from several goroutines. A nil one
// serves none.
type Namespaces struct {
	reader   client.Reader
	selector labels.Selector
	clock    cloud.Clock

	mu sync.Mutex
	// told is what was said last of a namespace, and changed those of which something
	// else was said before.
	told    map[string]told
	changed map[string]bool
}

// told is an answer about a namespace.
type told struct {
	served bool
	began  time.Time // when the read began that gave it
}

// NewNamespaces makes one. reader must read from the API server itself: namespaces are
// neither listed nor watched.
func NewNamespaces(reader client.Reader, selector labels.Selector, clock cloud.Clock) *Namespaces {
	return &Namespaces{reader: reader, selector: selector, clock: clock, told: map[string]told{}, changed: map[string]bool{}}
}

// None reports whether no namespace can be served.
func (n *Namespaces) None() bool {
	if n == nil {
		return true
	}
	requirements, selectable := n.selector.Requirements()
	return !selectable || len(requirements) == 0
}

// Serve reports whether a namespace is served, by a read that began at or after notBefore. One that
// does not exist is not.
func (n *Namespaces) Serve(ctx context.Context, name string, notBefore time.Time) (bool, error) {
	if n.None() {
		return false, nil
	}
	n.mu.Lock()
	last, known := n.told[name]
	n.mu.Unlock()
	if known && !last.began.Before(notBefore) {
		return last.served, nil
	}
	return n.ask(ctx, name)
}

// ask reads a namespace.
func (n *Namespaces) ask(ctx context.Context, name string) (bool, error) {
	var namespace corev1.Namespace
	began := n.clock()
	err := n.reader.Get(ctx, client.ObjectKey{Name: name}, &namespace)
	if err != nil && !apierrors.IsNotFound(err) {
		return false, fmt.Errorf("reading the labels of the namespace %s: %w", name, err)
	}
	served := err == nil && n.selector.Matches(labels.Set(namespace.Labels))
	n.mu.Lock()
	defer n.mu.Unlock()
	before, known := n.told[name]
	if known && before.began.After(began) {
		return served, nil // somebody has read it since
	}
	if known && before.served != served {
		n.changed[name] = true
	}
	n.told[name] = told{served, began}
	return served, nil
}

// Changed asks for each of the namespaces anew, and returns those of which something else
// was said since the last call. What was said of other namespaces is forgotten.
func (n *Namespaces) Changed(ctx context.Context, names map[string]bool) (map[string]bool, error) {
	if n.None() {
		return nil, nil
	}
	for name := range names {
		if _, err := n.ask(ctx, name); err != nil {
			return nil, err
		}
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	changed := map[string]bool{}
	for name := range n.told {
		if !names[name] {
			delete(n.told, name)
			delete(n.changed, name)
		} else if n.changed[name] {
			changed[name] = true
		}
	}
	clear(n.changed)
	return changed, nil
}
