package lifecycle

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/retry"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/status"
)

// GuardSecret stores a finalizer on the Secret that the object's spec names, so that the
// credentials outlive what has to be cleaned up with them: when a namespace is deleted,
// its Secrets would otherwise go first. A Secret that the spec named before is let go. A
// Secret that does not exist is left to whoever reads it.
//
// The object's own finalizer must be stored before. The Secret's name is stored in the
// status before the Secret gets its finalizer, so that whatever crashes, somebody knows
// of it; and it is looked at each time, because the Secret can have been made anew.
func (b *Base) GuardSecret(ctx context.Context, o status.Object) error {
	name, noted := secretOf(o), o.Common().SecretName
	if name != noted {
		b.secrets.Lock()
		defer b.secrets.Unlock()
		if err := b.release(ctx, o, noted); err != nil {
			return err
		}
		before := o.DeepCopyObject().(status.Object) //nolint:forcetypeassert // a copy has its original's type
		o.Common().SecretName = name
		if _, err := b.Save(ctx, before, o); err != nil {
			return err
		}
	}
	if name == "" {
		return nil
	}
	leaving, err := b.changeSecret(ctx, o.GetNamespace(), name, controllerutil.AddFinalizer)
	if leaving {
		b.Event(o, corev1.EventTypeWarning, "SecretDeleting", "Guard",
			"the Secret %s is being deleted, and stays until no object needs it: name another in spec.credentialsRef, or delete this object", name)
	}
	return err
}

// secretOf is the Secret that the spec names, empty for none.
func secretOf(o status.Object) string {
	if ref := o.Cloud().CredentialsRef; ref != nil {
		return ref.Name
	}
	return ""
}

// LetGo ends the life of an object of which the cloud has nothing any more, or nothing
// that it should not have: it takes the finalizer off the Secret that no other object
// needs, and then the object's own.
//
// Each step can be the last before a crash. The status forgets the account first:
// without the Secret nobody could look into it again. The object goes last, because only
// it leads to the Secret.
func (b *Base) LetGo(ctx context.Context, o status.Object) error {
	// The one in the status is not that of the spec when the spec has just changed.
	noted, named := o.Common().SecretName, secretOf(o)
	if noted == "" && named == "" {
		return b.RemoveFinalizer(ctx, o)
	}
	b.secrets.Lock()
	defer b.secrets.Unlock()
	if o.Common().Account != nil {
		before := o.DeepCopyObject().(status.Object) //nolint:forcetypeassert // a copy has its original's type
		o.Common().Account = nil
		if _, err := b.Save(ctx, before, o); client.IgnoreNotFound(err) != nil {
			return err
		}
	}
	if err := b.release(ctx, o, noted); err != nil {
		return err
	}
	if named != noted {
		if err := b.release(ctx, o, named); err != nil {
			return err
		}
	}
	return b.RemoveFinalizer(ctx, o)
}

// release takes the finalizer off a Secret unless another object needs it. The caller
// holds b.secrets until the object has let go of it for all to see: of two that let go at
// the same time each would otherwise leave it to the other.
func (b *Base) release(ctx context.Context, o status.Object, name string) error {
	if name == "" {
		return nil
	}
	needed, err := b.needed(ctx, o.GetNamespace(), name, o.GetUID())
	if err != nil || needed {
		return err
	}
	_, err = b.changeSecret(ctx, o.GetNamespace(), name, controllerutil.RemoveFinalizer)
	return err
}

// needed says whether an object, except the given one, needs a Secret to clean up. It
// reads past the cache: one that was just made must not be missed.
func (b *Base) needed(ctx context.Context, namespace, secret string, except types.UID) (bool, error) {
	needs := func(o status.Object) bool {
		return o.GetUID() != except && controllerutil.ContainsFinalizer(o, v1alpha1.Finalizer) &&
			(o.Common().SecretName == secret || secretOf(o) == secret)
	}
	var sessions v1alpha1.MirrorSessionList
	if err := b.listAll(ctx, &sessions, namespace); err != nil {
		return false, fmt.Errorf("find the sessions that use the Secret %s: %w", secret, err)
	}
	for i := range sessions.Items {
		if needs(&sessions.Items[i]) {
			return true, nil
		}
	}
	var filters v1alpha1.MirrorFilterList
	if err := b.listAll(ctx, &filters, namespace); err != nil {
		return false, fmt.Errorf("find the filters that use the Secret %s: %w", secret, err)
	}
	for i := range filters.Items {
		if needs(&filters.Items[i]) {
			return true, nil
		}
	}
	return false, nil
}

// listAll lists the objects of a kind. Of a kind whose definition is gone there is none:
// who deletes the definitions deletes the objects, and the last of them still has to let
// go of its Secret.
func (b *Base) listAll(ctx context.Context, list client.ObjectList, namespace string) error {
	err := b.Reader.List(ctx, list, client.InNamespace(namespace))
	if meta.IsNoMatchError(err) || apierrors.IsNotFound(err) {
		return nil
	}
	return err
}

// changeSecret adds or removes our finalizer, and says whether the Secret is being
// deleted. One that does not exist needs no change.
func (b *Base) changeSecret(ctx context.Context, namespace, name string, change func(client.Object, string) bool) (leaving bool, err error) {
	// Others write Secrets too.
	err = retry.RetryOnConflict(retry.DefaultBackoff, func() error {
		var secret corev1.Secret
		if err := b.Reader.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, &secret); err != nil {
			return client.IgnoreNotFound(err)
		}
		leaving = !secret.DeletionTimestamp.IsZero()
		if leaving && !controllerutil.ContainsFinalizer(&secret, v1alpha1.SecretFinalizer) {
			return nil // the API server takes no new finalizer on what is being deleted
		}
		before := secret.DeepCopy()
		if !change(&secret, v1alpha1.SecretFinalizer) {
			return nil
		}
		return client.IgnoreNotFound(b.Client.Patch(ctx, &secret, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})))
	})
	if err != nil {
		return leaving, fmt.Errorf("change the finalizer of the Secret %s/%s: %w", namespace, name, err)
	}
	return leaving, nil
}
