package v1alpha1

// Types of conditions.
const (
	// ConditionReady is the summary: True when the cloud matches the spec. It says
	// nothing about traffic, so that a deployment does not wait on a quiet network.
	ConditionReady = "Ready"
	// ConditionReconciling is present, and True, while the cloud is being changed or
	// something is waited for.
	ConditionReconciling = "Reconciling"
	// ConditionStalled is present, and True, while only a person can help: the spec,
	// the account, its permissions or its bill.
	ConditionStalled = "Stalled"
	// ConditionTrafficObserved says whether the copies of a session arrive: True when
	// packets from its sources that its filter accepts were seen on the target,
	// False when only wrong ones were, Unknown otherwise.
	ConditionTrafficObserved = "TrafficObserved"
)

// Reasons of Ready, Reconciling and Stalled.
const (
	// ReasonSynced: the cloud matches the spec.
	ReasonSynced = "Synced"
	// ReasonProgressing: the cloud is being changed.
	ReasonProgressing = "Progressing"
	// ReasonSuspended: spec.suspend is true, nothing is read or written in the cloud.
	ReasonSuspended = "Suspended"
	// ReasonDeleting: the object is being deleted.
	ReasonDeleting = "Deleting"
	// ReasonFilterInUse: a filter is being deleted, but sessions still use it.
	ReasonFilterInUse = "FilterInUse"
	// ReasonFilterNotFound: the session's filter does not exist (yet).
	ReasonFilterNotFound = "FilterNotFound"
	// ReasonFilterNotReady: the session's filter is not in the cloud (yet).
	ReasonFilterNotReady = "FilterNotReady"
	// ReasonNoSources: the session names no source, so none is made in the cloud.
	ReasonNoSources = "NoSources"
	// ReasonInterfaceNotFound: a source or the target is not in the cloud.
	ReasonInterfaceNotFound = "InterfaceNotFound"
	// ReasonAmbiguousAddress: an address belongs to interfaces in several VPCs.
	ReasonAmbiguousAddress = "AmbiguousAddress"
	// ReasonNodeNotFound: a node that the spec names does not exist, or has no InternalIP.
	ReasonNodeNotFound = "NodeNotFound"
	// ReasonSourceIsTarget: an interface is named as source and as target.
	ReasonSourceIsTarget = "SourceIsTarget"
	// ReasonPriorityTaken: another session of the account has the wanted priority.
	ReasonPriorityTaken = "PriorityTaken"
	// ReasonCredentialsNotFound: the Secret or a key in it is missing.
	ReasonCredentialsNotFound = "CredentialsNotFound"
	// ReasonInvalidCredentials: the content of the Secret can't be used.
	ReasonInvalidCredentials = "InvalidCredentials"
	// ReasonAuthenticationFailed: the cloud refused the signature or the access key.
	ReasonAuthenticationFailed = "AuthenticationFailed"
	// ReasonPermissionDenied: the account may not do this, or is in arrears.
	ReasonPermissionDenied = "PermissionDenied"
	// ReasonAccountChanged: the credentials are now for another account than the one
	// in which the object lives.
	ReasonAccountChanged = "AccountChanged"
	// ReasonAccountMismatch: a session and its filter are in different accounts.
	ReasonAccountMismatch = "AccountMismatch"
	// ReasonUnsupported: the region does not have traffic mirroring, or the
	// interface's flavor can't be mirrored.
	ReasonUnsupported = "Unsupported"
	// ReasonQuotaExceeded: a quota of the account is used up.
	ReasonQuotaExceeded = "QuotaExceeded"
	// ReasonThrottled: the cloud asked to come back later.
	ReasonThrottled = "Throttled"
	// ReasonInvalidRequest: the cloud refused the request as wrong.
	ReasonInvalidRequest = "InvalidRequest"
	// ReasonConflict: the cloud's state does not allow the change now.
	ReasonConflict = "Conflict"
	// ReasonCloudUnavailable: the cloud did not answer, or answered with a fault.
	ReasonCloudUnavailable = "CloudUnavailable"
)

// Reasons of TrafficObserved.
const (
	// ReasonPacketsObserved: packets of the session arrive.
	ReasonPacketsObserved = "PacketsObserved"
	// ReasonNoPackets: a verifier looks, but no packet has come yet.
	ReasonNoPackets = "NoPackets"
	// ReasonNoVerifier: no verifier runs on the host that owns the target.
	ReasonNoVerifier = "NoVerifier"
	// ReasonVerifierLost: the verifier of the target's node has not renewed its lease.
	ReasonVerifierLost = "VerifierLost"
	// ReasonNotReady: the session is not in the cloud yet.
	ReasonNotReady = "NotReady"
	// ReasonDisabled: spec.enabled is false, so no copies are made.
	ReasonDisabled = "Disabled"
	// ReasonUnexpectedPackets: packets came from the sources, but none that the filter accepts.
	ReasonUnexpectedPackets = "UnexpectedPackets"
	// ReasonForeignSource: packets carry the session's VNI, but come from elsewhere.
	ReasonForeignSource = "ForeignSource"
	// ReasonUndecided: packets came, but whether the filter accepts them can't be told.
	ReasonUndecided = "Undecided"
	// ReasonCaptureFailed: the verifier can't look at the interface.
	ReasonCaptureFailed = "CaptureFailed"
)
