package lifecycle

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/retry"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/status"
)

// GuardSecret stores a finalizer on the Secret that the object's spec names, so that the
// credentials outlive what has to be cleaned up with them: when a namespace is deleted,
// its Secrets would otherwise go first. It notes the Secret in the status (not stored
// yet) and lets go of one that the spec named before. A Secret that does not exist is
// left to whoever reads it.
func (b *Base) GuardSecret(ctx context.Context, o status.Object) error {
	name := secretOf(o)
	noted := o.Common().SecretName
	if noted == name {
		return nil
	}
	if name != "" {
		if there, err := b.changeSecret(ctx, o.GetNamespace(), name, controllerutil.AddFinalizer); err != nil || !there {
			return err
		}
	}
	if noted != "" {
		if _, err := b.release(ctx, o, noted); err != nil {
			return err
		}
	}
	o.Common().SecretName = name
	return nil
}

// secretOf is the Secret that the spec names, empty for none.
func secretOf(o status.Object) string {
	if ref := o.Cloud().CredentialsRef; ref != nil {
		return ref.Name
	}
	return ""
}

// ReleaseSecret takes the finalizer off the Secret when no other object needs it. It
// must come before the object's own finalizer goes, so that a crash in between leaves
// nobody who would never do it. It returns a time to wait when others that use the
// Secret are going at the same moment: of those the one that goes last takes it off.
func (b *Base) ReleaseSecret(ctx context.Context, o status.Object) (wait time.Duration, err error) {
	names := []string{o.Common().SecretName}
	// A crash can have come between the guard and the note of it.
	if name := secretOf(o); name != names[0] {
		names = append(names, name)
	}
	for _, name := range names {
		if name == "" {
			continue
		}
		if wait, err := b.release(ctx, o, name); err != nil || wait > 0 {
			return wait, err
		}
	}
	return 0, nil
}

// LetGo ends the life of an object of which the cloud has nothing any more: it releases
// the Secret and then removes the finalizer.
func (b *Base) LetGo(ctx context.Context, o status.Object) (ctrl.Result, error) {
	wait, err := b.ReleaseSecret(ctx, o)
	if err != nil || wait > 0 {
		return ctrl.Result{RequeueAfter: wait}, err
	}
	return ctrl.Result{}, b.RemoveFinalizer(ctx, o)
}

// othersProbe is how often is asked whether the others are gone.
const othersProbe = time.Second

func (b *Base) release(ctx context.Context, o status.Object, name string) (time.Duration, error) {
	others, err := b.usersOf(ctx, o.GetNamespace(), name, o.GetUID())
	if err != nil {
		return 0, err
	}
	last := true
	for _, other := range others {
		if other.GetDeletionTimestamp().IsZero() {
			return 0, nil // it is still needed, and will be released by another
		}
		last = last && goesBefore(other, o)
	}
	switch {
	case len(others) == 0:
		_, err := b.changeSecret(ctx, o.GetNamespace(), name, controllerutil.RemoveFinalizer)
		return 0, err
	case last && !o.GetDeletionTimestamp().IsZero():
		return othersProbe, nil
	default:
		return 0, nil
	}
}

// goesBefore orders those that go at the same moment: sessions before filters, because a
// filter waits for its sessions anyway, and then by UID.
func goesBefore(a, b status.Object) bool {
	_, filterA := a.(*v1alpha1.MirrorFilter)
	_, filterB := b.(*v1alpha1.MirrorFilter)
	if filterA != filterB {
		return filterB
	}
	return a.GetUID() < b.GetUID()
}

// usersOf returns the objects, except the given one, that need a Secret to clean up. It
// reads past the cache: one that was just made must not be missed.
func (b *Base) usersOf(ctx context.Context, namespace, secret string, except types.UID) ([]status.Object, error) {
	var filters v1alpha1.MirrorFilterList
	if err := b.Reader.List(ctx, &filters, client.InNamespace(namespace)); err != nil {
		return nil, fmt.Errorf("find the filters that use the Secret %s: %w", secret, err)
	}
	var sessions v1alpha1.MirrorSessionList
	if err := b.Reader.List(ctx, &sessions, client.InNamespace(namespace)); err != nil {
		return nil, fmt.Errorf("find the sessions that use the Secret %s: %w", secret, err)
	}
	var all []status.Object
	for i := range filters.Items {
		all = append(all, &filters.Items[i])
	}
	for i := range sessions.Items {
		all = append(all, &sessions.Items[i])
	}
	var users []status.Object
	for _, o := range all {
		needs := o.Common().SecretName == secret || secretOf(o) == secret
		if o.GetUID() != except && needs && controllerutil.ContainsFinalizer(o, v1alpha1.Finalizer) {
			users = append(users, o)
		}
	}
	return users, nil
}

// changeSecret adds or removes our finalizer; there is false when no such Secret exists.
func (b *Base) changeSecret(ctx context.Context, namespace, name string, change func(client.Object, string) bool) (there bool, err error) {
	// A filter and its session are often made together, and both want to.
	err = retry.RetryOnConflict(retry.DefaultBackoff, func() error {
		var secret corev1.Secret
		if err := b.Reader.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, &secret); err != nil {
			there = false
			return client.IgnoreNotFound(err)
		}
		there = true
		before := secret.DeepCopy()
		if !secret.DeletionTimestamp.IsZero() && !controllerutil.ContainsFinalizer(&secret, v1alpha1.SecretFinalizer) {
			return nil // the API server takes no new finalizer on what is being deleted
		}
		if !change(&secret, v1alpha1.SecretFinalizer) {
			return nil
		}
		return client.IgnoreNotFound(b.Client.Patch(ctx, &secret, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})))
	})
	if err != nil {
		return there, fmt.Errorf("change the finalizer of the Secret %s/%s: %w", namespace, name, err)
	}
	return there, nil
}
