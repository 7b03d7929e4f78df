package manifests_test

import (
	"testing"
)

const (
	oneProject   = "0123456789abcdef0123456789abcdef"
	otherProject = "fedcba9876543210fedcba9876543210"
)

func TestWhatCanNotBeChangedIsRefusedWithWhatWasAndWhatIsWanted(t *testing.T) {
	s := newSender(t)
	const beginning, region, project = " can't be changed from ", ", because the cloud can't move an object: create a new object for the other region and delete this one",
		", because the cloud can't move an object: create a new object for the other project and delete this one"
	const imported, thing = "spec.import: import.id can't be changed from ",
		", because the object stands for one thing in the cloud: create a new object for the other and delete this one"
	for _, c := range []struct{ name, from, to, says string }{
		{"another-region", "region: cn-north-4", "region: cn-east-3", "spec.region: region" + beginning + "cn-north-4 to cn-east-3" + region},
		{"a-region-later", "", "region: cn-east-3", "spec.region: region" + beginning + "none to cn-east-3" + region},
		{"no-region-later", "region: cn-north-4", "", "spec.region: region" + beginning + "cn-north-4 to none" + region},
		{"another-project", "projectID: " + oneProject, "projectID: " + otherProject, "spec.projectID: projectID" + beginning + oneProject + " to " + otherProject + project},
		{"a-project-later", "", "projectID: " + oneProject, "spec.projectID: projectID" + beginning + "none to " + oneProject + project},
		{"no-project-later", "projectID: " + oneProject, "", "spec.projectID: projectID" + beginning + oneProject + " to none" + project},
		{"another-name", "region: cn-north-4", "region: cn-north-4, cloudName: one", ""},
		{"another-import", "import: {id: " + portID + "}", "import: {id: " + otherID + "}", imported + portID + " to " + otherID + thing},
		{"an-import-later", "", "import: {id: " + otherID + "}", imported + "none to " + otherID + thing},
		{"no-import-later", "import: {id: " + portID + "}", "", imported + portID + " to none" + thing},
		{"another-policy", "import: {id: " + portID + "}, managementPolicy: Observe", "import: {id: " + portID + "}, managementPolicy: Managed", ""},
		{"nothing-of-either", "", "suspend: true", ""},
	} {
		for kind, spec := range map[string]func(string) string{
			"MirrorFilter": func(more string) string { return "{" + more + "}" }, "MirrorSession": session,
		} {
			t.Run(kind+" "+c.name, func(t *testing.T) {
				if err := s.apply(t, kind, c.name, spec(c.from)); err != nil {
					t.Fatal(err)
				}
				err := s.apply(t, kind, c.name, spec(c.to))
				if c.says == "" {
					if err != nil {
						t.Errorf("what may be changed is refused: %v", err)
					}
					return
				}
				hold(t, c.says, err)
			})
		}
	}
}
