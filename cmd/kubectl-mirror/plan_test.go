package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/cli-runtime/pkg/genericclioptions"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/test/cloudsim/state"
	"vpcmirror.io/operator/test/integration/harness"
)

// manifest writes one into a file.
func manifest(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "manifest.yaml")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

var plannedFilter = `
apiVersion: vpcmirror.io/v1alpha1
kind: MirrorFilter
metadata: {name: web}
spec:
  credentialsRef: {name: ` + harness.SecretName + `}
  rules: [{direction: Ingress, priority: 1, action: Accept, protocol: TCP, source: {cidr: 192.168.0.161/32}, destination: {cidr: 192.168.0.230/32, port: 1234}}]
`

var plannedSession = `
apiVersion: vpcmirror.io/v1alpha1
kind: MirrorSession
metadata: {name: web, labels: {app.kubernetes.io/instance: pruned-by-a-tool}}
spec:
  credentialsRef: {name: ` + harness.SecretName + `}
  filterRef: {name: web}
  sources: [{address: {ip: 192.168.0.230}}]
  target: {address: {ip: 192.168.0.164}}
`

// changing are what differs from run to run: IDs, and what is made of UIDs and namespaces.
var changing = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}|test-[a-z0-9]{5}|-[0-9a-f]{8}\b`)

func stable(o outcome) outcome {
	o.Stdout = changing.ReplaceAllString(o.Stdout, "*")
	o.Stderr = changing.ReplaceAllString(o.Stderr, "*")
	return o
}

func TestPlanSaysWhatAnApplyDoesAndWritesNothing(t *testing.T) {
	w := harness.New(t)
	w.Start()
	asked := w.Cloud.Journal.Last()
	path := manifest(t, plannedSession+"---"+plannedFilter+"---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: other}\n")
	play := func(args ...string) outcome {
		return stable(play(t, w.Cluster.Kubeconfig, append(args, "-n", w.Namespace)...))
	}
	created := outcome{1, `MirrorFilter */web
  + CreateTrafficMirrorFilter new
      + cloudName:   *-web*
      + description: [vpcmirror]
  + CreateTrafficMirrorFilterRule new
      + rules[Ingress 1]: Accept IPv4 TCP 192.168.0.161/32 to 192.168.0.230/32 port 1234
    then: the cloud has the filter with every rule of the spec (1)

MirrorSession */web
  + CreateTrafficMirrorSession new
      + cloudName:    *-web*
      + description:  [vpcmirror]
      + filter:       new
      + target:       192.168.0.164 (*)
      + vni:          1
      + packetLength: 1460
      + priority:     10000
      + enabled:      true
      + sources:      192.168.0.230 (*)
    then: the cloud copies from 192.168.0.230 to 192.168.0.164 with VNI 1

3 writes to the cloud, for 2 of 2 objects. Nothing was written.
`, ""}
	if diff := cmp.Diff(created, play("plan", "-f", path)); diff != "" {
		t.Errorf("of what is not there (-want +got):\n%s", diff)
	}
	for _, e := range w.Cloud.Journal.Since(asked) {
		if !strings.HasPrefix(e.Operation, "List") && !strings.HasPrefix(e.Operation, "Show") {
			t.Errorf("the cloud was asked for %s", harness.Describe(e))
		}
	}
	var left v1alpha1.MirrorSessionList
	if err := w.Cluster.Client.List(t.Context(), &left); err != nil {
		t.Fatal(err)
	}
	for i := range left.Items {
		if left.Items[i].Namespace == w.Namespace {
			t.Errorf("the copy %s is left", left.Items[i].Name)
		}
	}
}

func TestPlanOfWhatIsThereSaysTheDifference(t *testing.T) {
	w := harness.New(t)
	w.Start()
	filter := w.Filter("web")
	w.Create(filter)
	session := w.Session("web", "web")
	w.Create(session)
	harness.Ready(w, filter)
	harness.Ready(w, session)
	play := func(args ...string) outcome {
		return stable(play(t, w.Cluster.Kubeconfig, append(args, "-n", w.Namespace)...))
	}
	none := outcome{0, `MirrorSession */web
    no change: the cloud copies from 192.168.0.230 to 192.168.0.164 with VNI 1

Nothing would be written to the cloud.
`, ""}
	if diff := cmp.Diff(none, play("plan", "web")); diff != "" {
		t.Errorf("of a session as it is (-want +got):\n%s", diff)
	}
	w.EditSession(session.Status.Sessions[0].ID, func(s *state.Session) { s.VNI = 9 })
	edited := outcome{1, `MirrorSession */web
  ~ UpdateTrafficMirrorSession *
      ~ vni:      9 -> 1
      ~ priority: 10000 -> 7
    then: the cloud copies from 192.168.0.230 to 192.168.0.164 with VNI 1

1 write to the cloud. Nothing was written.
`, ""}
	if diff := cmp.Diff(edited, play("plan", "-f", manifest(t, plannedSession+"  priority: 7\n"))); diff != "" {
		t.Errorf("of an edit (-want +got):\n%s", diff)
	}
	waits := outcome{2, `MirrorSession */web
    then it waits: CredentialsNotFound: Secret */missing does not exist: create it with the keys accessKey and secretKey, or correct spec.credentialsRef.name

Nothing would be written to the cloud.
`, ""}
	if diff := cmp.Diff(waits, play("plan", "-f", manifest(t, strings.ReplaceAll(plannedSession, harness.SecretName, "missing")))); diff != "" {
		t.Errorf("of a spec that needs more (-want +got):\n%s", diff)
	}
	suspended := outcome{0, `MirrorSession */web
    spec.suspend is true: nothing is done until it is false

Nothing would be written to the cloud.
`, ""}
	if diff := cmp.Diff(suspended, play("plan", "-f", manifest(t, plannedSession+"  suspend: true\n"))); diff != "" {
		t.Errorf("of a suspended session (-want +got):\n%s", diff)
	}
}

func TestAFileThatWasReadFromAClusterIsAWishLikeAnyOther(t *testing.T) {
	read := strings.Replace(plannedFilter, "{name: web}", "{name: web, uid: 5c1a0f6e-7d3b-4c52-9f0e-2f4d6a8b0c11, resourceVersion: \"7\"}", 1)
	o := &planOptions{config: genericclioptions.NewConfigFlags(false)}
	o.files.Filenames = []string{manifest(t, read)}
	objects, err := o.given("n")
	if err != nil {
		t.Fatal(err)
	}
	for _, u := range objects {
		if u.GetUID() != "" || u.GetResourceVersion() != "" {
			t.Errorf("it is taken for what the API server has now: UID %q, version %q", u.GetUID(), u.GetResourceVersion())
		}
	}
}
