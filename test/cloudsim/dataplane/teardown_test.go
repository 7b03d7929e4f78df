package dataplane

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"vpcmirror.io/operator/test/cloudsim/dataplane/netns"
)

// namespaces lists what there is under a prefix.
func namespaces(t *testing.T, prefix string) []string {
	t.Helper()
	found, err := filepath.Glob(netns.Path(prefix + "*"))
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func TestCloseRemovesTheNamespacesAndMayBeRepeated(t *testing.T) {
	prefix := prefixOf(t)
	p := startPlane(t, walkthroughLayout(prefix))
	want := []string{netns.Path(prefix + "ecs-source"), netns.Path(prefix + "ecs-target"), netns.Path(prefix + "ecs-test")}
	if diff := cmp.Diff(want, namespaces(t, prefix)); diff != "" {
		t.Errorf("namespaces while it runs (-want +got):\n%s", diff)
	}
	for range 2 {
		if err := p.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if left := namespaces(t, prefix); left != nil {
		t.Errorf("left behind: %v", left)
	}
	p.Apply(walkthroughConfig()) // harmless
}

func TestTheEndOfTheContextTakesThePlaneDown(t *testing.T) {
	prefix := prefixOf(t)
	probe := startPlane(t, walkthroughLayout(prefixOf(t))) // skips where there are no namespaces
	ctx, cancel := context.WithCancel(t.Context())
	p, err := Start(ctx, walkthroughLayout(prefix), nil)
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	eventually(t, "no namespace is left", func() bool { return namespaces(t, prefix) == nil })
	if err := p.Close(); err != nil {
		t.Error(err)
	}
	if n := len(namespaces(t, probe.layout.Prefix)); n != 3 {
		t.Errorf("the other plane has %d namespaces, want 3", n)
	}
}

func TestAStartThatFailsHalfWayLeavesNothing(t *testing.T) {
	prefix := prefixOf(t)
	startPlane(t, walkthroughLayout(prefixOf(t))) // skips where there are no namespaces
	foreign, err := netns.Acquire("foreign-" + prefix)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = foreign.Release() })
	if err := foreign.Create(prefix+"ecs-target", nil); err != nil {
		t.Fatal(err)
	}
	if _, err := Start(t.Context(), walkthroughLayout(prefix), nil); !errors.Is(err, fs.ErrExist) {
		t.Errorf("got %v, want an error that wraps fs.ErrExist", err)
	}
	if diff := cmp.Diff([]string{netns.Path(prefix + "ecs-target")}, namespaces(t, prefix)); diff != "" {
		t.Errorf("the foreign namespace alone is left (-want +got):\n%s", diff)
	}
}

func TestAPrefixBelongsToOnePlane(t *testing.T) {
	p := startPlane(t, walkthroughLayout(prefixOf(t)))
	var taken *netns.InUseError
	if _, err := Start(t.Context(), walkthroughLayout(p.layout.Prefix), nil); !errors.As(err, &taken) {
		t.Errorf("a second plane: got %v, want an InUseError", err)
	}
	if err := Cleanup(p.layout.Prefix); !errors.As(err, &taken) {
		t.Errorf("cleaning up after the living: got %v, want an InUseError", err)
	}
	if err := Cleanup("never-used-"); err != nil {
		t.Errorf("cleaning up where nothing is: %v", err)
	}
}

func TestAnInterfaceThatCannotBeSetUpFailsTheStart(t *testing.T) {
	layout := walkthroughLayout(prefixOf(t))
	startPlane(t, walkthroughLayout(prefixOf(t))) // skips where there are no namespaces
	// The gateway exists, but not where the host could reach it.
	layout.Gateways[0].Subnet = layout.Gateways[0].Subnet.Masked()
	layout.Gateways = append(layout.Gateways, twoSubnets("vpc-1").Gateways[1])
	layout.Hosts[2].Interfaces[0].Gateway = layout.Gateways[1].Address
	if _, err := Start(t.Context(), layout, nil); err == nil {
		t.Error("started")
	}
	if left := namespaces(t, layout.Prefix); left != nil {
		t.Errorf("left behind: %v", left)
	}
	if entries, err := os.ReadDir("/proc/self/fd"); err != nil || len(entries) > 200 {
		t.Errorf("%d open files, %v", len(entries), err)
	}
}
