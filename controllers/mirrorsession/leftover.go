package mirrorsession

import (
	"context"
	"slices"
	"sync"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/lru"

	"vpcmirror.io/operator/api/v1alpha1"
)

// exists reports whether there is a MirrorSession with the UID. Where the cache has shown none, which may be
// behind, the API server is asked, once: a UID never comes again.
func (s *scope) exists(ctx context.Context, uid types.UID) (bool, error) {
	if _, known := s.Named(uid); known {
		return true, nil
	}
	gone := &s.reconciler.gone
	if gone.has(uid) {
		return false, nil
	}
	// No index of the API server finds a UID. Of all that it has the metadata are enough.
	var all metav1.PartialObjectMetadataList
	all.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind("MirrorSessionList"))
	if err := s.Reader.List(ctx, &all); err != nil {
		return false, err
	}
	if slices.ContainsFunc(all.Items, func(o metav1.PartialObjectMetadata) bool { return o.UID == uid }) {
		return true, nil
	}
	gone.add(uid)
	return false, nil
}

// uids are some that are remembered. The zero value is ready.
type uids struct {
	once sync.Once
	all  *lru.Cache
}

// rememberedUIDs is of how many objects that are gone is remembered that they are.
const rememberedUIDs = 1024

func (u *uids) cache() *lru.Cache {
	u.once.Do(func() { u.all = lru.New(rememberedUIDs) })
	return u.all
}

func (u *uids) add(uid types.UID) { u.cache().Add(uid, true) }

func (u *uids) has(uid types.UID) bool {
	_, has := u.cache().Get(uid)
	return has
}
