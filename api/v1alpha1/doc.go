// Package v1alpha1 is the API of vpcmirror: the kinds MirrorFilter and
// MirrorSession, the rules that the API server checks on them (CEL, no webhook),
// and the condition types and reasons that their status can carry.
//
// The rules refuse what Huawei Cloud's VPC v3 API would refuse, so that a mistake
// is told at kubectl apply and not minutes later in a condition.
//
// It may import nothing of ours.
//
// +kubebuilder:object:generate=true
// +groupName=vpcmirror.io
package v1alpha1
