package integration_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp/cmpopts"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/cloud"
	"vpcmirror.io/operator/controllers/plan"
	"vpcmirror.io/operator/test/cloudsim/scenario"
	"vpcmirror.io/operator/test/cloudsim/state"
	"vpcmirror.io/operator/test/integration/harness"
)

// noTimes leaves out of conditions when they changed.
var noTimes = cmpopts.IgnoreFields(metav1.Condition{}, "LastTransitionTime")

func synced(generation int64, message string) metav1.Condition {
	return metav1.Condition{
		Type: v1alpha1.ConditionReady, Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonSynced,
		Message: message, ObservedGeneration: generation,
	}
}

func account(w *harness.World) *v1alpha1.Account {
	return &v1alpha1.Account{Region: scenario.WalkthroughRegion, ProjectID: scenario.WalkthroughProject, Endpoint: w.Cloud.URL}
}

func TestAFilterAndASessionReachReadyAndTheCloudHasExactlyWhatTheSpecsSay(t *testing.T) {
	t.Parallel()
	w := harness.New(t)
	w.Start()
	filter := w.Filter("to-service", func(f *v1alpha1.MirrorFilter) { f.Spec.Description = "requests to the service" })
	session := w.Session("copies", "to-service", func(s *v1alpha1.MirrorSession) {
		s.Spec.CloudName = "mirror-session-01"
	})
	w.Create(filter)
	w.Create(session)
	harness.Ready(w, filter)
	harness.Ready(w, session)

	filterName := fmt.Sprintf("%s-to-service-%s", w.Namespace, strings.Split(string(filter.UID), "-")[0])
	rule := harness.CloudRule(1)
	rule.FilterID = filter.Status.ID
	w.Holds(harness.Content{
		Filters: []state.Filter{{
			ID: filter.Status.ID, ProjectID: scenario.WalkthroughProject, Name: filterName,
			Description: "requests to the service " + w.Mark(filter).String(),
		}},
		Rules: []state.Rule{rule},
		Sessions: []state.Session{{
			ID: session.Status.Sessions[0].ID, ProjectID: scenario.WalkthroughProject, Name: "mirror-session-01",
			Description: w.Mark(session).String(), FilterID: filter.Status.ID,
			Sources: []string{scenario.WalkthroughSource}, TargetID: scenario.WalkthroughTarget, TargetType: state.TargetENI,
			VNI: 1, PacketLength: 1460, Priority: 10000, Enabled: true, Type: "eni",
		}},
	})

	harness.Same(t, "the filter's status", v1alpha1.MirrorFilterStatus{
		CommonStatus: v1alpha1.CommonStatus{
			ObservedGeneration: 1, Account: account(w), SecretName: harness.SecretName,
			Conditions: []metav1.Condition{synced(1, "the cloud has the filter with every rule of the spec (1)")},
		},
		ID: filter.Status.ID, RuleCount: 1,
		Rules: []v1alpha1.FilterRuleStatus{{Direction: v1alpha1.DirectionIngress, Priority: 1, ID: w.Content().Rules[0].ID}},
		Epoch: 2, // the filter is made without rules
	}, filter.Status, noTimes, cmpopts.IgnoreFields(v1alpha1.MirrorFilterStatus{}, "EpochBasis"))
	harness.Same(t, "the session's status", v1alpha1.MirrorSessionStatus{
		CommonStatus: v1alpha1.CommonStatus{
			ObservedGeneration: 1, Account: account(w), SecretName: harness.SecretName,
			Conditions: []metav1.Condition{
				synced(1, "the cloud copies from 192.168.0.230 to 192.168.0.164 with VNI 1"),
				{
					Type: v1alpha1.ConditionPathClear, Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonClear,
					Message: "nothing that was read stands in the way of the copies to 192.168.0.164", ObservedGeneration: 1,
				},
				{
					Type: v1alpha1.ConditionTrafficObserved, Status: metav1.ConditionUnknown, Reason: v1alpha1.ReasonNoVerifier,
					Message: "no verifier has reported from the host that owns the target 192.168.0.164: run one there", ObservedGeneration: 1,
				},
				{
					Type: v1alpha1.ConditionConsumerReady, Status: metav1.ConditionUnknown, Reason: v1alpha1.ReasonNoVerifier,
					Message: "no verifier has reported from the host that owns the target 192.168.0.164: run one there", ObservedGeneration: 1,
				},
			},
		},
		VNI:      new(int32(1)),
		Sessions: []v1alpha1.CloudSession{{ID: session.Status.Sessions[0].ID, Priority: 10000, Sources: []string{scenario.WalkthroughSource}}},
		Sources: []v1alpha1.ResolvedInterface{{
			InterfaceID: scenario.WalkthroughSource, Addresses: []string{"192.168.0.230"}, MAC: "fa:16:3e:7e:d6:bc",
		}},
		Target: &v1alpha1.ResolvedTarget{ResolvedInterface: v1alpha1.ResolvedInterface{
			InterfaceID: scenario.WalkthroughTarget, Addresses: []string{"192.168.0.164"}, MAC: "fa:16:3e:7e:d6:7a",
		}},
		Epoch: 1,
		Traffic: &v1alpha1.Traffic{
			Since: session.Status.Traffic.Since, Sources: []v1alpha1.SourceCounts{{InterfaceID: scenario.WalkthroughSource, Address: "192.168.0.230"}},
		},
		Findings: []v1alpha1.Finding{{
			Reason: v1alpha1.ReasonNoVerifier, Severity: v1alpha1.SeverityInfo, DecidedBy: v1alpha1.DecidedByNode, Subject: "target 192.168.0.164",
			Message: "no verifier has reported from the host that owns the target 192.168.0.164: run one there", Remedy: v1alpha1.Remedy(v1alpha1.ReasonNoVerifier),
		}},
		Changes: []v1alpha1.Change{{
			At: session.Status.Changes[0].At, By: v1alpha1.ChangedByOperator,
			What: "the session " + session.Status.Sessions[0].ID + " was made, with the VNI 1 and the priority 10000",
		}},
	}, session.Status, noTimes, cmpopts.IgnoreFields(v1alpha1.MirrorSessionStatus{}, "EpochBasis"), cmpopts.IgnoreFields(v1alpha1.Finding{}, "Since"))
	sinceIsSet(t, session)
	w.EventSays(filter, "Created", filter.Status.ID)
	w.EventSays(session, "Created", session.Status.Sessions[0].ID)
}

func TestInterfacesAreFoundByAddressAsWellAsByID(t *testing.T) {
	t.Parallel()
	w := harness.New(t)
	w.Start()
	_, session := w.Pair("by-address", func(s *v1alpha1.MirrorSession) {
		s.Spec.Sources = harness.Sources(harness.At("192.168.0.230"), harness.ID(scenario.WalkthroughTest))
		s.Spec.Target = harness.Target(harness.At("192.168.0.164"))
	})
	got := w.Content().Sessions[0]
	harness.Same(t, "the sources", []string{scenario.WalkthroughTest, scenario.WalkthroughSource}, session.Status.Sessions[0].Sources)
	harness.Same(t, "the target", scenario.WalkthroughTarget, got.TargetID)
}

func TestASessionThatNamesEverythingGetsExactlyThat(t *testing.T) {
	t.Parallel()
	w := harness.New(t)
	w.Start()
	filter, session := w.Pair("explicit", func(s *v1alpha1.MirrorSession) {
		s.Spec.VNI, s.Spec.Priority, s.Spec.PacketLength = new(int32(0)), new(int32(7)), new(int32(96))
		s.Spec.Enabled = new(false)
		s.Spec.Description = "switched off"
	})
	got := w.Content().Sessions
	harness.Same(t, "the sessions", []state.Session{{
		ID: session.Status.Sessions[0].ID, ProjectID: scenario.WalkthroughProject,
		Name:        plan.CloudName(w.Namespace, "explicit", string(session.UID)),
		Description: "switched off " + w.Mark(session).String(), FilterID: filter.Status.ID,
		Sources: []string{scenario.WalkthroughSource}, TargetID: scenario.WalkthroughTarget, TargetType: string(cloud.TargetInterface),
		VNI: 0, PacketLength: 96, Priority: 7, Enabled: false, Type: "eni",
	}}, got, cmpopts.IgnoreFields(state.Session{}, "CreatedAt", "UpdatedAt"))
}
