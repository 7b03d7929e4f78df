package env

import (
	"errors"
	"fmt"
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
	rules, err := GrantedBy(kind, file)
	if err != nil {
		t.Fatal(err)
	}
	return rules
}

// GrantedBy is Granted for what is no test.
func GrantedBy(kind, file string) ([]rbacv1.PolicyRule, error) {
	root, err := checkout.Root()
	if err != nil {
		return nil, err
	}
	content, err := os.Open(filepath.Join(root, "config", "rbac", file))
	if err != nil {
		return nil, fmt.Errorf("reading a role: %w", err)
	}
	defer content.Close()
	documents := yaml.NewYAMLOrJSONDecoder(content, 4096)
	for {
		var role rbacv1.ClusterRole // a Role has nothing that this has not
		switch err := documents.Decode(&role); {
		case errors.Is(err, io.EOF):
			return nil, fmt.Errorf("config/rbac/%s has no %s", file, kind)
		case err != nil:
			return nil, fmt.Errorf("reading config/rbac/%s: %w", file, err)
		case role.Kind == kind:
			return role.Rules, nil
		}
	}
}
