package e2e

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/test/demo/kernel"
	"vpcmirror.io/operator/test/demo/wire"
)

// overlayVNI is that of the node's own overlay network.
const overlayVNI = 77

// playOverlay gives ecs-target a VXLAN device, as an overlay network of the cluster does:
// it owns UDP 4789. Its packets look like copies, even with what a filter would accept
// inside, but they have another VNI. So have the session's for that device, which then takes none
// of them: nobody does, and the status says so.
func playOverlay(t *testing.T, w *world) {
	p := pair{namespace: "overlay", vni: 80, untaken: true}
	w.inNode(t, ecsTarget, "ip", "link", "add", "overlay0", "type", "vxlan", "id", fmt.Sprint(overlayVNI),
		"local", "192.168.0.164", "dstport", "4789", "dev", "eth0", "nolearning")
	t.Cleanup(func() { w.inNode(t, ecsTarget, "ip", "link", "del", "overlay0") })
	w.inNode(t, ecsTarget, "ip", "link", "set", "overlay0", "up")
	if said := w.inNode(t, ecsTarget, "ss", "-Hlun", "sport", "=", ":4789"); !strings.Contains(said, ":4789") {
		t.Fatalf("nobody owns UDP 4789, so nothing is proved: %q", said)
	}
	w.makePair(t, p)
	j := w.watch(t, p)
	foreign := w.kernel(t, ecsTarget, "e2e-overlay", []kernel.Counter{{Name: "overlay", Fields: []kernel.Field{
		kernel.Protocol(udp), kernel.DestinationPort(vxlanPort), kernel.VNI(overlayVNI),
	}}})
	const strangers = 37
	datagram, err := wire.Forgery{VNI: overlayVNI, Inner: w.innerFrame(t, w.mustSession(t, p))}.Datagram()
	if err != nil {
		t.Fatal(err)
	}
	w.sendUDP(t, ecsSource, "192.168.0.164:4789", strangers, datagram)
	until(t, patience, "the overlay's packets have come", func(context.Context) error {
		counts, err := foreign.Read()
		if err == nil && counts["overlay"] != strangers {
			err = fmt.Errorf("%d of %d", counts["overlay"], strangers)
		}
		return err
	})
	w.sayOnce(t)
	counted := w.agree(t, p, j, 0) // it compares every count, foreignSource too
	w.checked(t, "%d copies counted as the kernel did; %d packets of the node's own overlay counted for no session", counted, strangers)
	w.checkWrongVNI(t, p)
}

// checkWrongVNI lets copies come until the status says what has the port in their place.
func (w *world) checkWrongVNI(t *testing.T, p pair) {
	t.Helper()
	talk := w.chat(t)
	w.waitCondition(t, p, v1alpha1.ConditionConsumerReady, "False", v1alpha1.ReasonWrongVNI)
	talk.stop(t)
	worst := w.worstFinding(t, p, v1alpha1.ReasonWrongVNI)
	if device := fmt.Sprintf("vxlan device overlay0 (VNI %d)", overlayVNI); worst.Subject != ecsTarget || !strings.Contains(worst.Message, device) {
		t.Errorf("it is to name %s on %s: %+v", device, ecsTarget, worst)
	}
	w.checked(t, "the copies reach a vxlan device of VNI %d alone: WrongVNI. %s", overlayVNI, worst.Remedy)
}

// inNode runs a program inside of a node.
func (w *world) inNode(t *testing.T, node, program string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), 20*time.Second)
	defer cancel()
	command, err := w.Command(ctx, node, program, args...)
	if err != nil {
		t.Fatal(err)
	}
	said, err := command.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s on %s: %v: %s", program, strings.Join(args, " "), node, err, said)
	}
	return string(said)
}
