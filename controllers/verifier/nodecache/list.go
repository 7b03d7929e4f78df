package nodecache

import (
	"context"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"
	toolscache "k8s.io/client-go/tools/cache"
)

// pageSize is how many objects there are of which not yet only the least is kept.
const pageSize = 250

// NewInformer returns how a node's cache makes its informers: with whatever server, no more than a
// page of whole objects is in memory at once. A server that streams what a watch begins with (1.34
// and later, by default) is never asked for a list. One that does not would send all in one answer,
// several times as large as what a node's memory is meant for.
func NewInformer(node string) func(toolscache.ListerWatcher, runtime.Object, time.Duration, toolscache.Indexers) toolscache.SharedIndexInformer {
	return func(from toolscache.ListerWatcher, kind runtime.Object, resync time.Duration, indexers toolscache.Indexers) toolscache.SharedIndexInformer {
		return toolscache.NewSharedIndexInformer(paged{toolscache.ToListerWatcherWithContext(from), Keep(node)}, kind, resync, indexers)
	}
}

// paged lists in pages, and keeps of each object the least before it asks for the next page.
type paged struct {
	toolscache.ListerWatcherWithContext
	keep func(any) (any, error)
}

// List is ListWithContext for whoever has no context.
func (p paged) List(options metav1.ListOptions) (runtime.Object, error) {
	return p.ListWithContext(context.Background(), options)
}

// ListWithContext ignores from which version on the list may be: only the latest one comes in pages.
func (p paged) ListWithContext(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
	options.ResourceVersion, options.ResourceVersionMatch, options.Limit, options.Continue = "", "", pageSize, ""
	out := &keptList{}
	for {
		page, err := p.ListerWatcherWithContext.ListWithContext(ctx, options)
		if err != nil {
			return nil, err
		}
		if err := meta.EachListItem(page, func(o runtime.Object) error { return out.add(p.keep(o)) }); err != nil {
			return nil, fmt.Errorf("keep what a list has: %w", err)
		}
		list, err := meta.ListAccessor(page)
		if err != nil {
			return nil, fmt.Errorf("read a page of a list: %w", err)
		}
		out.ResourceVersion = list.GetResourceVersion()
		if options.Continue = list.GetContinue(); options.Continue == "" {
			return out, nil
		}
	}
}

// Watch is WatchWithContext for whoever has no context.
func (p paged) Watch(options metav1.ListOptions) (watch.Interface, error) {
	return p.WatchWithContext(context.Background(), options)
}

// keptList is a list of what is kept.
type keptList struct {
	metav1.TypeMeta
	metav1.ListMeta
	Items []runtime.Object
}

func (l *keptList) add(kept any, err error) error {
	if err != nil {
		return err
	}
	object, ok := kept.(runtime.Object)
	if !ok {
		return unknownKind(kept)
	}
	l.Items = append(l.Items, object)
	return nil
}

// DeepCopyObject returns the same objects in another list: nobody changes what is kept.
func (l *keptList) DeepCopyObject() runtime.Object {
	return &keptList{l.TypeMeta, *l.ListMeta.DeepCopy(), append([]runtime.Object(nil), l.Items...)}
}

// GetObjectKind says nothing: what is kept is never written.
func (s *Session) GetObjectKind() schema.ObjectKind { return schema.EmptyObjectKind }

// DeepCopyObject returns the session itself: nobody changes what is kept.
func (s *Session) DeepCopyObject() runtime.Object { return s }

// GetObjectKind says nothing: what is kept is never written.
func (f *Filter) GetObjectKind() schema.ObjectKind { return schema.EmptyObjectKind }

// DeepCopyObject returns the filter itself: nobody changes what is kept.
func (f *Filter) DeepCopyObject() runtime.Object { return f }
