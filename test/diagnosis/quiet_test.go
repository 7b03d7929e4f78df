package diagnosis

import (
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/test/cloudsim/state"
)

// judged asks for silence to be judged as soon as it can.
func judged(_ *site, _ *v1alpha1.MirrorFilter, m *v1alpha1.MirrorSession) {
	m.Spec.SilenceAfter = &metav1.Duration{Duration: 10 * time.Second}
}

// quietCauses: traffic that stopped or never came, and edits that end it.
var quietCauses = []cause{
	{
		id: "quiet", name: "the source has no traffic that the filter accepts, and nothing stands in the way", by: "count", needs: needs{quiet: true},
		want: says{reason: v1alpha1.ReasonNoPackets, path: "True"},
	},
	{
		id: "silent", name: "the traffic of the source stops", by: "count", flows: true, shape: judged,
		inject: func(s *site) error { s.sent[0].off.Store(true); return nil },
		want:   says{reason: v1alpha1.ReasonSilent, path: "True"},
	},
	{
		id: "silent-one", name: "the traffic of one of two sources stops", by: "count", flows: true, shape: judged, needs: needs{sources: 2},
		inject: func(s *site) error { s.sent[1].off.Store(true); return nil },
		want:   says{reason: v1alpha1.ReasonSourceSilent, subject: "{other}", path: "True"},
	},
	{
		id: "silent-closed", name: "the target's group is closed where silence is judged too", by: "read", flows: true, shape: judged,
		inject: func(s *site) error { return s.revoke(0) },
		want: says{
			reason: v1alpha1.ReasonTargetGroupDenies, subject: "{source}", words: fromTarget, path: "False",
			change: []string{"4789", "{group}"},
		},
	},
	{
		id: "edited-target", name: "the spec is edited to a target whose group is closed", by: "read", flows: true, needs: needs{sources: 2},
		shape: func(_ *site, f *v1alpha1.MirrorFilter, m *v1alpha1.MirrorSession) {
			m.Spec.Sources, f.Spec.Rules = m.Spec.Sources[:1], f.Spec.Rules[:1]
		},
		prepare: func(s *site) error { // the second server is to be the new target
			g, err := s.cloud.State.CreateGroup(project, state.GroupInput{Name: new(s.id + "-new")})
			if err != nil {
				return err
			}
			_, err = s.cloud.State.UpdatePort(project, s.sources[1].id, state.PortInput{SecurityGroups: &[]string{g.ID}})
			return err
		},
		inject: func(s *site) error {
			return s.edit(func(m *v1alpha1.MirrorSession) { m.Spec.Target.InterfaceID = s.sources[1].id })
		},
		want: says{
			reason: v1alpha1.ReasonTargetGroupDenies, subject: "{source}", path: "False", words: []string{"{session}-new", "UDP 4789", "{source}/32"},
		},
	},
	{
		id: "edited-filter", name: "the filter is edited to another address", by: "read", flows: true,
		inject: func(s *site) error {
			return s.editFilter(func(f *v1alpha1.MirrorFilter) { f.Spec.Rules[0].Destination.CIDR = "10.20.15.203/32" })
		},
		want: matchesNothing("10.20.15.203/32", "{source}"),
	},
	{
		id: "edited-off", name: "the spec switches the session off", by: "spec", flows: true,
		inject: func(s *site) error { return s.edit(func(m *v1alpha1.MirrorSession) { m.Spec.Enabled = new(false) }) },
		want:   says{reason: v1alpha1.ReasonDisabled, words: []string{"spec.enabled"}},
	},
	{
		id: "edited-sources", name: "the spec names no source any more", by: "spec", flows: true,
		inject: func(s *site) error { return s.edit(func(m *v1alpha1.MirrorSession) { m.Spec.Sources = nil }) },
		want:   says{reason: v1alpha1.ReasonNoSources, words: []string{"spec.sources"}},
	},
	{
		id: "suspended", name: "the session is suspended, and its group closed meanwhile", by: "spec", flows: true,
		inject: func(s *site) error {
			if err := s.edit(func(m *v1alpha1.MirrorSession) { m.Spec.Suspend = true }); err != nil {
				return err
			}
			return s.revoke(0)
		},
		want: says{reason: v1alpha1.ReasonSuspended, words: []string{"spec.suspend"}},
	},
	{
		id: "cut-length", name: "the copies are cut by spec.packetLength", by: "count", needs: needs{size: 600},
		shape: func(_ *site, _ *v1alpha1.MirrorFilter, m *v1alpha1.MirrorSession) {
			m.Spec.PacketLength = new(int32(200))
		},
		want: says{reason: v1alpha1.ReasonPayloadTruncated, words: []string{"spec.packetLength"}},
	},
	{
		id: "cut-full", name: "the source sends full frames, which never fit", by: "count", needs: needs{size: 1472},
		want: says{reason: v1alpha1.ReasonPayloadTruncated, words: []string{"MTU", "1446"}},
	},
	{
		id: "cut-one", name: "the frames of one of two sources do not fit", by: "count", needs: needs{sources: 2, size: 1472}, flows: false,
		prepare: func(s *site) error {
			return s.cloud.State.SetPort(s.sources[1].id, state.PortSettings{MTU: new(1400)})
		},
		want: says{reason: v1alpha1.ReasonPayloadTruncated, words: []string{"MTU"}},
	},
}
