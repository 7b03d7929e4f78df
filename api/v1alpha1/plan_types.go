package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
)

// PlanOfAnnotation makes an object a question: what would be done in the cloud if the object of that name, in the same
// namespace, had the spec of this one? The answer is in status.plan. It is asked by a copy with another name and with
// spec.suspend, for which nothing is ever written to the cloud; whoever makes it deletes it.
const PlanOfAnnotation = "vpcmirror.io/plan-of"

// PlanLabel joins the copies in a namespace that are asked together, such as those of one file, by its value: the plan
// of a session takes its filter as the copy of the same run has it, and the cloud as the sessions before it leave it.
const PlanLabel = "vpcmirror.io/plan"

// PlanOrderAnnotation is a number: which place an object has among those that are asked together, from the smallest on.
const PlanOrderAnnotation = "vpcmirror.io/plan-order"

const (
	// MaxPlannedCalls is how many calls a plan shows.
	MaxPlannedCalls = 36
	// MaxPlannedChanges is how many changes a call of a plan shows: all fields of a session that is made with ten sources.
	MaxPlannedChanges = 20
	// MaxPlanWarnings is how many warnings a plan has.
	MaxPlanWarnings = 32
	// MaxPlannedText is how many characters a value in a plan has.
	MaxPlannedText = 256
)

// PlannedOf returns the name of the object that o asks a plan for, empty where o is no such question. Nothing that may
// have anything in the cloud is one, whatever annotations it bears: it would not be looked after any more.
func PlannedOf(o interface {
	client.Object
	Cloud() *CloudSpec
}) string {
	if !o.Cloud().Suspend || controllerutil.ContainsFinalizer(o, Finalizer) || !o.GetDeletionTimestamp().IsZero() {
		return ""
	}
	return o.GetAnnotations()[PlanOfAnnotation]
}

// Plan is what would be done in the cloud for a spec.
type Plan struct {
	// at is when it was made.
	// +required
	At metav1.Time `json:"at"`
	// ready is what the condition Ready would say when all of it is done.
	// +kubebuilder:validation:Enum=True;False;Unknown
	// +required
	Ready metav1.ConditionStatus `json:"ready,omitempty"`
	// stalled is true where the spec can't be brought about without a person.
	// +optional
	Stalled bool `json:"stalled,omitempty"`
	// reason of ready.
	// +kubebuilder:validation:MaxLength=64
	// +required
	Reason string `json:"reason"`
	// message of ready.
	// +kubebuilder:validation:MaxLength=1024
	// +optional
	Message string `json:"message,omitempty"`
	// calls are the writes to the cloud, in their order.
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=36
	// +optional
	Calls []PlannedCall `json:"calls,omitempty"`
	// moreCalls is how many more there are.
	// +kubebuilder:validation:Minimum=0
	// +optional
	MoreCalls int32 `json:"moreCalls,omitempty"`
	// warnings are what happens beside it: to packets meanwhile, to other sessions, to the quota.
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=32
	// +optional
	Warnings []PlanWarning `json:"warnings,omitempty"`
}

// PlannedCall is one write to the cloud.
type PlannedCall struct {
	// operation in the cloud's words, such as UpdateTrafficMirrorSession.
	// +kubebuilder:validation:MaxLength=64
	// +required
	Operation string `json:"operation"`
	// id of what it changes or deletes; of something that an earlier call of the plan makes it is "new", with a number
	// from the second on.
	// +kubebuilder:validation:MaxLength=36
	// +optional
	ID string `json:"id,omitempty"`
	// changes are the fields that are another's afterwards.
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=20
	// +optional
	Changes []PlannedChange `json:"changes,omitempty"`
}

// PlannedChange is a field that a call changes.
type PlannedChange struct {
	// field in the words of the spec.
	// +kubebuilder:validation:MaxLength=64
	// +required
	Field string `json:"field"`
	// have is the value before, absent for none.
	// +kubebuilder:validation:MaxLength=256
	// +optional
	Have string `json:"have,omitempty"`
	// want is the value afterwards, absent for none.
	// +kubebuilder:validation:MaxLength=256
	// +optional
	Want string `json:"want,omitempty"`
}

// PlanWarning is what happens beside a plan.
type PlanWarning struct {
	// reason in one word, such as Gap, Precedes or a reason of a finding.
	// +kubebuilder:validation:MaxLength=64
	// +required
	Reason string `json:"reason"`
	// message says it in a sentence.
	// +kubebuilder:validation:MaxLength=1024
	// +required
	Message string `json:"message"`
}
