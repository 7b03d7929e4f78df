package v1alpha1

import (
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/util/validation"
)

// An admission policy holds a verifier to the lease of its own node, and can't hash.
func TestALeaseIsNamedAfterItsNodeWhereverThatMakesAName(t *testing.T) {
	long := strings.Repeat("a.", 117) // 234 characters: with the prefix one fewer than a name may have
	for node, want := range map[string]string{
		"ecs-target":              "vpcmirror-verifier-ecs-target",
		"ecs-target.example.com":  "vpcmirror-verifier-ecs-target.example.com",
		long[:len(long)-1]:        "vpcmirror-verifier-" + long[:len(long)-1],
		"ECS-TARGET":              VerifierName("ECS-TARGET"),
		"a host":                  VerifierName("a host"),
		strings.Repeat("a", 235):  VerifierName(strings.Repeat("a", 235)),
		"ecs-target.example.com.": VerifierName("ecs-target.example.com."),
	} {
		got := LeaseName(node)
		if got != want {
			t.Errorf("the lease of %q is %q, want %q", node, got, want)
		}
		if problems := validation.IsDNS1123Subdomain(got); len(problems) > 0 {
			t.Errorf("the lease of %q is %q, which is no name: %v", node, got, problems)
		}
	}
}

func TestWhatIsImportedIsRetainedWhereTheSpecSaysNothing(t *testing.T) {
	imported := &Import{ID: "3f1c7a52-8d4e-4b6a-9c0d-5e2f7a1b8c9d"}
	for _, c := range []struct {
		spec CloudSpec
		want DeletionPolicy
	}{
		{CloudSpec{}, DeletionDelete},
		{CloudSpec{DeletionPolicy: DeletionRetain}, DeletionRetain},
		{CloudSpec{Import: imported}, DeletionRetain},
		{CloudSpec{Import: imported, DeletionPolicy: DeletionDelete}, DeletionDelete},
		{CloudSpec{Import: imported, DeletionPolicy: DeletionRetain}, DeletionRetain},
	} {
		if got := c.spec.Deletion(); got != c.want {
			t.Errorf("of %+v: %s, want %s", c.spec, got, c.want)
		}
	}
}
