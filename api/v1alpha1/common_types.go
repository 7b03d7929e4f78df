package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Finalizer keeps an object until what it owns in the cloud is gone. It is stored right
// before the first call that could create something there, and says that something may
// exist; nothing else does, as a status can be wiped or come from a backup.
const Finalizer = "vpcmirror.io/cloud"

// CredentialsFinalizer keeps an object until the Secret that it held is let go, see
// SecretFinalizer.
const CredentialsFinalizer = "vpcmirror.io/credentials"

// VerifierPrefix begins the names of each verifier at the API server, see LeaseName and
// VerifierName.
const VerifierPrefix = "vpcmirror-verifier-"

// SecretFinalizer keeps a Secret until no object needs it any more to clean up in the
// cloud: when a namespace is deleted its Secrets would otherwise go first.
const SecretFinalizer = "vpcmirror.io/credentials-in-use"

// ReconcileRequestedAnnotation asks for a reconcile now, whatever the reason a
// failed object waits for. Any new value works; the manager echoes it in
// status.lastHandledReconcileAt when it has looked at the cloud again.
const ReconcileRequestedAnnotation = "vpcmirror.io/reconcile-requested-at"

// DeletionPolicy says what happens in the cloud when the object is deleted.
// +kubebuilder:validation:XValidation:rule="self in ['Delete', 'Retain']",message="deletionPolicy is Delete or Retain",messageExpression="'deletionPolicy is \"' + self + '\": write Delete to have the cloud\\'s object deleted with this one, or Retain to have it left'"
// +kubebuilder:validation:MaxLength=256
type DeletionPolicy string

const (
	// DeletionDelete removes the cloud's object together with ours.
	DeletionDelete DeletionPolicy = "Delete"
	// DeletionRetain leaves the cloud's object. Its description says whose it was, in place
	// of the mark; where the cloud can't be reached the mark stays.
	DeletionRetain DeletionPolicy = "Retain"
)

// ManagementPolicy says whether the operator changes what the cloud has.
// +kubebuilder:validation:XValidation:rule="self in ['Managed', 'Observe']",message="managementPolicy is Managed or Observe",messageExpression="'managementPolicy is \"' + self + '\": write Managed to have the cloud brought in line with the spec, or Observe to have it only compared'"
// +kubebuilder:validation:MaxLength=256
type ManagementPolicy string

const (
	// ManagementManaged brings the cloud in line with the spec.
	ManagementManaged ManagementPolicy = "Managed"
	// ManagementObserve writes nothing to the cloud: it shows what somebody else manages there.
	ManagementObserve ManagementPolicy = "Observe"
)

// Import names what the cloud has already of an object.
type Import struct {
	// id of the filter or the session in the cloud, a UUID.
	// +kubebuilder:validation:XValidation:rule="self.matches('^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$')",message="write the UUID of the filter or the session in lower case, as the console shows it",messageExpression="'id is \"' + self + '\": write the UUID of the filter or the session in lower case, as the console shows it'"
	// +kubebuilder:validation:MaxLength=256
	// +required
	ID string `json:"id"`
}

// SecretReference names a Secret in the namespace of the object that refers to it.
type SecretReference struct {
	// name of the Secret.
	// +kubebuilder:validation:XValidation:rule="!format.dns1123Subdomain().validate(self).hasValue()",message="a Secret's name has lower-case letters, digits, - and .",messageExpression="'name is \"' + self + '\": write the name of a Secret in this namespace, lower-case letters, digits, - and . as in my-secret'"
	// +kubebuilder:validation:MaxLength=1024
	// +required
	Name string `json:"name"`
}

// CloudSpec is what a filter and a session say alike: which account, and how the
// object is called there.
// +kubebuilder:validation:XValidation:rule="has(self.region) == has(oldSelf.region) && (!has(self.region) || self.region == oldSelf.region)",message="region can't be changed, because the cloud can't move an object: create a new object for the other region and delete this one",messageExpression="'region can\\'t be changed from %s to %s, because the cloud can\\'t move an object: create a new object for the other region and delete this one'.format([has(oldSelf.region) ? oldSelf.region : 'none', has(self.region) ? self.region : 'none'])",fieldPath=".region"
// +kubebuilder:validation:XValidation:rule="has(self.projectID) == has(oldSelf.projectID) && (!has(self.projectID) || self.projectID == oldSelf.projectID)",message="projectID can't be changed, because the cloud can't move an object: create a new object for the other project and delete this one",messageExpression="'projectID can\\'t be changed from %s to %s, because the cloud can\\'t move an object: create a new object for the other project and delete this one'.format([has(oldSelf.projectID) ? oldSelf.projectID : 'none', has(self.projectID) ? self.projectID : 'none'])",fieldPath=".projectID"
// +kubebuilder:validation:XValidation:rule="has(self.__import__) == has(oldSelf.__import__) && (!has(self.__import__) || self.__import__.id == oldSelf.__import__.id)",message="import can't be changed, because the object stands for one thing in the cloud: create a new object and delete this one",messageExpression="'import.id can\\'t be changed from %s to %s, because the object stands for one thing in the cloud: create a new object for the other and delete this one'.format([has(oldSelf.__import__) ? oldSelf.__import__.id : 'none', has(self.__import__) ? self.__import__.id : 'none'])",fieldPath=".import"
type CloudSpec struct {
	// credentialsRef names a Secret in the same namespace with the keys accessKey
	// and secretKey, and optionally securityToken, region, projectID, endpoint and
	// iamEndpoint. Without it the operator's own credentials are used.
	// +optional
	CredentialsRef *SecretReference `json:"credentialsRef,omitempty"`

	// region of the cloud, such as cn-north-4. Without it the credentials say.
	// It can't be changed later.
	// +kubebuilder:validation:XValidation:rule="self.size() <= 40 && self.matches('^[a-z0-9]([a-z0-9-]*[a-z0-9])?$')",message="a region's ID is written like cn-north-4: at most 40 lower-case letters, digits and hyphens",messageExpression="'region is \"' + self + '\": write the region\\'s ID, such as cn-north-4: lower-case letters, digits and hyphens, at most 40'"
	// +kubebuilder:validation:MaxLength=1024
	// +optional
	Region string `json:"region,omitempty"`

	// projectID of the cloud: 32 hexadecimal digits. Without it the credentials say,
	// or the project that is named like the region. It can't be changed later.
	// +kubebuilder:validation:XValidation:rule="self.matches('^[0-9a-f]{32}$')",message="a project ID has 32 lower-case hexadecimal digits; the console shows it under My Credentials",messageExpression="'projectID is \"' + self + '\": write the project\\'s ID, 32 lower-case hexadecimal digits, which the console shows under My Credentials'"
	// +kubebuilder:validation:MaxLength=1024
	// +optional
	ProjectID string `json:"projectID,omitempty"`

	// cloudName is the object's name in the cloud: 1 to 64 letters (Chinese too),
	// digits, and the signs _ - . ; without it the name is made of namespace, name
	// and the first 8 digits of the UID. Names need not be unique there.
	// +kubebuilder:validation:XValidation:rule="self.size() <= 64 && self.matches('^[0-9A-Za-z_.\\\\-\\\\p{Han}]+$')",message="the cloud takes 1 to 64 letters, digits, Chinese characters and the signs _ - . in a name; leave it out to have one made",messageExpression="'cloudName is \"' + self + '\": the cloud takes 1 to 64 letters, digits, Chinese characters and the signs _ - . in a name; leave it out to have one made'"
	// +kubebuilder:validation:MaxLength=1024
	// +optional
	CloudName string `json:"cloudName,omitempty"`

	// description for people who look at the object in the cloud's console: at most
	// 160 characters without < and >. The operator adds its ownership mark, for which a
	// description is cut that has more than 190 bytes or so, and leaves out white space at
	// its ends.
	// +kubebuilder:validation:XValidation:rule="!self.contains('<') && !self.contains('>')",message="the cloud refuses < and > in a description: leave them out"
	// +kubebuilder:validation:XValidation:rule="self.size() <= 160",message="a description has at most 160 characters",messageExpression="'description has %d characters and 160 is the most, as the operator\\'s mark goes with it: shorten it'.format([self.size()])"
	// +kubebuilder:validation:MaxLength=4096
	// +optional
	Description string `json:"description,omitempty"`

	// import names a filter or a session that the cloud has already, such as one that Terraform has
	// made: this object takes it over, or observes it, and never makes one. It is taken over
	// unless it bears another object's mark. cloudName, description, vni and priority stay as
	// they are there when the spec leaves them out. It can't be added, changed or removed
	// later.
	// +optional
	Import *Import `json:"import,omitempty"`

	// managementPolicy says whether the operator changes what the cloud has: Managed brings
	// it in line with the spec, Observe writes nothing there, and Ready says how it differs.
	// Counts and findings are the same for both. It can be changed at any time. What is
	// observed stays in the cloud when this object is deleted, whatever deletionPolicy says.
	// +kubebuilder:default=Managed
	// +optional
	ManagementPolicy ManagementPolicy `json:"managementPolicy,omitempty"`

	// deletionPolicy says what happens in the cloud when this object is deleted:
	// Delete removes the cloud's object, Retain leaves it. Without it that is Retain where
	// import is set, and Delete where it is not.
	// +optional
	DeletionPolicy DeletionPolicy `json:"deletionPolicy,omitempty"`

	// suspend stops all reading and writing in the cloud for this object until it
	// is set to false again. A suspended object can be deleted; what it owns in the
	// cloud is then handled as deletionPolicy says.
	// +optional
	Suspend bool `json:"suspend,omitempty"`
}

// Account is where an object lives in the cloud. It is recorded at the first write
// and never changed: a client for any other account touches nothing.
type Account struct {
	// region of the cloud.
	// +kubebuilder:validation:MaxLength=40
	// +required
	Region string `json:"region"`
	// projectID of the cloud.
	// +kubebuilder:validation:MaxLength=64
	// +required
	ProjectID string `json:"projectID"`
	// endpoint of the VPC API that was used, a URL.
	// +kubebuilder:validation:MaxLength=512
	// +required
	Endpoint string `json:"endpoint"`
}

// CommonStatus is what the status of a filter and of a session have alike.
type CommonStatus struct {
	// conditions of the object: Ready is the summary. Reconciling and Stalled are
	// present only while they are true, as kstatus wants it.
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=16
	// +optional
	Conditions []metav1.Condition `json:"conditions,omitempty"`

	// observedGeneration is the generation of the spec that this status speaks of.
	// -1 means that no controller has looked at the object yet.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// account is where the object lives in the cloud.
	// +optional
	Account *Account `json:"account,omitempty"`

	// secretName is the Secret that this object's credentials come from. The Secret
	// carries a finalizer while an object needs it.
	// +kubebuilder:validation:MaxLength=253
	// +optional
	SecretName string `json:"secretName,omitempty"`

	// lastHandledReconcileAt echoes the annotation vpcmirror.io/reconcile-requested-at
	// once the request has been handled.
	// +kubebuilder:validation:MaxLength=128
	// +optional
	LastHandledReconcileAt string `json:"lastHandledReconcileAt,omitempty"`

	// plan is what would be done in the cloud, of an object that asks for that by the annotation
	// vpcmirror.io/plan-of.
	// +optional
	Plan *Plan `json:"plan,omitempty"`
}
