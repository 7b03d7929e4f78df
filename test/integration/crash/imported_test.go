package crash_test

import "vpcmirror.io/operator/api/v1alpha1"

// terraformed makes what somebody else has made before there is any object.
func terraformed(sources ...string) func(*stage) {
	return func(s *stage) { s.filter, s.session = s.Terraformed(sources...) }
}

// importing makes objects for what terraformed has made.
func importing(policy v1alpha1.ManagementPolicy, edits ...func(*v1alpha1.MirrorSession)) func(*stage) {
	return func(s *stage) {
		s.newFilter("f", func(f *v1alpha1.MirrorFilter) {
			f.Spec.Import, f.Spec.ManagementPolicy = &v1alpha1.Import{ID: s.filter.ID}, policy
		})
		s.newSession("m", "f", append(edits, func(m *v1alpha1.MirrorSession) {
			m.Spec.Import, m.Spec.ManagementPolicy = &v1alpha1.Import{ID: s.session.ID}, policy
		})...)
	}
}

// managing changes how filter and session are managed, and what else the edits say of the session.
func managing(policy v1alpha1.ManagementPolicy, edits ...func(*v1alpha1.MirrorSession)) func(*stage) {
	return func(s *stage) {
		s.editFilter("f", func(f *v1alpha1.MirrorFilter) { f.Spec.ManagementPolicy = policy })
		s.editSession("m", func(m *v1alpha1.MirrorSession) {
			m.Spec.ManagementPolicy = policy
			for _, edit := range edits {
				edit(m)
			}
		})
	}
}

// inTurn does one thing after the other.
func inTurn(all ...func(*stage)) func(*stage) {
	return func(s *stage) {
		for _, do := range all {
			do(s)
		}
	}
}

// imports are the lives of what somebody else has made, and of what is only observed.
func imports() []play {
	const observe, manage = v1alpha1.ManagementObserve, v1alpha1.ManagementManaged
	onlyObserves, managesAgain := (*stage).onlyObserves, (*stage).managesAgain
	moreSources := from(portA, portB, portC)
	return []play{
		{name: "import a filter and a session", before: terraformed(), act: importing(manage)},
		{name: "import with an edit of each kind", before: terraformed(portA, portB), act: importing(manage, from(portB, portC), func(m *v1alpha1.MirrorSession) {
			m.Spec.CloudName, m.Spec.Description, m.Spec.VNI = "renamed", "for the IDS", new(int32(99))
		})},
		{name: "delete what was imported", before: inTurn(terraformed(), importing(manage)), act: removeAll},
		{name: "import a session that is divided then", limit: divided, before: terraformed(portA, portB), act: importing(manage, moreSources)},
		{name: "delete an imported session that is divided", limit: divided, before: inTurn(terraformed(portA, portB), importing(manage, moreSources)), act: removeAll},
		{name: "observe what somebody else has made", before: terraformed(), act: inTurn(onlyObserves, importing(observe))},
		{name: "manage what was only observed", before: inTurn(terraformed(), onlyObserves, importing(observe)), act: inTurn(managesAgain, managing(manage))},
		{name: "manage what was only observed and divide it", limit: divided, before: inTurn(terraformed(portA, portB), onlyObserves, importing(observe, from(portA, portB))),
			act: inTurn(managesAgain, managing(manage, moreSources))},
		{name: "only observe what was made", before: pair, act: inTurn(onlyObserves, managing(observe))},
		{name: "only observe what is divided, with an edit", limit: divided, before: with(moreSources), act: func(s *stage) {
			s.onlyObserves()
			managing(observe, func(m *v1alpha1.MirrorSession) { m.Spec.VNI = new(int32(99)) })(s)
			s.expect(named[*v1alpha1.MirrorSession](s, "m"), v1alpha1.ReasonDiffers)
		}},
		{name: "only observe and, when the manager stopped, manage again", before: pair, act: inTurn(onlyObserves, managing(observe)),
			back: inTurn(managesAgain, managing(manage, from(portB)))},
		{name: "only observe and manage again at once", before: pair, act: inTurn(managing(observe, from(portB)), managing(manage, from(portB, portC)))},
	}
}
