package crash_test

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/status"
	"vpcmirror.io/operator/test/cloudsim/state"
)

// tampered is what the judge says once the cloud was changed; the cloud is as before then.
func (s *stage) tampered(edit func(*state.World), judge func(*state.World) string) string {
	before := maps.Clone(s.Cloud.State.Snapshot().Sessions)
	s.Edit(edit)
	defer s.Edit(func(world *state.World) { world.Sessions = before })
	return judge(s.Cloud.State.Snapshot())
}

// ready is a stage whose manager has made what there is to make, and is away.
func ready(t *testing.T, limit int, before func(*stage)) (s *stage, session *v1alpha1.MirrorSession) {
	t.Helper()
	s = newStage(t, limit)
	s.start()
	before(s)
	if _, wrong := s.settle(nil); wrong != "" {
		t.Fatal(wrong)
	}
	s.manager.Stop(s.World)
	s.refresh()
	return s, named[*v1alpha1.MirrorSession](s, "m")
}

// edited changes one session of the cloud.
func edited(id string, edit func(*state.Session)) func(*state.World) {
	return func(world *state.World) {
		m := world.Sessions[id]
		m.Sources = slices.Clone(m.Sources)
		edit(&m)
		world.Sessions[m.ID] = m
	}
}

func TestTheJudgeTellsWhatIsWrongWithAnyPartOfASession(t *testing.T) {
	t.Parallel()
	s, session := ready(t, divided, with(from(portA, portB, portC)))
	second := session.Status.Sessions[1].ID
	lacks := func(world *state.World) string { return s.Lacks(world, session) }
	left := func(*state.World) string {
		leaked, doubled := s.leftovers()
		return strings.Join(append(leaked, doubled...), "; ")
	}
	for name, c := range map[string]struct {
		edit  func(*state.World)
		judge func(*state.World) string
		says  string
	}{
		"nothing is wrong":           {edited(second, func(*state.Session) {}), func(w *state.World) string { return lacks(w) + left(w) }, ""},
		"it is gone":                 {func(world *state.World) { delete(world.Sessions, second) }, lacks, "had no session"},
		"it has another number":      {edited(second, func(m *state.Session) { m.Description = strings.Replace(m.Description, "/2]", "/3]", 1) }), lacks, "Description"},
		"it lost its mark":           {edited(second, func(m *state.Session) { m.Description = "" }), lacks, "Description"},
		"it is renamed":              {edited(second, func(m *state.Session) { m.Name = "theirs" }), lacks, "theirs"},
		"it has another priority":    {edited(second, func(m *state.Session) { m.Priority++ }), lacks, "Priority"},
		"it has another VNI":         {edited(second, func(m *state.Session) { m.VNI++ }), lacks, "VNI"},
		"it is off":                  {edited(second, func(m *state.Session) { m.Enabled = false }), lacks, "Enabled"},
		"it has another target":      {edited(second, func(m *state.Session) { m.TargetID = portU }), lacks, "TargetID"},
		"it copies from another one": {edited(second, func(m *state.Session) { m.Sources = []string{portD} }), lacks, portD},
		"it copies from no one":      {edited(second, func(m *state.Session) { m.Sources = nil }), lacks, portC},
		"it copies as another does":  {edited(second, func(m *state.Session) { m.Sources = []string{portA, portC} }), left, "second time"},
		"there is one more like it":  {edited(second, func(m *state.Session) { m.ID, m.Sources = portU, []string{portD} }), left, "second time"},
		"there is a part more": {edited(second, func(m *state.Session) {
			m.ID, m.Description, m.Sources = portU, strings.Replace(m.Description, "/2]", "/3]", 1), nil
		}), left, "second time"},
		"there is one in place of it": {func(world *state.World) {
			edited(second, func(m *state.Session) { m.ID = portU })(world)
			delete(world.Sessions, second)
		}, left, "no status names"},
		"there is one of nobody": {edited(second, func(m *state.Session) { m.ID, m.Description = portU, "[vpcmirror 00000000/nobody/2]" }), left, "of nobody"},
	} {
		if got := s.tampered(c.edit, c.judge); !strings.Contains(got, c.says) || (c.says == "") != (got == "") {
			t.Errorf("where %s the judge says %q, which has no %q", name, got, c.says)
		}
	}
	for name, tamper := range map[string]func(*v1alpha1.MirrorSession){
		"names a part twice":         func(m *v1alpha1.MirrorSession) { m.Status.Sessions[1] = m.Status.Sessions[0] },
		"does not name a part":       func(m *v1alpha1.MirrorSession) { m.Status.Sessions = m.Status.Sessions[:1] },
		"gives a part other sources": func(m *v1alpha1.MirrorSession) { m.Status.Sessions[1].Sources = []string{portA} },
		"names more than the sources need": func(m *v1alpha1.MirrorSession) {
			m.Status.Sessions = append(m.Status.Sessions, v1alpha1.CloudSession{ID: portU, Part: 3})
		},
	} {
		lying := session.DeepCopy()
		tamper(lying)
		if s.Lacks(s.Cloud.State.Snapshot(), lying) == "" {
			t.Errorf("a status that %s is believed", name)
		}
	}
}

func TestTheJudgeTellsWhatWasDoneToWhatSomebodyElseHasMade(t *testing.T) {
	t.Parallel()
	s, session := ready(t, 0, inTurn(terraformed(), importing(v1alpha1.ManagementManaged)))
	lacks := func(world *state.World) string { return s.Lacks(world, session) }
	harmed := func(*state.World) string { return strings.Join(s.harmed(), "; ") }
	gone := func(world *state.World) { delete(world.Sessions, s.session.ID) }
	for name, c := range map[string]struct {
		edit  func(*state.World)
		judge func(*state.World) string
		says  string
	}{
		"nothing is wrong":        {func(*state.World) {}, func(w *state.World) string { return lacks(w) + harmed(w) }, ""},
		"it is renamed":           {edited(s.session.ID, func(m *state.Session) { m.Name = s.Namespace + "-m" }), lacks, "tf-mirror"},
		"its description is lost": {edited(s.session.ID, func(m *state.Session) { m.Description = strings.TrimPrefix(m.Description, "by Terraform ") }), lacks, "by Terraform"},
		"it lost its mark":        {edited(s.session.ID, func(m *state.Session) { m.Description = "by Terraform" }), lacks, "[vpcmirror "},
		"it gets other numbers":   {edited(s.session.ID, func(m *state.Session) { m.VNI, m.Priority = 1, 10000 }), lacks, "VNI"},
		"it is deleted":           {gone, harmed, "tf-mirror"},
		"another stands in its place": {func(world *state.World) {
			edited(s.session.ID, func(m *state.Session) { m.ID = portU })(world)
			gone(world)
		}, harmed, "tf-mirror"},
	} {
		if got := s.tampered(c.edit, c.judge); !strings.Contains(got, c.says) || (c.says == "") != (got == "") {
			t.Errorf("where %s the judge says %q, which has no %q", name, got, c.says)
		}
	}

	for policy, wants := range map[v1alpha1.DeletionPolicy]bool{"": false, v1alpha1.DeletionRetain: false, v1alpha1.DeletionDelete: true} {
		deleted := session.DeepCopy()
		deleted.Spec.DeletionPolicy = policy
		lost := s.tampered(gone, func(*state.World) string { return strings.Join(s.Lost([]status.Object{deleted}), "; ") })
		if (lost == "") != wants {
			t.Errorf("with the policy %q the judge says %q of what is gone", policy, lost)
		}
	}

	s.onlyObserves()
	if _, err := s.Cloud.State.UpdateSession(session.Status.Account.ProjectID, s.session.ID, state.SessionInput{Name: new("x")}); err != nil {
		t.Fatal(err)
	}
	if len(s.harmed()) != 0 {
		t.Error("what somebody else writes counts as the manager's")
	}
}
