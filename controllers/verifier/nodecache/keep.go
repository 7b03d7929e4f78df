package nodecache

import (
	"encoding/json"
	"fmt"
	"net"
	"net/netip"
	"slices"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"vpcmirror.io/operator/api/v1alpha1"
)

// identity is what an informer and a write need to know of an object.
type identity struct {
	key             types.NamespacedName
	uid             types.UID
	resourceVersion string
}

func identityOf(o metav1.Object) identity {
	return identity{
		key: types.NamespacedName{Namespace: o.GetNamespace(), Name: o.GetName()},
		uid: o.GetUID(), resourceVersion: o.GetResourceVersion(),
	}
}

// GetObjectMeta makes what is kept an object to an informer.
func (i *identity) GetObjectMeta() metav1.Object {
	return &metav1.ObjectMeta{Namespace: i.key.Namespace, Name: i.key.Name, UID: i.uid, ResourceVersion: i.resourceVersion}
}

var (
	_ metav1.ObjectMetaAccessor = (*Session)(nil)
	_ metav1.ObjectMetaAccessor = (*Filter)(nil)
)

// Session is what is kept of a MirrorSession.
type Session struct {
	identity
	// counted is all by which the session is counted, as JSON: most sessions are never counted here.
	counted string
	// places are where its copies arrive, see [Places].
	places []string
	// own is the node's own entry, nil for none.
	own *v1alpha1.Verification
	// sends is true while the node is to send packets of a probe.
	sends bool
	// object is made when it is asked for; the Index guards it.
	object *v1alpha1.MirrorSession
}

// Filter is what is kept of a MirrorFilter.
type Filter struct {
	identity
	content string
	object  *v1alpha1.MirrorFilter
}

// countedSession is what a session is counted by.
type countedSession struct {
	Generation int64                        `json:"g,omitempty"`
	Observed   int64                        `json:"o,omitempty"`
	Ready      bool                         `json:"r,omitempty"`
	Filter     string                       `json:"f,omitempty"`
	VNI        *int32                       `json:"v,omitempty"`
	Epoch      int64                        `json:"e,omitempty"`
	InCloud    int                          `json:"c,omitempty"`
	Target     *v1alpha1.ResolvedTarget     `json:"t,omitempty"`
	Sources    []v1alpha1.ResolvedInterface `json:"s,omitempty"`
	Probe      *v1alpha1.Probe              `json:"p,omitempty"`
}

// filterContent is what packets are judged by.
type filterContent struct {
	Generation int64                 `json:"g,omitempty"`
	Observed   int64                 `json:"o,omitempty"`
	Ready      bool                  `json:"r,omitempty"`
	Rules      []v1alpha1.FilterRule `json:"s,omitempty"`
}

// Keep returns the transform of the cache of a node: a *MirrorSession becomes a *Session, a
// *MirrorFilter a *Filter; everything else stays as it is.
func Keep(node string) func(any) (any, error) {
	return func(object any) (any, error) {
		switch o := object.(type) {
		case *v1alpha1.MirrorSession:
			return keepSession(o, node)
		case *v1alpha1.MirrorFilter:
			return keepFilter(o)
		}
		return object, nil
	}
}

func keepSession(s *v1alpha1.MirrorSession, node string) (*Session, error) {
	counted, err := json.Marshal(countedSession{
		Generation: s.Generation, Observed: s.Status.ObservedGeneration, Ready: meta.IsStatusConditionTrue(s.Status.Conditions, v1alpha1.ConditionReady),
		Filter: s.Spec.FilterRef.Name, VNI: s.Status.VNI, Epoch: s.Status.Epoch, InCloud: len(s.Status.Sessions),
		Target: withoutHealth(s.Status.Target), Sources: s.Status.Sources, Probe: keepProbe(s.Status.Probe),
	})
	if err != nil {
		return nil, fmt.Errorf("keep the session %s/%s: %w", s.Namespace, s.Name, err)
	}
	out := &Session{identity: identityOf(s), counted: string(counted), places: Places(s.Status.Target), sends: Sends(s.Status.Probe, node)}
	for i := range s.Status.Verification {
		if s.Status.Verification[i].Node == node {
			out.own = s.Status.Verification[i].DeepCopy()
		}
	}
	return out, nil
}

// keepProbe is what a node needs of a probe, nil of one that is over: nearly all of the time.
func keepProbe(p *v1alpha1.Probe) *v1alpha1.Probe {
	if !p.Active() {
		return nil
	}
	return &v1alpha1.Probe{ID: p.ID, StartedAt: p.StartedAt, SendingAt: p.SendingAt, Watchers: p.Watchers, Sends: p.Sends}
}

// Sends reports whether a node is to send packets of a probe, which may be nil.
func Sends(p *v1alpha1.Probe, node string) bool {
	return p.Active() && slices.ContainsFunc(p.Sends, func(s v1alpha1.ProbeSend) bool { return s.Node == node })
}

func keepFilter(f *v1alpha1.MirrorFilter) (*Filter, error) {
	rules := make([]v1alpha1.FilterRule, 0, len(f.Spec.Rules))
	for i := range f.Spec.Rules {
		rule := f.Spec.Rules[i]
		rule.Description = ""
		rules = append(rules, rule)
	}
	content, err := json.Marshal(filterContent{
		Generation: f.Generation, Observed: f.Status.ObservedGeneration, Ready: meta.IsStatusConditionTrue(f.Status.Conditions, v1alpha1.ConditionReady),
		Rules: rules,
	})
	if err != nil {
		return nil, fmt.Errorf("keep the filter %s/%s: %w", f.Namespace, f.Name, err)
	}
	return &Filter{identity: identityOf(f), content: string(content)}, nil
}

// withoutHealth is a target without what comes and goes, by which nobody counts.
func withoutHealth(target *v1alpha1.ResolvedTarget) *v1alpha1.ResolvedTarget {
	if target == nil || len(target.Members) == 0 {
		return target
	}
	kept := *target
	kept.Members = slices.Clone(target.Members)
	for i := range kept.Members {
		kept.Members[i].Health = ""
	}
	return &kept
}

// Places are the keys by which a target in the cloud is found on the hosts where its copies arrive.
func Places(target *v1alpha1.ResolvedTarget) (keys []string) {
	for _, r := range target.Receivers() {
		for _, key := range placesOf(r) {
			if !slices.Contains(keys, key) {
				keys = append(keys, key)
			}
		}
	}
	return keys
}

// placesOf are those of an interface: its MAC where that is known, because addresses recur in other
// networks, else its addresses.
func placesOf(target v1alpha1.ResolvedInterface) []string {
	if mac, err := net.ParseMAC(target.MAC); err == nil {
		return []string{mac.String()}
	}
	var out []string
	for _, text := range target.Addresses {
		if address, err := netip.ParseAddr(text); err == nil {
			out = append(out, address.Unmap().String())
		}
	}
	return out
}

// made returns the session as an object, of which only what was kept is there.
func (s *Session) made() (*v1alpha1.MirrorSession, error) {
	if s.object != nil {
		return s.object, nil
	}
	var c countedSession
	if err := json.Unmarshal([]byte(s.counted), &c); err != nil {
		return nil, fmt.Errorf("read what was kept of the session %s: %w", s.key, err)
	}
	out := &v1alpha1.MirrorSession{ObjectMeta: *s.GetObjectMeta().(*metav1.ObjectMeta)}
	out.Generation, out.Spec.FilterRef.Name = c.Generation, c.Filter
	out.Status = v1alpha1.MirrorSessionStatus{
		CommonStatus: common(c.Observed, c.Ready), VNI: c.VNI, Epoch: c.Epoch, Target: c.Target, Sources: c.Sources, Probe: c.Probe,
		Sessions: make([]v1alpha1.CloudSession, c.InCloud),
	}
	if s.own != nil {
		out.Status.Verification = []v1alpha1.Verification{*s.own}
	}
	s.object = out
	return out, nil
}

// made returns the filter as an object, of which only what was kept is there.
func (f *Filter) made() (*v1alpha1.MirrorFilter, error) {
	if f.object != nil {
		return f.object, nil
	}
	var c filterContent
	if err := json.Unmarshal([]byte(f.content), &c); err != nil {
		return nil, fmt.Errorf("read what was kept of the filter %s: %w", f.key, err)
	}
	out := &v1alpha1.MirrorFilter{ObjectMeta: *f.GetObjectMeta().(*metav1.ObjectMeta)}
	out.Generation, out.Spec.Rules = c.Generation, c.Rules
	out.Status.CommonStatus = common(c.Observed, c.Ready)
	f.object = out
	return out, nil
}

func common(observed int64, ready bool) v1alpha1.CommonStatus {
	out := v1alpha1.CommonStatus{ObservedGeneration: observed}
	if ready {
		out.Conditions = []metav1.Condition{{Type: v1alpha1.ConditionReady, Status: metav1.ConditionTrue}}
	}
	return out
}
