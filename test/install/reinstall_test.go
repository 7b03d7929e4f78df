package install

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// One story: each part begins where the one before ended, and nothing ever happens to the user's objects.
func TestTheProductMovesToAnotherReleaseNamespaceAndWayOfInstallingWithObjectsAlive(t *testing.T) {
	api := newServer(t)
	chart := filepath.Join(root, "config/chart")
	in := func(name string) []string { return []string{"--namespace", name} }
	for _, name := range []string{"one", "two", "four"} {
		api.kubectl(t, "", "create", "namespace", name)
	}
	must := func(t *testing.T, args ...string) string {
		t.Helper()
		said, err := api.helm(t, "", args...)
		if err != nil {
			t.Fatal(err)
		}
		return said
	}
	refused := func(t *testing.T, sentence string, args ...string) {
		t.Helper()
		said, err := api.helm(t, "", args...)
		if err == nil {
			t.Fatalf("it was done:\n%s", said)
		}
		if !strings.Contains(err.Error(), ": "+sentence) {
			t.Errorf("it was refused with\n%v\nwant: %s", err, sentence)
		}
	}
	alive := func(t *testing.T) { t.Helper() }

	t.Run("a release is installed and has objects", func(t *testing.T) {
		must(t, append(in("one"), "install", "first", chart)...)
		alive = api.objects(t)
	})

	t.Run("no values of an upgrade make Helm delete the definitions, and all objects with them", func(t *testing.T) {
		must(t, append(in("one"), "upgrade", "first", chart, "--set", "crds.keep=false")...)
		// Who has taken the release's name off has not taken the definition out of the release.
		const annotation = "meta.helm.sh/release-name"
		api.kubectl(t, "", "annotate", "crd", "mirrorfilters.vpcmirror.io", annotation+"-")
		refused(t, "the definition mirrorfilters.vpcmirror.io in this cluster is that of somebody without Helm", append(in("one"), "upgrade", "first", chart)...)
		api.kubectl(t, "", "annotate", "crd", "mirrorfilters.vpcmirror.io", annotation+"=first")
		refused(t, "with crds.install: false Helm would delete the definition mirrorfilters.vpcmirror.io, and every object of its kind: "+
			"upgrade with crds.keep: true first", append(in("one"), "upgrade", "first", chart, "--set", "crds.install=false")...)
		alive(t)
		must(t, append(in("one"), "upgrade", "first", chart, "--set", "crds.keep=true")...)
		must(t, append(in("one"), "upgrade", "first", chart, "--set", "crds.install=false")...)
		alive(t)
		must(t, append(in("one"), "upgrade", "first", chart, "--set", "crds.install=true")...)
	})

	t.Run("a second release beside it is refused, in another namespace and in its own", func(t *testing.T) {
		const sentence = "vpcmirror is in this cluster already, by Helm as the release first in the namespace one, and a second manager would work " +
			"against it on the same objects: upgrade that one, or uninstall it first (MirrorFilters and MirrorSessions can stay)"
		refused(t, sentence, append(in("two"), "install", "second", chart)...)
		refused(t, sentence, append(in("one"), "install", "second", chart)...)
		alive(t)
	})

	t.Run("after an uninstall it is installed under another name and in another namespace, and upgraded", func(t *testing.T) {
		must(t, append(in("one"), "uninstall", "first")...)
		alive(t)
		said := must(t, append(in("two"), "install", "second", chart)...)
		if want := "meta.helm.sh/release-name=second meta.helm.sh/release-namespace=two"; !strings.Contains(said, want) {
			t.Errorf("the notes don't say how the definitions become this release's (%s):\n%s", want, said)
		}
		alive(t)
		must(t, append(in("two"), "upgrade", "second", chart, "--set", "manager.replicas=3")...)
		alive(t)
	})

	newer := newerChart(t)
	t.Run("a release that would change definitions of another one is told how to get them, and that works", func(t *testing.T) {
		_, err := api.helm(t, "", append(in("two"), "upgrade", "second", newer)...)
		const sentence = "the definition mirrorfilters.vpcmirror.io in this cluster is that of first in one, and this chart's has to take its place: " +
			"hand it over, which changes no object of yours, and try again: kubectl annotate"
		if err == nil || !strings.Contains(err.Error(), sentence) {
			t.Fatalf("want: %s\n%v", sentence, err)
		}
		api.adopt(t, err.Error())
		alive(t)
		must(t, append(in("two"), "upgrade", "second", newer)...)
		if got := api.described(t); !strings.HasPrefix(got, "newer ") {
			t.Errorf("the definition is the old one: %s", got)
		}
		alive(t)
	})

	t.Run("Helm is followed by kustomize", func(t *testing.T) {
		must(t, append(in("two"), "uninstall", "second")...)
		content, err := kubectl(t, "", "kustomize", filepath.Join(root, "config/default"))
		if err != nil {
			t.Fatal(err)
		}
		api.kubectl(t, content, "apply", "--server-side", "--force-conflicts", "-f", "-")
		if got := api.described(t); strings.HasPrefix(got, "newer ") {
			t.Errorf("the definition is not that of the folder: %s", got)
		}
		alive(t)
	})

	t.Run("Helm beside kustomize is refused in another namespace", func(t *testing.T) {
		refused(t, "vpcmirror is in this cluster already, without Helm in the namespace vpcmirror-system, and a second manager",
			append(in("two"), "install", "third", chart)...)
		alive(t)
	})

	t.Run("kustomize is followed by Helm, as it runs, and by a newer chart", func(t *testing.T) {
		said := must(t, append(in(namespace), "install", "third", chart, "--take-ownership")...)
		alive(t)
		must(t, append(in(namespace), "upgrade", "third", chart, "--set", "manager.replicas=3")...)
		alive(t)
		api.adopt(t, said)
		must(t, append(in(namespace), "upgrade", "third", newer)...)
		alive(t)
		must(t, append(in(namespace), "uninstall", "third")...)
		alive(t)
	})

	t.Run("what renders without asking the cluster gives the definitions, whoever has them", func(t *testing.T) {
		out, err := helm(t, "", append(in("four"), "template", "fourth", chart)...)
		if err != nil {
			t.Fatal(err)
		}
		api.kubectl(t, out, "apply", "--server-side", "--force-conflicts", "--field-manager=argocd-controller", "-f", "-")
		if got := api.described(t); strings.HasPrefix(got, "newer ") {
			t.Errorf("the definition is not the chart's: %s", got)
		}
		alive(t)
	})
}

// newerChart is the chart with a definition that says something else.
func newerChart(t *testing.T) string {
	t.Helper()
	folder := filepath.Join(t.TempDir(), "chart")
	if err := os.CopyFS(folder, os.DirFS(filepath.Join(root, "config/chart"))); err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(folder, "files/crds/vpcmirror.io_mirrorfilters.yaml")
	content, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	changed := strings.Replace(string(content), "description: how many rules", "description: newer how many rules", 1)
	if changed == string(content) {
		t.Fatal("the definition has no such description any more")
	}
	if err := os.WriteFile(name, []byte(changed), 0o600); err != nil {
		t.Fatal(err)
	}
	return folder
}

// described is what the definition of filters says of its second column.
func (s *server) described(t *testing.T) string {
	t.Helper()
	var definition apiextensionsv1.CustomResourceDefinition
	if err := s.Get(t.Context(), client.ObjectKey{Name: "mirrorfilters.vpcmirror.io"}, &definition); err != nil {
		t.Fatal(err)
	}
	return definition.Spec.Versions[0].AdditionalPrinterColumns[1].Description
}

// adopt does what the chart says about definitions that are not the release's.
func (s *server) adopt(t *testing.T, said string) {
	t.Helper()
	done := 0
	for line := range strings.FieldsFuncSeq(said, func(r rune) bool { return r == '\n' || r == '&' }) {
		if _, command, found := strings.Cut(line, "kubectl "); found && strings.Contains(command, "--overwrite crd ") {
			s.kubectl(t, "", strings.Fields(command)...)
			done++
		}
	}
	if done != 2 {
		t.Fatalf("it names %d commands, want 2:\n%s", done, said)
	}
}

// objects makes a filter and a session with counts, and returns what tells whether they are as they were then.
func (s *server) objects(t *testing.T) func(*testing.T) {
	t.Helper()
	s.kubectl(t, `
apiVersion: vpcmirror.io/v1alpha1
kind: MirrorFilter
metadata: {name: kept, namespace: default, finalizers: [vpcmirror.io/cloud]}
spec: {}
---
apiVersion: vpcmirror.io/v1alpha1
kind: MirrorSession
metadata: {name: kept, namespace: default, finalizers: [vpcmirror.io/cloud]}
spec: {filterRef: {name: kept}, sources: [{address: {ip: 192.168.0.230}}], target: {address: {ip: 192.168.0.164}}}
`, "create", "-f", "-")
	s.kubectl(t, "", "patch", "mirs/kept", "--subresource=status", "--type=merge", "--patch", `{"status": {"traffic": {"packets": 12345, "bytes": 1, "dropped": 0, "foreignSource": 0, "undecided": 0, "unexpected": 0}}}`)
	read := func(t *testing.T) string {
		t.Helper()
		return s.kubectl(t, "", "get", "mirf,mirs", "--all-namespaces", "--output", "yaml", "--show-managed-fields")
	}
	before := read(t)
	if !strings.Contains(before, "packets: 12345") {
		t.Fatalf("the session has no counts:\n%s", before)
	}
	return func(t *testing.T) {
		t.Helper()
		if diff := cmp.Diff(before, read(t)); diff != "" {
			t.Errorf("the user's objects (-before +now):\n%s", diff)
		}
	}
}
