// Package upgrade_test shows what an upgrade of the chart does to what is there: the real helm and a real API server, the
// manager's real wiring and a simulated cloud. testdata has the chart as it was, with its definitions.
//
// It may import everything of ours.
package upgrade_test

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/google/go-cmp/cmp/cmpopts"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/klog/v2"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/yaml"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/verifier/report"
	"vpcmirror.io/operator/test/env"
	"vpcmirror.io/operator/test/env/need"
	"vpcmirror.io/operator/test/integration/harness"
)

func TestMain(m *testing.M) {
	// Each manager has a log of its own.
	log.SetLogger(logr.Discard())
	klog.SetLogger(logr.Discard())
	env.Main(m)
}

const (
	root      = "../../.."
	chart     = root + "/config/chart"
	chartThen = "testdata/vpcmirror-0.1.0.tgz"
	namespace = "vpcmirror-system"
)

// One story: each part begins where the one before ended.
func TestAnUpgradeOfTheChartKeepsObjectsStatusesAndCountsAndWritesNothingToTheCloud(t *testing.T) {
	cluster := env.Start(t)
	do := func(t *testing.T, args ...string) {
		t.Helper()
		if err := helm(t, cluster, args...); err != nil {
			t.Fatal(err)
		}
	}

	var was map[string]apiextensionsv1.CustomResourceDefinitionSpec
	t.Run("the chart of before installs its definitions", func(t *testing.T) {
		removeDefinitions(t, cluster)
		do(t, "install", "vpcmirror", chartThen, "--create-namespace", "--set", "manager.replicas=3,image.pullSecrets={registry}")
		was = definitions(t, cluster)
	})

	// A cloud, and objects that were made and counted with these definitions.
	w := harness.New(t)
	m := w.Start()
	filter, session := w.Pair("kept")
	count(t, w, session)
	before := w.Content()
	m.EventsSent(w)
	m.Stop(w)
	filterThen, sessionThen := filter.DeepCopy(), session.DeepCopy()
	get(t, w, filterThen, sessionThen)
	asked := w.Cloud.Journal.Last()

	unchanged := func(t *testing.T) {
		t.Helper()
		f, s := filter.DeepCopy(), session.DeepCopy()
		get(t, w, f, s)
		harness.Same(t, "the filter", filterThen, f)
		harness.Same(t, "the session", sessionThen, s)
	}

	t.Run("values of before that mean something else now are refused, and nothing is changed", func(t *testing.T) {
		for _, row := range []struct{ flag, sentence string }{
			{"--reuse-values", "these values lack what this version of the chart has new, as with `helm upgrade --reuse-values`: " +
				"use --reset-then-reuse-values in its place (image.pullSecrets: [a] has become imagePullSecrets: [{name: a}])"},
			{"--reset-then-reuse-values", "image.pullSecrets has become imagePullSecrets, at the top of the values: write imagePullSecrets: [{name: registry}]"},
		} {
			if err := helm(t, cluster, "upgrade", "vpcmirror", chart, row.flag); err == nil || !strings.Contains(err.Error(), ": "+row.sentence) {
				t.Errorf("%s: %v\nwant: %s", row.flag, err, row.sentence)
			}
		}
		harness.Same(t, "the definitions", was, definitions(t, cluster))
		unchanged(t)
	})

	t.Run("the upgrade brings the definitions of now, and leaves the objects as they were", func(t *testing.T) {
		do(t, "upgrade", "vpcmirror", chart, "--reset-then-reuse-values", "--set", "image.pullSecrets=null,imagePullSecrets[0].name=registry")
		harness.Same(t, "the definitions", ours(t), definitions(t, cluster), defaulted)
		// A default that is new is in what is read, and in what is stored at the next write.
		filterThen.Spec.ManagementPolicy, sessionThen.Spec.ManagementPolicy = v1alpha1.ManagementManaged, v1alpha1.ManagementManaged
		unchanged(t)
	})

	t.Run("the manager goes on where it was: same statuses and counts, and no write to the cloud", func(t *testing.T) {
		w.Start().Reconciled(w, filter, session)
		harness.ReconcileNow(w, filter)
		harness.ReconcileNow(w, session)
		handled := cmpopts.IgnoreFields(v1alpha1.CommonStatus{}, "LastHandledReconcileAt")
		harness.Same(t, "the filter's status", filterThen.Status, filter.Status, handled)
		harness.Same(t, "the session's status", sessionThen.Status, session.Status, handled)

		for _, e := range w.Cloud.Journal.Since(asked) {
			if e.Method != http.MethodGet {
				t.Errorf("it asked the cloud for %s", harness.Describe(e))
			}
		}
		if asked == w.Cloud.Journal.Last() {
			t.Error("it asked the cloud for nothing, so that nothing is shown")
		}
		w.Holds(before)
	})

	t.Run("a rollback keeps them too", func(t *testing.T) {
		do(t, "rollback", "vpcmirror", "1")
		harness.Same(t, "the definitions", was, definitions(t, cluster))
		get(t, w, session)
		harness.Same(t, "the session's counts", sessionThen.Status.Traffic, session.Status.Traffic)
	})
}

// helm runs the real one, or skips the test where it was not built.
func helm(t *testing.T, cluster *env.Cluster, args ...string) error {
	t.Helper()
	program, err := filepath.Abs(filepath.Join(root, "bin/tools/helm"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(program); err != nil {
		need.Skip(t, "it needs bin/tools/helm: run `make tools` once (2 to 3 minutes)")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	c := exec.CommandContext(ctx, program, append([]string{"--kubeconfig", cluster.Kubeconfig, "--namespace", namespace}, args...)...)
	home := t.TempDir()
	c.Env = append(os.Environ(), "HOME="+home, "HELM_CACHE_HOME="+home, "HELM_CONFIG_HOME="+home, "HELM_DATA_HOME="+home)
	var complaint bytes.Buffer
	c.Stderr = &complaint
	if err := c.Run(); err != nil {
		return fmt.Errorf("helm %s: %w: %s", strings.Join(args, " "), err, complaint.String())
	}
	return nil
}

// removeDefinitions takes away those of now, with which the control plane starts.
func removeDefinitions(t *testing.T, cluster *env.Cluster) {
	t.Helper()
	for name := range definitions(t, cluster) {
		definition := &apiextensionsv1.CustomResourceDefinition{ObjectMeta: metav1.ObjectMeta{Name: name}}
		if err := cluster.Client.Delete(t.Context(), definition); err != nil {
			t.Fatal(err)
		}
		_ = harness.Poll(t, name+" is gone", func() error {
			return cluster.Client.Get(t.Context(), client.ObjectKeyFromObject(definition), definition)
		}, apierrors.IsNotFound)
	}
}

// definitions are those that the API server has.
func definitions(t *testing.T, cluster *env.Cluster) map[string]apiextensionsv1.CustomResourceDefinitionSpec {
	t.Helper()
	var all apiextensionsv1.CustomResourceDefinitionList
	if err := cluster.Client.List(t.Context(), &all); err != nil {
		t.Fatal(err)
	}
	specs := map[string]apiextensionsv1.CustomResourceDefinitionSpec{}
	for _, d := range all.Items {
		specs[d.Name] = d.Spec
	}
	return specs
}

// defaulted is what the API server adds to a definition.
var defaulted = cmpopts.IgnoreFields(apiextensionsv1.CustomResourceDefinitionSpec{}, "Conversion")

// ours are the definitions of now.
func ours(t *testing.T) map[string]apiextensionsv1.CustomResourceDefinitionSpec {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(root, "config/crd/bases/*.yaml"))
	if err != nil || len(files) != 2 {
		t.Fatalf("the definitions are %v: %v", files, err)
	}
	specs := map[string]apiextensionsv1.CustomResourceDefinitionSpec{}
	for _, name := range files {
		content, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		var d apiextensionsv1.CustomResourceDefinition
		if err := yaml.UnmarshalStrict(content, &d); err != nil {
			t.Fatal(err)
		}
		specs[d.Name] = d.Spec
	}
	return specs
}

// count has a verifier count copies, and waits until the manager has summed them up.
func count(t *testing.T, w *harness.World, session *v1alpha1.MirrorSession) {
	t.Helper()
	counts := v1alpha1.Counts{Packets: 12345, Bytes: 888840, Unexpected: 7}
	now := metav1.NewMicroTime(time.Now().Truncate(time.Microsecond))
	harness.Until(w, session, "the verifier's entry is written", func(s *v1alpha1.MirrorSession) bool {
		source := s.Status.Sources[0]
		err := report.Write(t.Context(), w.Cluster.Client, s, v1alpha1.Verification{
			Counts: counts, Node: "ecs-target", Interface: "eth0", ObservedAt: now, StartedAt: &now, FirstPacketAt: &now, LastPacketAt: &now,
			LastPacket: "IP 192.168.0.161.38944 > 192.168.0.230.1234", Epoch: s.Status.Epoch, InEpoch: &counts,
			Rules:   []v1alpha1.RuleCounts{{Direction: v1alpha1.DirectionIngress, Priority: 1, Packets: counts.Packets}},
			Sources: []v1alpha1.SourceCounts{{InterfaceID: source.InterfaceID, Address: source.Addresses[0], Packets: counts.Packets, Bytes: counts.Bytes}},
		})
		return err == nil
	})
	harness.Until(w, session, "the counts are summed up", func(s *v1alpha1.MirrorSession) bool {
		return s.Status.Traffic != nil && s.Status.Traffic.Packets == counts.Packets
	})
	harness.ReconcileNow(w, session)
}

// get reads objects anew.
func get(t *testing.T, w *harness.World, objects ...client.Object) {
	t.Helper()
	for _, o := range objects {
		if err := w.Get(o); err != nil {
			t.Fatal(err)
		}
	}
}
