package rehearsal

import (
	"context"

	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"vpcmirror.io/operator/api/v1alpha1"
)

// stage is an API server to which nothing is written: a write succeeds, and changes nothing. Some objects are shown
// as they would be.
type stage struct {
	client.Client
	// reader reads past the cache.
	reader  client.Reader
	session *v1alpha1.MirrorSession
	filter  *v1alpha1.MirrorFilter
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
		if s.session != nil && key == client.ObjectKeyFromObject(s.session) {
			s.session.DeepCopyInto(to)
			return true
		}
	case *v1alpha1.MirrorFilter:
		if s.filter != nil && key == client.ObjectKeyFromObject(s.filter) {
			s.filter.DeepCopyInto(to)
			return true
		}
	}
	return false
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

// List lists objects.
func (p past) List(ctx context.Context, list client.ObjectList, options ...client.ListOption) error {
	return p.reader.List(ctx, list, options...)
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
