package cluster

import (
	"os"
	"path/filepath"
	"testing"
)

func TestRequestsAreCountedWithoutLeasesAndWatches(t *testing.T) {
	log := filepath.Join(t.TempDir(), "audit.log")
	a := &Audit{path: log}
	if got, err := a.Next(); err != nil || len(got) != 0 {
		t.Errorf("before the log is there: %v %v", got, err)
	}
	lines := `{"verb":"get","requestURI":"/api/v1/namespaces/scale/secrets/s","objectRef":{"resource":"secrets"}}
{"verb":"watch","requestURI":"/api/v1/nodes?watch=true","objectRef":{"resource":"nodes"}}
{"verb":"update","requestURI":"/","objectRef":{"resource":"leases"}}
{"verb":"get","requestURI":"/version?timeout=1s"}
{"verb":"patch","requestURI":"/","objectRef":{"resource":"mirrorsessions","subresource":"status"}}
{"verb":"patch",`
	if err := os.WriteFile(log, []byte(lines), 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := a.Next()
	if err != nil {
		t.Fatal(err)
	}
	reads, writes := got.Split()
	if text := Describe(got); reads != 2 || writes != 1 || got["patch mirrorsessions/status"] != 1 || got["get /version"] != 1 {
		t.Errorf("%d reads, %d writes: %s", reads, writes, text)
	}
	if again, err := a.Next(); err != nil || len(again) != 0 {
		t.Errorf("they are counted twice, or half a line is one: %v %v", again, err)
	}
}
