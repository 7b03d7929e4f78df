package lifecycle

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/retry"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/cloud"
	"vpcmirror.io/operator/controllers/credentials"
	"vpcmirror.io/operator/controllers/status"
)

// secretGuard keeps a finalizer on the Secrets that objects need, so that the credentials
// outlive what has to be cleaned up with them: when a namespace is deleted, its Secrets
// would otherwise go first.
type secretGuard struct {
	client client.Client
	reader client.Reader
	shared *credentials.Secrets
}

// guardSecret stores the finalizer on the Secret that the object's spec names, and takes
// it off one that the spec named before. A Secret that does not exist is left to whoever
// reads it.
//
// The object's own finalizers must be stored before. The Secret's name is stored in the
// status before the Secret gets its finalizer, so that whatever crashes, somebody knows
// of it; and it is looked at each time, because the Secret can have been made anew: as a
// read shows it that began at or after notBefore.
func (s *Scope) guardSecret(ctx context.Context, notBefore time.Time) error {
	named, noted := secretOf(s.Object), s.Object.Common().SecretName
	if named != noted {
		if err := s.EnsureLatest(ctx); err != nil {
			return err
		}
		// Twice: should the first fail, the status still leads to the Secret, and of two
		// objects that leave it at the same time the last sees that nobody needs it.
		if err := s.guard.release(ctx, s.Object, noted); err != nil {
			return err
		}
		s.Object.Common().SecretName = named
		if err := s.Store(ctx); err != nil {
			return err
		}
		if err := s.guard.release(ctx, s.Object, noted); err != nil {
			return err
		}
	}
	if named == "" {
		return nil
	}
	if err := s.changeFinalizers(ctx, controllerutil.AddFinalizer, v1alpha1.CredentialsFinalizer); err != nil {
		return err
	}
	secret, err := s.shared.Get(ctx, types.NamespacedName{Namespace: s.Object.GetNamespace(), Name: named}, notBefore)
	if err != nil {
		return Doing("look at the finalizer of the Secret "+named, client.IgnoreNotFound(err))
	}
	leaving := !secret.DeletionTimestamp.IsZero()
	if !leaving && !controllerutil.ContainsFinalizer(secret, v1alpha1.SecretFinalizer) {
		if err := s.EnsureLatest(ctx); err != nil {
			return err
		}
		leaving, err = s.guard.change(ctx, s.Object.GetNamespace(), named, controllerutil.AddFinalizer)
	}
	if leaving {
		s.Event(corev1.EventTypeWarning, "SecretDeleting", "Guard",
			"the Secret %s is being deleted, and stays until no object needs it: name another in spec.credentialsRef, or delete this object", named)
	}
	return err
}

// noteSecret notes by what its Secret said the object is reconciled, where that was read before.
func (s *Scope) noteSecret(ctx context.Context, notBefore time.Time) {
	name := secretOf(s.Object)
	if name == "" || !notBefore.Before(s.began) {
		return
	}
	if secret, err := s.shared.Get(ctx, types.NamespacedName{Namespace: s.Object.GetNamespace(), Name: name}, notBefore); err == nil {
		s.secret = secret
	}
}

// rekeyed reports whether the cloud refuses credentials that were read for an earlier reconcile, and
// the Secret has others by now: nothing is wrong with the object then. What is wrong with a Secret is
// looked for in a fresh one the next time: somebody may mend it at any moment.
func (s *Scope) rekeyed(ctx context.Context, refused error) bool {
	class := cloud.ClassOf(refused)
	_, mistake := errors.AsType[*credentials.Error](refused)
	if !mistake && class != cloud.ClassAuthentication && class != cloud.ClassPermission {
		return false
	}
	if secretOf(s.Object) == "" {
		return !mistake && s.Cloud != nil && s.Clients.Renewed(ctx, s.Object.GetNamespace(), s.Object.Cloud(), s.Clock(), s.Cloud)
	}
	name := types.NamespacedName{Namespace: s.Object.GetNamespace(), Name: secretOf(s.Object)}
	if s.secret == nil {
		s.shared.Forget(name)
		return false
	}
	now, err := s.shared.Get(ctx, name, s.Clock())
	if apierrors.IsNotFound(err) || err == nil && !maps.EqualFunc(now.Data, s.secret.Data, bytes.Equal) { // finalizers come and go
		return true
	}
	s.shared.Forget(name)
	return false
}

// secretOf is the Secret that the spec names, empty for none.
func secretOf(o status.Object) string {
	if ref := o.Cloud().CredentialsRef; ref != nil {
		return ref.Name
	}
	return ""
}

// release takes the finalizer off a Secret unless another object needs it. Of several that
// let go at the same time each has taken its own finalizer off before, so the last sees that
// nobody needs the Secret; one that begins to need it meanwhile is found by asking again.
func (g *secretGuard) release(ctx context.Context, o status.Object, name string) error {
	if name == "" {
		return nil
	}
	needed, err := g.needed(ctx, o.GetNamespace(), name, o.GetUID())
	if err != nil {
		return err
	}
	if needed { // also after a crash between the two changes below
		_, err = g.change(ctx, o.GetNamespace(), name, controllerutil.AddFinalizer)
		return err
	}
	if _, err = g.change(ctx, o.GetNamespace(), name, controllerutil.RemoveFinalizer); err != nil {
		return err
	}
	needed, err = g.needed(ctx, o.GetNamespace(), name, o.GetUID())
	if err == nil && needed {
		_, err = g.change(ctx, o.GetNamespace(), name, controllerutil.AddFinalizer)
	}
	return err
}

// needed reports whether an object, except the given one, needs a Secret to clean up. It
// reads past the cache: one that was just made must not be missed.
func (g *secretGuard) needed(ctx context.Context, namespace, secret string, except types.UID) (bool, error) {
	if needed, err := g.surelyNeeded(ctx, namespace, secret, except); err != nil || needed {
		return needed, err
	}
	for what, list := range map[string]client.ObjectList{"sessions": &v1alpha1.MirrorSessionList{}, "filters": &v1alpha1.MirrorFilterList{}} {
		err := g.reader.List(ctx, list, client.InNamespace(namespace))
		if meta.IsNoMatchError(err) || apierrors.IsNotFound(err) {
			// Of a kind whose definition is gone there is no object: who deletes the
			// definitions deletes the objects, and the last still has to let go of its Secret.
			continue
		}
		if err != nil {
			return false, fmt.Errorf("find the %s that use the Secret %s: %w", what, secret, err)
		}
		needed := false
		err = meta.EachListItem(list, func(item runtime.Object) error {
			o, ok := item.(status.Object)
			needed = needed || ok && needs(o, secret, except)
			return nil
		})
		if err != nil || needed {
			return needed, err
		}
	}
	return false, nil
}

// needs reports whether an object, unless it is the given one, needs a Secret to clean up.
func needs(o status.Object, secret string, except types.UID) bool {
	return o.GetUID() != except && controllerutil.ContainsFinalizer(o, v1alpha1.Finalizer) && (o.Common().SecretName == secret || secretOf(o) == secret)
}

// How many objects of the cache are looked at for one that needs a Secret, and how many of those are read.
const candidates, candidatesRead = 64, 3

// surelyNeeded reports whether one of a few sessions that the cache shows needs a Secret, by what the API
// server has of it: where thousands that name one Secret are deleted, a list of all for each would
// be read as often.
func (g *secretGuard) surelyNeeded(ctx context.Context, namespace, secret string, except types.UID) (bool, error) {
	var some v1alpha1.MirrorSessionList
	if err := g.client.List(ctx, &some, client.InNamespace(namespace), client.Limit(candidates)); err != nil && !meta.IsNoMatchError(err) {
		return false, fmt.Errorf("find sessions that use the Secret %s: %w", secret, err)
	}
	read := 0
	for i := range some.Items {
		if !needs(&some.Items[i], secret, except) {
			continue
		}
		if read++; read > candidatesRead {
			break
		}
		var now v1alpha1.MirrorSession
		err := g.reader.Get(ctx, client.ObjectKeyFromObject(&some.Items[i]), &now)
		if client.IgnoreNotFound(err) != nil {
			return false, fmt.Errorf("see whether the session %s uses the Secret %s: %w", some.Items[i].Name, secret, err)
		}
		if err == nil && needs(&now, secret, except) {
			return true, nil
		}
	}
	return false, nil
}

// change adds or removes our finalizer, and reports whether the Secret is being
// deleted. One that does not exist needs no change.
func (g *secretGuard) change(ctx context.Context, namespace, name string, change func(client.Object, string) bool) (leaving bool, err error) {
	changed := true
	// Others write Secrets too.
	err = retry.RetryOnConflict(retry.DefaultBackoff, func() error {
		var secret corev1.Secret
		if err := g.reader.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, &secret); err != nil {
			return client.IgnoreNotFound(err)
		}
		leaving = !secret.DeletionTimestamp.IsZero()
		if leaving && !controllerutil.ContainsFinalizer(&secret, v1alpha1.SecretFinalizer) {
			return nil // the API server takes no new finalizer on what is being deleted
		}
		before := secret.DeepCopy()
		if changed = change(&secret, v1alpha1.SecretFinalizer); !changed {
			return nil
		}
		// No cache has Secrets, so none can be waited for.
		return client.IgnoreNotFound(g.client.Patch(ctx, &secret, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{}),
			client.DisableReadYourWritesConsistency))
	})
	if changed {
		g.shared.Forget(types.NamespacedName{Namespace: namespace, Name: name})
	}
	if err != nil {
		return leaving, fmt.Errorf("change the finalizer of the Secret %s/%s: %w", namespace, name, err)
	}
	return leaving, nil
}
