package harness

import (
	"os/exec"
	"path/filepath"
	"testing"
)

// BuildManager makes the manager in a folder of the test's, and returns its path.
func BuildManager(t testing.TB) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "manager")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", path, "vpcmirror.io/operator/cmd/manager").CombinedOutput(); err != nil {
		t.Fatalf("building the manager: %v\n%s", err, out)
	}
	return path
}
