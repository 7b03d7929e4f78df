package rehearsal

import (
	"context"
	"maps"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/mirrorsession"
)

// stage is an API server to which nothing is written: a write succeeds, and changes nothing. Some objects are shown
// as they would be.
type stage struct {
	client.Client
	// reader reads past the cache.
	reader client.Reader
	// sessions and filters are those that are shown as they would be.
	sessions map[client.ObjectKey]*v1alpha1.MirrorSession
	filters  map[client.ObjectKey]*v1alpha1.MirrorFilter
}

func newStage(c client.Client, reader client.Reader) *stage {
	return &stage{Client: c, reader: reader, sessions: map[client.ObjectKey]*v1alpha1.MirrorSession{}, filters: map[client.ObjectKey]*v1alpha1.MirrorFilter{}}
}

// Get reads an object, as it would be.
func (s *stage) Get(ctx context.Context, key client.ObjectKey, o client.Object, options ...client.GetOption) error {
	if s.shows(key, o) {
		return nil
	}
	return s.Client.Get(ctx, key, o, options...)
}

func (s *stage) shows(key client.ObjectKey, o client.Object) bool {
	switch to := o.(type) {
	case *v1alpha1.MirrorSession:
		if is := s.sessions[key]; is != nil {
			is.DeepCopyInto(to)
			return true
		}
	case *v1alpha1.MirrorFilter:
		if is := s.filters[key]; is != nil {
			is.DeepCopyInto(to)
			return true
		}
	}
	return false
}

// List lists objects, sessions as they would be.
func (s *stage) List(ctx context.Context, list client.ObjectList, options ...client.ListOption) error {
	return s.list(ctx, s.Client, list, options)
}

func (s *stage) list(ctx context.Context, from client.Reader, list client.ObjectList, options []client.ListOption) error {
	if err := from.List(ctx, list, options...); err != nil {
		return err
	}
	if sessions, is := list.(*v1alpha1.MirrorSessionList); is {
		asked := &client.ListOptions{}
		sessions.Items = s.shown(sessions.Items, asked.ApplyOptions(options))
	}
	return nil
}

// shown are the sessions of a list with those that would be others, in what was asked for or not.
func (s *stage) shown(listed []v1alpha1.MirrorSession, asked *client.ListOptions) []v1alpha1.MirrorSession {
	out := make([]v1alpha1.MirrorSession, 0, len(listed)+len(s.sessions))
	for i := range listed {
		if s.sessions[client.ObjectKeyFromObject(&listed[i])] == nil {
			out = append(out, listed[i])
		}
	}
	for _, key := range slices.SortedFunc(maps.Keys(s.sessions), func(a, b client.ObjectKey) int { return strings.Compare(a.String(), b.String()) }) {
		if is := s.sessions[key]; isAsked(is, asked) {
			out = append(out, *is.DeepCopy())
		}
	}
	return out
}

// isAsked reports whether a list would have a session that is asked for so.
func isAsked(o *v1alpha1.MirrorSession, asked *client.ListOptions) bool {
	if asked.Namespace != "" && asked.Namespace != o.Namespace || asked.LabelSelector != nil && !asked.LabelSelector.Matches(labels.Set(o.Labels)) {
		return false
	}
	if asked.FieldSelector == nil {
		return true
	}
	return !slices.ContainsFunc(asked.FieldSelector.Requirements(), func(r fields.Requirement) bool {
		return !slices.Contains(mirrorsession.IndexValues(r.Field, o), r.Value)
	})
}

// past is a stage whose reads go past the cache.
type past struct{ *stage }

// Get reads an object, as it would be.
func (p past) Get(ctx context.Context, key client.ObjectKey, o client.Object, options ...client.GetOption) error {
	if p.shows(key, o) {
		return nil
	}
	return p.reader.Get(ctx, key, o, options...)
}

// List lists objects, sessions as they would be.
func (p past) List(ctx context.Context, list client.ObjectList, options ...client.ListOption) error {
	return p.list(ctx, p.reader, list, options)
}

// Create changes nothing.
func (s *stage) Create(context.Context, client.Object, ...client.CreateOption) error { return nil }

// Delete changes nothing.
func (s *stage) Delete(context.Context, client.Object, ...client.DeleteOption) error { return nil }

// Update changes nothing.
func (s *stage) Update(context.Context, client.Object, ...client.UpdateOption) error { return nil }

// Patch changes nothing.
func (s *stage) Patch(context.Context, client.Object, client.Patch, ...client.PatchOption) error {
	return nil
}

// Apply changes nothing.
func (s *stage) Apply(context.Context, runtime.ApplyConfiguration, ...client.ApplyOption) error {
	return nil
}

// DeleteAllOf changes nothing.
func (s *stage) DeleteAllOf(context.Context, client.Object, ...client.DeleteAllOfOption) error {
	return nil
}

// Status returns a writer that writes nothing.
func (s *stage) Status() client.SubResourceWriter { return unwritten{} }

// SubResource returns a client that writes nothing.
func (s *stage) SubResource(name string) client.SubResourceClient {
	return struct {
		client.SubResourceReader
		unwritten
	}{s.Client.SubResource(name), unwritten{}}
}

// unwritten writes nothing.
type unwritten struct{}

// Create changes nothing.
func (unwritten) Create(context.Context, client.Object, client.Object, ...client.SubResourceCreateOption) error {
	return nil
}

// Update changes nothing.
func (unwritten) Update(context.Context, client.Object, ...client.SubResourceUpdateOption) error {
	return nil
}

// Patch changes nothing.
func (unwritten) Patch(context.Context, client.Object, client.Patch, ...client.SubResourcePatchOption) error {
	return nil
}

// Apply changes nothing.
func (unwritten) Apply(context.Context, runtime.ApplyConfiguration, ...client.SubResourceApplyOption) error {
	return nil
}
