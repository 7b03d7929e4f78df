package main

import (
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/status"
)

// cached is what the cache holds: our kinds without what nobody here reads, of nodes only names,
// addresses, labels and which server each is, and of leases only the verifiers', and of these only when they were renewed.
func cached(verifierNamespace string) cache.Options {
	leases := cache.ByObject{
		Label:     labels.SelectorFromSet(labels.Set{"app.kubernetes.io/component": "verifier"}),
		Transform: slimLease,
	}
	if verifierNamespace != "" {
		leases.Namespaces = map[string]cache.Config{verifierNamespace: {}}
	}
	return cache.Options{ByObject: map[client.Object]cache.ByObject{
		&v1alpha1.MirrorFilter{}:  {Transform: slimOurs},
		&v1alpha1.MirrorSession{}: {Transform: slimOurs},
		&corev1.Node{}:            {Transform: slimNode},
		&coordinationv1.Lease{}:   leases,
	}}
}

var sharedTexts = newTexts()

// slimOurs leaves out who has written which field, and of what kubectl apply has noted for itself all but the fields
// that there are not: in an account of twenty thousand sessions that is as much as all the rest. What an object says
// of itself in that place counts for nothing.
func slimOurs(o any) (any, error) {
	ours, ok := o.(client.Object)
	if !ok {
		return o, nil
	}
	ours.SetManagedFields(nil)
	annotations := ours.GetAnnotations()
	delete(annotations, v1alpha1.UnknownFieldsAnnotation)
	unknown := v1alpha1.UnknownFields(ours)
	delete(annotations, corev1.LastAppliedConfigAnnotation)
	if unknown != "" {
		annotations[v1alpha1.UnknownFieldsAnnotation] = unknown
	}
	ours.SetAnnotations(annotations)
	if object, ok := o.(status.Object); ok {
		sharedTexts.share(object, string(object.GetUID()))
	}
	// What is read from JSON has room for more: a copy has room for what is there.
	return ours.DeepCopyObject(), nil
}

func slimNode(o any) (any, error) {
	node, ok := o.(*corev1.Node)
	if !ok {
		return o, nil
	}
	return &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{
			Name: node.Name, UID: node.UID, ResourceVersion: node.ResourceVersion,
			CreationTimestamp: node.CreationTimestamp, Labels: sharedLabels(node),
		},
		Spec:   corev1.NodeSpec{ProviderID: node.Spec.ProviderID},
		Status: corev1.NodeStatus{Addresses: node.Status.Addresses},
	}, nil
}

// sharedLabels are the labels of a node, whose keys and nearly all values other nodes have too.
func sharedLabels(node *corev1.Node) map[string]string {
	out := make(map[string]string, len(node.Labels))
	for key, value := range node.Labels {
		out[sharedTexts.one(key, string(node.UID))] = sharedTexts.one(value, string(node.UID))
	}
	return out
}

// slimLease leaves out what somebody could fill a lease with: there is one for each node.
func slimLease(o any) (any, error) {
	lease, ok := o.(*coordinationv1.Lease)
	if !ok {
		return o, nil
	}
	return &coordinationv1.Lease{
		ObjectMeta: metav1.ObjectMeta{Namespace: lease.Namespace, Name: lease.Name, UID: lease.UID, ResourceVersion: lease.ResourceVersion},
		Spec:       coordinationv1.LeaseSpec{LeaseDurationSeconds: lease.Spec.LeaseDurationSeconds, RenewTime: lease.Spec.RenewTime},
	}, nil
}
