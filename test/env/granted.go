package env

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/util/yaml"

	"vpcmirror.io/operator/test/env/checkout"
)

// Granted returns the rules of the first role of a kind, Role or ClusterRole, in a file of
// config/rbac. A user who has them may do what an installation lets the product do.
func Granted(t testing.TB, kind, file string) []rbacv1.PolicyRule {
	t.Helper()
	root, err := checkout.Root()
	if err != nil {
		t.Fatal(err)
	}
	content, err := os.Open(filepath.Join(root, "config", "rbac", file))
	if err != nil {
		t.Fatal(err)
	}
	defer content.Close()
	documents := yaml.NewYAMLOrJSONDecoder(content, 4096)
	for {
		var role rbacv1.ClusterRole // a Role has nothing that this has not
		switch err := documents.Decode(&role); {
		case errors.Is(err, io.EOF):
			t.Fatalf("config/rbac/%s has no %s", file, kind)
		case err != nil:
			t.Fatal(err)
		case role.Kind == kind:
			return role.Rules
		}
	}
}
