package scale

import (
	"os"
	"path/filepath"
	"testing"

	"vpcmirror.io/operator/test/cloudsim/scenario"
)

func TestTheSimulatedCloudTakesTheNetworkOfEverySize(t *testing.T) {
	for _, l := range []layout{newLayout(1), newLayout(199), newLayout(20000), {sessions: 1000, nodes: 3000, byNode: true}} {
		sc, err := scenario.Parse("scenario.yaml", []byte(l.scenario()))
		if err != nil {
			t.Fatal(err)
		}
		interfaces := 0
		for _, host := range sc.Hosts {
			interfaces += len(host.Interfaces)
		}
		if want := l.sessions + l.targets(); interfaces != want {
			t.Errorf("%d sessions have %d interfaces, want %d", l.sessions, interfaces, want)
		}
	}
}

func TestARoundIsAsManyPagesAsThereAreObjects(t *testing.T) {
	for sessions, want := range map[int]int{200: 13, 2000: 1 + 1 + 2 + 3 + 9, 20000: 10 + 1 + 11 + 21 + 9} {
		if got := newLayout(sessions).pages(); got != want {
			t.Errorf("%d sessions: %d pages, want %d", sessions, got, want)
		}
	}
}

func TestRequestsAreCountedWithoutLeasesAndWatches(t *testing.T) {
	log := filepath.Join(t.TempDir(), "audit.log")
	a := &audit{path: log}
	if got, err := a.next(); err != nil || len(got) != 0 {
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
	got, err := a.next()
	if err != nil {
		t.Fatal(err)
	}
	reads, writes := got.split()
	if text := describe(got); reads != 2 || writes != 1 || got["patch mirrorsessions/status"] != 1 || got["get /version"] != 1 {
		t.Errorf("%d reads, %d writes: %s", reads, writes, text)
	}
	if again, err := a.next(); err != nil || len(again) != 0 {
		t.Errorf("they are counted twice, or half a line is one: %v %v", again, err)
	}
}
