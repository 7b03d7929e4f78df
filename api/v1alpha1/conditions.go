package v1alpha1

// README.md of this folder is written from the comments of this file. That of a reason
// has a fixed form: its name, a colon, what it means, and after "Remedy:" what a person
// does about it.

// Types of conditions.
const (
	// ConditionReady is the summary: True when the cloud matches the spec. It says
	// nothing about traffic, so that a deployment does not wait on a quiet network. It is
	// Unknown while the object is suspended.
	ConditionReady = "Ready"
	// ConditionReconciling is present, and True, while the cloud is being changed or
	// something is waited for.
	ConditionReconciling = "Reconciling"
	// ConditionStalled is present, and True, while only a person can help: the spec,
	// the account, its permissions or its bill. It is tried again all the same, within a
	// minute where a Secret or the account is wrong, else at the resync interval or on
	// request, because much of that is mended outside of the spec.
	ConditionStalled = "Stalled"
	// ConditionTrafficObserved, of sessions, reports whether copies arrive since sources,
	// target, VNI, enabled or the content of the filter last changed in the cloud: True when
	// packets from the sources that the filter accepts were counted in this epoch, False when
	// only wrong ones were or when there is silence for spec.silenceAfter, Unknown while nobody
	// can know. Totals of before prove nothing. Its observedGeneration is that of the spec only
	// when the cloud matches it, so that waiting for it right after an edit waits.
	ConditionTrafficObserved = "TrafficObserved"
	// ConditionPathClear, of sessions, reports whether a copy can get from the sources to the
	// target, by what the cloud says of the way: True when nothing stands in it, with what was
	// assumed; False when something does, with the reason of the worst; Unknown when something
	// that decides could not be read. It is looked at when the spec changes, at each resync, on
	// request, and within about 30 seconds after copies stop or don't come, 40 where others go on.
	ConditionPathClear = "PathClear"
	// ConditionConsumerReady, of sessions, reports whether something on the target's node takes
	// the copies, whole: True when something does, False when nothing can, Unknown when that
	// can't be told from outside, or no copies come.
	ConditionConsumerReady = "ConsumerReady"
)

// Reasons of Ready, Reconciling and Stalled.
const (
	// ReasonSynced: the cloud matches the spec.
	// Remedy: none is needed.
	ReasonSynced = "Synced"
	// ReasonProgressing: the cloud is being changed, or an earlier change is not seen in
	// it yet.
	// Remedy: wait, it goes on by itself; a message that stays names what does not change.
	ReasonProgressing = "Progressing"
	// ReasonSuspended: spec.suspend is true, nothing is read or written in the cloud.
	// Remedy: set spec.suspend to false.
	ReasonSuspended = "Suspended"
	// ReasonDiffers: spec.managementPolicy is Observe, and what the cloud has is not what the spec
	// says; the message names the differences. It is used as the cloud has it.
	// Remedy: change the spec to what the cloud has, have whoever manages it there change
	// it, or set spec.managementPolicy to Managed, which brings it in line with the spec.
	ReasonDiffers = "Differs"
	// ReasonImportNotFound: the cloud does not have what spec.import.id names, or has it no
	// more; none is made in its place. It is looked for every minute.
	// Remedy: check region, project and ID; spec.import can't be changed, so delete this object and
	// create it anew with the ID of one that exists, or without import to have one made.
	ReasonImportNotFound = "ImportNotFound"
	// ReasonNothingToObserve: spec.managementPolicy is Observe without spec.import, and the cloud
	// has nothing of this object. It is looked for every minute.
	// Remedy: set spec.managementPolicy to Managed to have it made, or create the object anew with
	// spec.import.id.
	ReasonNothingToObserve = "NothingToObserve"
	// ReasonDeleting: the object is being deleted; the message says what it waits for.
	// Remedy: wait, or set spec.deletionPolicy to Retain, which lets the object go and
	// keeps what the cloud has.
	ReasonDeleting = "Deleting"
	// ReasonFilterInUse: a filter is being deleted, but sessions still use it.
	// Remedy: delete the sessions that the message names, or give them another filter.
	ReasonFilterInUse = "FilterInUse"
	// ReasonFilterNotFound: the session's filter does not exist (yet).
	// Remedy: create the MirrorFilter in the session's namespace, or correct
	// spec.filterRef; the session then goes on by itself.
	ReasonFilterNotFound = "FilterNotFound"
	// ReasonFilterNotReady: the session's filter is not in the cloud (yet).
	// Remedy: look at the conditions of the MirrorFilter; the session goes on by itself.
	ReasonFilterNotReady = "FilterNotReady"
	// ReasonNoSources: the session names no source, so none is made in the cloud; one that
	// exists there is switched off, and keeps its ID and numbers.
	// Remedy: name at least one elastic network interface in spec.sources.
	ReasonNoSources = "NoSources"
	// ReasonNoNodeSelected: the nodeSelectors of spec.sources select no node, or none but the
	// target, and no other source is named. Until a node joins it is as with NoSources.
	// Remedy: correct the nodeSelector, or give a node its labels.
	ReasonNoNodeSelected = "NoNodeSelected"
	// ReasonTooManySources: the nodeSelectors of spec.sources select more nodes than a session
	// can copy from. Those that fit are mirrored: the ones that were before, and then the
	// oldest; the message names some that are left out.
	// Remedy: narrow the selection, and mirror the other nodes by another MirrorSession.
	ReasonTooManySources = "TooManySources"
	// ReasonInterfaceNotFound: a source or the target is not in the cloud; the message
	// names the field. It is looked for every minute.
	// Remedy: correct the field, or wait until the server is there.
	ReasonInterfaceNotFound = "InterfaceNotFound"
	// ReasonLoadBalancerNotFound: the load balancer that spec.target names does not exist in the
	// account.
	// Remedy: correct spec.target.loadBalancerID, or wait until the load balancer is there.
	ReasonLoadBalancerNotFound = "LoadBalancerNotFound"
	// ReasonAmbiguousAddress: an address belongs to interfaces in several VPCs, a node's
	// InternalIPs to several servers, or its server has several interfaces of which none is
	// the primary one; the message names the interfaces.
	// Remedy: set address.vpcID to the VPC that is meant, or interfaceID in place of nodeName.
	ReasonAmbiguousAddress = "AmbiguousAddress"
	// ReasonNodeNotFound: a node that the spec names does not exist, or one that it names or
	// selects has neither a providerID of this cloud nor an InternalIP.
	// Remedy: correct nodeName, or wait until the node has joined.
	ReasonNodeNotFound = "NodeNotFound"
	// ReasonSourceIsTarget: an interface is named as source and as target.
	// Remedy: change one of the two; the cloud takes no interface as both.
	ReasonSourceIsTarget = "SourceIsTarget"
	// ReasonPriorityTaken: another session of the account has the wanted priority; a
	// priority is unique in account and region. It is asked again every minute. Sessions
	// that exchange theirs need no help: one moves to another number for a while.
	// Remedy: choose another spec.priority or leave it out; the message names the holder.
	ReasonPriorityTaken = "PriorityTaken"
	// ReasonCredentialsNotFound: the Secret or a key in it is missing; the message names
	// it. It is looked for after a second, then ever later up to a minute.
	// Remedy: create the Secret with accessKey and secretKey, or correct
	// spec.credentialsRef.
	ReasonCredentialsNotFound = "CredentialsNotFound"
	// ReasonCredentialsUnavailable: who issues temporary keys (the server's metadata service, the
	// node's agent for pod identities, the identity service) gives none, and those before have
	// ended; the message says why. It is asked again after a second, then ever later up to a
	// minute.
	// Remedy: mend what the message names: the agency's binding, its trust in the account, or the
	// way to the service.
	ReasonCredentialsUnavailable = "CredentialsUnavailable"
	// ReasonInvalidCredentials: the content of the Secret can't be used; the message names the
	// key, and of a character that is not seen its code point and place.
	// Remedy: correct the key that the message names; that is seen within a minute.
	ReasonInvalidCredentials = "InvalidCredentials"
	// ReasonCredentialsNotAllowed: the object names no Secret, and the operator's own
	// credentials don't serve its namespace.
	// Remedy: name a Secret in spec.credentialsRef, or have the administrator select the
	// namespace by --own-credentials-namespaces (chart: credentials.namespaces).
	ReasonCredentialsNotAllowed = "CredentialsNotAllowed"
	// ReasonEndpointNotAllowed: the Secret names a server that is neither the usual one of
	// its region nor on the administrator's list. Nothing was sent to it.
	// Remedy: leave endpoint and iamEndpoint out of the Secret, or have the administrator
	// add the server to --allowed-endpoints (chart: cloud.allowedEndpoints).
	ReasonEndpointNotAllowed = "EndpointNotAllowed"
	// ReasonAuthenticationFailed: the cloud refused the signature or the access key.
	// Remedy: check accessKey, secretKey and the clock, and that region and endpoint
	// belong together. It is tried again within a minute.
	ReasonAuthenticationFailed = "AuthenticationFailed"
	// ReasonPermissionDenied: the account may not do this, or is in arrears; the message
	// has the cloud's own words.
	// Remedy: grant the action that the message names, or pay. It is tried again within a
	// minute.
	ReasonPermissionDenied = "PermissionDenied"
	// ReasonForbidden: Kubernetes does not let the operator do something that it has to, such
	// as to read a Secret; the message names the verb and the resource.
	// Remedy: let an administrator apply the ClusterRoles of this version, or grant what the
	// message names. It is tried again within a minute.
	ReasonForbidden = "Forbidden"
	// ReasonStatusRefused: Kubernetes refuses the status that the operator writes. The cloud's
	// side goes on, and what is shown of it is that of before.
	// Remedy: apply the CustomResourceDefinitions of the version that runs, or change the
	// admission policy that the message names.
	ReasonStatusRefused = "StatusRefused"
	// ReasonAccountChanged: the credentials are now for another account than the one
	// in which the object lives. Nothing was touched.
	// Remedy: restore the old credentials, or delete the object with them and create it
	// anew.
	ReasonAccountChanged = "AccountChanged"
	// ReasonAccountMismatch: a session and its filter are in different accounts, regions
	// or projects; the message names both.
	// Remedy: give both the same credentials, region and project.
	ReasonAccountMismatch = "AccountMismatch"
	// ReasonUnsupported: the region does not have traffic mirroring, or the
	// interface's flavor can't be mirrored; the message has the cloud's own words.
	// Remedy: use a source on a server of a flavor that mirrors (c7t at least), in a region
	// that has the feature.
	ReasonUnsupported = "Unsupported"
	// ReasonQuotaExceeded: a quota of the account is used up. It is tried again every two
	// minutes; where every priority, or every VNI of the target, is taken, at the resync
	// interval.
	// Remedy: delete what is not needed, or have the quota raised.
	ReasonQuotaExceeded = "QuotaExceeded"
	// ReasonThrottled: the cloud asked to come back later.
	// Remedy: none is needed, it is tried again, not before the cloud's Retry-After, and
	// slower and slower up to two minutes.
	// Where it stays, lower the manager's --cloud-calls-per-second or raise its
	// --resync-interval.
	ReasonThrottled = "Throttled"
	// ReasonInvalidRequest: the cloud refused the request as wrong; the message has its
	// own words.
	// Remedy: correct the value that the message names.
	ReasonInvalidRequest = "InvalidRequest"
	// ReasonConflict: the cloud's state does not allow the change now: somebody else uses
	// or changed the thing, something with another name carries the object's mark too, or what
	// spec.import or status names carries another object's: a copy that was restored together
	// with its status, for example.
	// Remedy: look at what the message names. A filter that a session of somebody else
	// uses waits for that session; of two things with one mark, delete the one that is not
	// wanted in the cloud's console; a copy can be deleted, and what it names stays; what
	// another object has marked can be imported when that lets it go (deletionPolicy Retain).
	ReasonConflict = "Conflict"
	// ReasonCloudUnavailable: the cloud did not answer, or answered with a fault; the message
	// says what is in the way: the network, a proxy, a certificate.
	// Remedy: none is needed where it is the cloud, it is tried again, slower and slower up to
	// a minute. Else do what the message says; the manager's log has the details.
	ReasonCloudUnavailable = "CloudUnavailable"
)

// Reasons of TrafficObserved True.
const (
	// ReasonPacketsObserved: packets of the session have arrived since the last change; the
	// message says which other session claims the same ones, if one does.
	// Remedy: none is needed; give one of the sessions that claim the same another VNI.
	ReasonPacketsObserved = "PacketsObserved"
)

// Reasons of TrafficObserved False, and of findings.
const (
	// ReasonSilent: no copy that the filter accepts was counted for spec.silenceAfter.
	// Remedy: ask what has changed since then: the target's security group, a network ACL or a
	// route, the sources' traffic; where it is only quiet, raise spec.silenceAfter or leave it
	// out.
	ReasonSilent = "Silent"
	// ReasonSourceSilent: no copy that the filter accepts was counted from one of the sources
	// for spec.silenceAfter, while others come.
	// Remedy: ask whether the source is running and has traffic that the filter accepts, and
	// whether the target's security group allows UDP 4789 from its address too; where it is only
	// quiet, raise spec.silenceAfter or leave it out.
	ReasonSourceSilent = "SourceSilent"
	// ReasonUnexpectedPackets: packets came from the sources that the filter does not accept; as
	// the reason of TrafficObserved, none other did since the last change.
	// Remedy: look at lastPacket in status.verification, then at the filter's directions,
	// addresses and ports.
	ReasonUnexpectedPackets = "UnexpectedPackets"
	// ReasonForeignSource: packets carry the session's VNI, but come from elsewhere; the message
	// has the address that sends the most, where it is known.
	// Remedy: another session to this target may have the same VNI: give one of them another.
	ReasonForeignSource = "ForeignSource"
	// ReasonUndecided: packets came, but are cut or fragmented before the field that
	// decides whether the filter accepts them.
	// Remedy: raise spec.packetLength, and look at lastPacket in status.verification.
	ReasonUndecided = "Undecided"
)

// Reasons of TrafficObserved Unknown, and of findings.
const (
	// ReasonNoPackets: a verifier looks, but no packet has come since the last change.
	// Remedy: ask whether there is traffic that the filter accepts (Ingress is what a
	// source receives); whether the target's security group allows UDP 4789 from the
	// sources' addresses; whether a network ACL is in the way; and between VPCs whether
	// there is a route.
	ReasonNoPackets = "NoPackets"
	// ReasonNoVerifier: no verifier runs on the host that owns the target, or on one that is behind a
	// load balancer.
	// Remedy: let the verifier's DaemonSet reach that node, or run a verifier on that host; if a
	// pod is there, its log says why it does not start: CAP_NET_RAW, the host's network.
	ReasonNoVerifier = "NoVerifier"
	// ReasonVerifierLost: the verifier of the target's node has not renewed its lease for
	// 40 seconds; the counts are as of its last report.
	// Remedy: look at its pod, and whether it reaches the API server.
	ReasonVerifierLost = "VerifierLost"
	// ReasonNotReady: the session is not in the cloud yet.
	// Remedy: look at the Ready condition.
	ReasonNotReady = "NotReady"
	// ReasonDisabled: no copies are to be made: spec.enabled is false, or no source is left.
	// Remedy: set spec.enabled to true, or name a source that is in the cloud.
	ReasonDisabled = "Disabled"
	// ReasonCaptureFailed: the verifier can't look at the interface, or is so short of memory that it
	// may be ended; the message has the kernel's words, or the limit.
	// Remedy: give the verifier CAP_NET_RAW, the host's network and the memory that it needs, or mend the interface.
	ReasonCaptureFailed = "CaptureFailed"
)

// Reasons of PathClear.
const (
	// ReasonClear: nothing that could be read stands in the way of the copies.
	// Remedy: none is needed.
	ReasonClear = "Clear"
	// ReasonNotJudged: something on the way can't be judged, such as an enterprise router; the
	// message names it.
	// Remedy: look at what the message names, in the cloud's console.
	ReasonNotJudged = "NotJudged"
	// ReasonNotPermitted: the account may not read what decides about the way; the message names
	// the action. All else works without it.
	// Remedy: grant the account the action that the message names; it changes nothing in the
	// cloud.
	ReasonNotPermitted = "NotPermitted"
)

// Reasons of PathClear False, and of findings.
const (
	// ReasonTargetGroupDenies: the security groups of the target keep out the copies from a
	// source, UDP 4789 from its address: a rule denies them, or none allows them.
	// Remedy: allow UDP 4789 from the source's address in a security group of the target.
	ReasonTargetGroupDenies = "TargetGroupDenies"
	// ReasonSourceGroupDenies: the security groups of a source hold back the packets that the filter
	// accepts, and what they hold back is never copied.
	// Remedy: allow in a security group of the source what is to be mirrored, or mirror something
	// else.
	ReasonSourceGroupDenies = "SourceGroupDenies"
	// ReasonNetworkACLDenies: the network ACL of the target's subnet keeps out the copies, or
	// that of a source's subnet holds back what is to be copied.
	// Remedy: allow in the network ACL that the message names what it names, or take the subnet
	// off it.
	ReasonNetworkACLDenies = "NetworkACLDenies"
	// ReasonNoPeering: source and target are in different VPCs that no active peering joins.
	// Remedy: make a peering between the two VPCs, or have it accepted.
	ReasonNoPeering = "NoPeering"
	// ReasonNoRoute: source and target are in different VPCs, and a route table on the way has no
	// route to the other, or one that leads elsewhere.
	// Remedy: add the route that the message names.
	ReasonNoRoute = "NoRoute"
	// ReasonInterfaceGone: an interface that the session has is deleted in the cloud.
	// Remedy: name the interface that took its place, by its ID, or by address or nodeName, which
	// follow.
	ReasonInterfaceGone = "InterfaceGone"
	// ReasonInterfaceReplaced: an interface that the session has is deleted in the cloud, and
	// another one has its address now.
	// Remedy: name the new interface, or use address or nodeName, which follow by themselves.
	ReasonInterfaceReplaced = "InterfaceReplaced"
	// ReasonInterfaceDetached: an interface that the session has is attached to no server.
	// Remedy: attach it to a server.
	ReasonInterfaceDetached = "InterfaceDetached"
	// ReasonInterfaceDown: an interface that the session has is not active in the cloud.
	// Remedy: switch the interface on, or look at its server.
	ReasonInterfaceDown = "InterfaceDown"
	// ReasonServerStopped: the server of an interface that the session has does not run.
	// Remedy: start the server, or name an interface of one that runs.
	ReasonServerStopped = "ServerStopped"
	// ReasonLoadBalancerGone: the load balancer that is the target is deleted in the cloud.
	// Remedy: name another target.
	ReasonLoadBalancerGone = "LoadBalancerGone"
	// ReasonNoListener: the load balancer that is the target takes no copies: it has no listener on UDP
	// 4789, or something is switched off.
	// Remedy: add a UDP listener on port 4789 to the load balancer, with a backend server group.
	ReasonNoListener = "NoListener"
	// ReasonNoMembers: nobody is behind the load balancer's listener on UDP 4789.
	// Remedy: add backend servers to the group of that listener, with a weight above 0.
	ReasonNoMembers = "NoMembers"
	// ReasonMembersUnhealthy: by the load balancer's health checks all members are offline.
	// Remedy: let the members answer the health check: start them, run what answers it, and allow ICMP and
	// the check's port from the load balancer's subnet in their security groups.
	ReasonMembersUnhealthy = "MembersUnhealthy"
	// ReasonMemberPort: the load balancer gives members the copies at another port than UDP 4789.
	// Remedy: give the members the backend port 4789.
	ReasonMemberPort = "MemberPort"
	// ReasonSourcesHidden: the listener puts the load balancer's address in the place of the sources', so
	// that the copies count for no source.
	// Remedy: switch "transfer client IP address" of the listener on.
	ReasonSourcesHidden = "SourcesHidden"
	// ReasonFlavorUnsupported: the flavor of a source's server can't be mirrored: the cloud may take
	// the session, and copies nothing.
	// Remedy: use a source on a server of a flavor that mirrors, c7t for example.
	ReasonFlavorUnsupported = "FlavorUnsupported"
	// ReasonFilterMatchesNothing: no rule of the filter can accept a packet of a source.
	// Remedy: correct the filter as the message says: direction, addresses, family or ports.
	ReasonFilterMatchesNothing = "FilterMatchesNothing"
	// ReasonUnknownField: the manifest of the session, or of its filter, that kubectl apply sent last has
	// something that is no field: Kubernetes has left it out, because validation was switched off, and a
	// rule without what was meant to narrow it matches more.
	// Remedy: correct the field's name in the manifest as the message says, and apply it with validation.
	ReasonUnknownField = "UnknownField"
	// ReasonRuleMatchesNothing: a rule of the filter can accept no packet of any source, while others
	// do: a rule before it rejects all that it could, or its ends are swapped.
	// Remedy: correct the rule as the message says, or remove it.
	ReasonRuleMatchesNothing = "RuleMatchesNothing"
	// ReasonTakenEarlier: another session is tried before this one and copies packets that this one
	// is to copy; each packet is copied once.
	// Remedy: lower spec.priority below the other one's, or narrow the other one's
	// filter.
	ReasonTakenEarlier = "TakenEarlier"
	// ReasonRejectedEarlier: another session is tried before this one and rejects packets that
	// this one is to copy; what is rejected is never tried further.
	// Remedy: lower spec.priority below the other one's, or narrow the other one's
	// filter.
	ReasonRejectedEarlier = "RejectedEarlier"
	// ReasonChangedInCloud: somebody has changed the filter or the session in the cloud, so that not
	// what the spec says is copied.
	// Remedy: none is needed, it is put back as the spec has it; see who changes it in the cloud.
	ReasonChangedInCloud = "ChangedInCloud"
	// ReasonSwitchedOff: the session is switched off in the cloud, although the spec does not say so.
	// Remedy: none is needed, it is switched on again; see who does that in the cloud.
	ReasonSwitchedOff = "SwitchedOff"
)

// Reasons of ConsumerReady.
const (
	// ReasonConsumerSeen: something on the target's node takes the copies; the message names it.
	// Remedy: none is needed.
	ReasonConsumerSeen = "ConsumerSeen"
	// ReasonNobodyListens: the node's kernel refuses the copies, because no program or device
	// listens on their port and address.
	// Remedy: start the program that is to look at the copies, or make a vxlan device for it.
	ReasonNobodyListens = "NobodyListens"
	// ReasonWrongVNI: the vxlan devices that listen on the port are for other VNIs.
	// Remedy: give the device the session's VNI, or the session the device's.
	ReasonWrongVNI = "WrongVNI"
	// ReasonConsumerDown: the vxlan device for the VNI is there, and is down.
	// Remedy: set the device up.
	ReasonConsumerDown = "ConsumerDown"
	// ReasonDroppedOnNode: the copies reach the node's interface, and the node throws them away
	// before something has them.
	// Remedy: look at the node's firewall and at rp_filter.
	ReasonDroppedOnNode = "DroppedOnNode"
	// ReasonNoCopies: no copies arrived lately whose way on the node could be followed.
	// Remedy: see PathClear and TrafficObserved.
	ReasonNoCopies = "NoCopies"
	// ReasonNotObserved: the verifier could not look at the node's sockets and devices, and the
	// message has the kernel's words; or it has not looked yet.
	// Remedy: wait for some seconds; else let the verifier's pod use the host's network and read
	// /proc/net, in the manager's version.
	ReasonNotObserved = "NotObserved"
	// ReasonOutOfSight: what could take the copies is where the verifier does not see it, such as
	// a pod behind a redirected port.
	// Remedy: ask the program itself whether it gets them.
	ReasonOutOfSight = "OutOfSight"
	// ReasonNotDecided: what was seen of the node fits both that something takes the copies and that
	// nothing does.
	// Remedy: ask the program itself whether it gets them.
	ReasonNotDecided = "NotDecided"
)

// Reasons of findings alone. What is seen now and then is said for 5 minutes after it was seen
// last.
const (
	// ReasonPayloadTruncated: more than 3 in 100 copies, of the session or of the source that
	// is named, are shorter than their own IP header says. An IDS does not look into what it
	// can't read whole.
	// Remedy: raise spec.packetLength; at 1460, its largest, frames that are longer never fit:
	// lower the MTU of the sources to 1446, or clamp the MSS of their connections.
	ReasonPayloadTruncated = "PayloadTruncated"
	// ReasonCaptureDrops: frames reached the node while the capture could not keep up, so more
	// copies arrive than are counted.
	// Remedy: give the verifier more CPU or a larger ring, or narrow the filter.
	ReasonCaptureDrops = "CaptureDrops"
	// ReasonBooksDontBalance: the capture read more or fewer frames than the kernel says came.
	// Remedy: report it with the verifier's log and metrics: it is an error of a program, and
	// the counts are not to be trusted.
	ReasonBooksDontBalance = "BooksDontBalance"
	// ReasonUnreadableCopies: frames from a source arrive on the port of the copies that can't
	// be read as one: the VXLAN header is not valid or of VXLAN-GPE, or the headers around it
	// are cut or contradict each other.
	// Remedy: look at what the source itself sends to UDP 4789 of the target, and compare with
	// tcpdump on the target.
	ReasonUnreadableCopies = "UnreadableCopies"
	// ReasonSharedVNI: another session sends copies with the same VNI to the same target, and
	// nothing in a copy says whose it is.
	// Remedy: give one of the sessions another spec.vni, or leave it out to have one allocated.
	ReasonSharedVNI = "SharedVNI"
	// ReasonVerifierBehind: the verifier counts in another epoch than the session's for over a
	// minute, and for longer than its turn to be written takes, or knows no epochs: its counts prove nothing about what is copied since the last
	// change.
	// Remedy: run the verifier in the manager's version, and look at its log for what it can't
	// write.
	ReasonVerifierBehind = "VerifierBehind"
	// ReasonClockAhead: the clock of the node is more than 2 seconds ahead of the manager's, or was
	// in the last minutes.
	// LAST-SEEN then goes by the manager's clock; nothing is judged by the node's.
	// Remedy: let the clocks of the nodes be set by NTP.
	ReasonClockAhead = "ClockAhead"
)

// Reasons of status.probe, and of its results, why nothing was sent.
const (
	// ReasonProbeNotAllowed: the administrator has switched probes off, by --allow-probes=false.
	// Remedy: send a packet that the filter accepts yourself, or ask the administrator.
	ReasonProbeNotAllowed = "ProbeNotAllowed"
	// ReasonProbeStale: the request is older than five minutes, or its value is no time.
	// Remedy: ask anew: kubectl mirror why NAME --probe.
	ReasonProbeStale = "ProbeStale"
	// ReasonProbeSuspended: the session is suspended, so the manager does nothing for it.
	// Remedy: set spec.suspend to false.
	ReasonProbeSuspended = "ProbeSuspended"
	// ReasonProbeNothingCopied: the cloud has no session that copies from a source, or it is switched off.
	// Remedy: see Ready.
	ReasonProbeNothingCopied = "ProbeNothingCopied"
	// ReasonProbeUnseen: no verifier counts copies at the target, or none answered, so nobody would see whether the
	// probe's arrive; or spec.packetLength leaves too little of a copy to know it by.
	// Remedy: run the verifier on the target's node, see TrafficObserved; let spec.packetLength be 66 or more.
	ReasonProbeUnseen = "ProbeUnseen"
	// ReasonProbeNoRule: the filter accepts no packet that could be sent for the source.
	// Remedy: see PathClear for a filter that matches nothing; else send a packet yourself, as the command does.
	ReasonProbeNoRule = "ProbeNoRule"
	// ReasonProbeNoSender: no node with a verifier has an address that the rule is about.
	// Remedy: run the command on a host that has one, and look at the counts.
	ReasonProbeNoSender = "ProbeNoSender"
	// ReasonProbeSenderSilent: the verifier of the sending node did not send in time.
	// Remedy: look at its log, and ask anew.
	ReasonProbeSenderSilent = "ProbeSenderSilent"
	// ReasonProbeNotSent: the kernel of the sending node did not take the packets; the message has its words.
	// Remedy: look at what it says: a port in use, a firewall, a missing route.
	ReasonProbeNotSent = "ProbeNotSent"
)
