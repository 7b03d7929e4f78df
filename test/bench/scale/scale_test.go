package scale

import (
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
	for sessions, want := range map[int]int{200: 13, 2000: 2 + 1 + 3 + 6 + 9, 20000: 20 + 10 + 22 + 51 + 9} {
		if got := newLayout(sessions).pages(); got != want {
			t.Errorf("%d sessions: %d pages, want %d", sessions, got, want)
		}
	}
}
