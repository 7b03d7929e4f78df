package harness

import (
	"os/exec"
	"path/filepath"
	"testing"
)

// BuildManager makes the manager in a folder of the test's, and returns its path.
func BuildManager(t testing.TB) string {
	t.Helper()
	return build(t, "manager")
}

// BuildVerifier makes the verifier in a folder of the test's, and returns its path.
func BuildVerifier(t testing.TB) string {
	t.Helper()
	return build(t, "verifier")
}

func build(t testing.TB, program string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), program)
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", path, "vpcmirror.io/operator/cmd/"+program).CombinedOutput(); err != nil {
		t.Fatalf("building the %s: %v\n%s", program, err, out)
	}
	return path
}
