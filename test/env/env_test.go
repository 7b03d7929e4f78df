package env_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"vpcmirror.io/operator/test/env"
	"vpcmirror.io/operator/test/env/need"
)

func TestMain(m *testing.M) { env.Main(m) }

func TestTheSharedControlPlane(t *testing.T) {
	cluster := env.Start(t)

	t.Run("is the same one for every test of a binary", func(t *testing.T) {
		if again := env.Start(t); again != cluster {
			t.Errorf("a second Start gave another control plane: %v, not %v", again.Config.Host, cluster.Config.Host)
		}
	})

	t.Run("serves our kinds", func(t *testing.T) {
		var installed apiextensionsv1.CustomResourceDefinitionList
		if err := cluster.Client.List(t.Context(), &installed); err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, crd := range installed.Items {
			names = append(names, crd.Name)
		}
		want := []string{"mirrorfilters.vpcmirror.io", "mirrorsessions.vpcmirror.io"}
		if diff := cmp.Diff(want, names); diff != "" {
			t.Errorf("installed definitions (-want +got):\n%s", diff)
		}
	})

	t.Run("gives each test a namespace of its own", func(t *testing.T) {
		if one, two := cluster.Namespace(t), cluster.Namespace(t); one == two {
			t.Errorf("both namespaces are called %s", one)
		}
	})

	t.Run("lets a user do what was granted and refuses the rest", func(t *testing.T) {
		namespace := cluster.Namespace(t)
		config := cluster.User(t, env.User{Name: "reader", Rules: []rbacv1.PolicyRule{
			{APIGroups: []string{""}, Resources: []string{"configmaps"}, Verbs: []string{"list"}},
		}})
		reader, err := client.New(config, client.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if err := reader.List(t.Context(), &corev1.ConfigMapList{}, client.InNamespace(namespace)); err != nil {
			t.Errorf("listing config maps was granted and failed: %v", err)
		}
		if err := reader.List(t.Context(), &corev1.SecretList{}, client.InNamespace(namespace)); !apierrors.IsForbidden(err) {
			t.Errorf("listing secrets was not granted and gave %v", err)
		}
	})

	t.Run("takes back a right that the same user no longer has", func(t *testing.T) {
		rules := []rbacv1.PolicyRule{{APIGroups: []string{""}, Resources: []string{"secrets"}, Verbs: []string{"get"}}}
		cluster.User(t, env.User{Name: "demoted", Rules: rules})
		rules[0].Resources = []string{"configmaps"}
		cluster.User(t, env.User{Name: "demoted", Rules: rules})
		var role rbacv1.ClusterRole
		if err := cluster.Client.Get(t.Context(), client.ObjectKey{Name: "user:demoted"}, &role); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(rules, role.Rules); diff != "" {
			t.Errorf("rules (-want +got):\n%s", diff)
		}
	})
}

func TestAControlPlaneOfItsOwn(t *testing.T) {
	if _, err := env.Assets(); err != nil {
		need.Skip(t, err.Error())
	}

	t.Run("is gone after stop, and stopping twice is no error", func(t *testing.T) {
		dir := t.TempDir()
		kubeconfig, stop, err := env.StartControlPlane(t.Context(), dir, env.Options{})
		if err != nil {
			t.Fatal(err)
		}
		processes := running(t, dir)
		if len(processes) != 2 {
			t.Errorf("etcd and kube-apiserver should run, but these do: %v", processes)
		}
		for range 2 {
			if err := stop(); err != nil {
				t.Error(err)
			}
		}
		expectGone(t, processes)
		expectNoAnswer(t, kubeconfig)
	})

	t.Run("that survives can be stopped from its folder alone", func(t *testing.T) {
		dir := t.TempDir()
		kubeconfig, _, err := env.StartControlPlane(t.Context(), dir, env.Options{Survive: true})
		if err != nil {
			t.Fatal(err)
		}
		processes := running(t, dir)
		for range 2 {
			if err := env.StopControlPlane(dir); err != nil {
				t.Error(err)
			}
		}
		expectGone(t, processes)
		expectNoAnswer(t, kubeconfig)
	})

	t.Run("is never confused with another process that got the same number", func(t *testing.T) {
		dir := t.TempDir()
		bystander := exec.Command("sleep", "60")
		if err := bystander.Start(); err != nil {
			t.Fatal(err)
		}
		defer func() {
			if err := bystander.Process.Kill(); err != nil {
				t.Errorf("the bystander was killed: %v", err)
			}
			_ = bystander.Wait() // killed just now
		}()
		record := strconv.Itoa(bystander.Process.Pid) + " 1\n" // began at tick 1: not this one
		if err := os.WriteFile(filepath.Join(dir, "etcd.pid"), []byte(record), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := env.StopControlPlane(dir); err != nil {
			t.Error(err)
		}
	})

	t.Run("that can't start says why and leaves nothing running", func(t *testing.T) {
		dir := t.TempDir()
		_, _, err := env.StartControlPlane(t.Context(), dir, env.Options{APIServerArgs: []string{"--no-such-flag"}})
		if err == nil || !strings.Contains(err.Error(), "no-such-flag") {
			t.Errorf("the error should name the flag: %v", err)
		}
		if left := running(t, dir); len(left) > 0 {
			t.Errorf("still recorded as running: %v", left)
		}
	})

	t.Run("ends its start when the caller gives up", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		dir := t.TempDir()
		_, _, err := env.StartControlPlane(ctx, dir, env.Options{})
		if !errors.Is(err, context.Canceled) {
			t.Errorf("got %v, want that the context was cancelled", err)
		}
		if left := running(t, dir); len(left) > 0 {
			t.Errorf("still recorded as running: %v", left)
		}
	})
}

func TestMissingPrograms(t *testing.T) {
	t.Setenv("KUBEBUILDER_ASSETS", t.TempDir())
	_, _, err := env.StartControlPlane(t.Context(), t.TempDir(), env.Options{})
	if !errors.Is(err, env.ErrNoAssets) {
		t.Fatalf("got %v, want ErrNoAssets", err)
	}
	for _, part := range []string{"etcd, kube-apiserver, kubectl", "unset the variable"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("the message should have %q: %v", part, err)
		}
	}
}

// running reads which processes the control plane of dir recorded.
func running(t *testing.T, dir string) []string {
	t.Helper()
	records, err := filepath.Glob(filepath.Join(dir, "*.pid"))
	if err != nil {
		t.Fatal(err)
	}
	var pids []string
	for _, path := range records {
		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		pids = append(pids, strings.Fields(string(content))[0])
	}
	return pids
}

// expectGone fails when one of the processes is neither gone nor a zombie.
func expectGone(t *testing.T, pids []string) {
	t.Helper()
	for _, pid := range pids {
		status, err := os.ReadFile("/proc/" + pid + "/status")
		if err == nil && !strings.Contains(string(status), "State:\tZ") {
			t.Errorf("process %s still runs:\n%s", pid, status)
		}
	}
}

func expectNoAnswer(t *testing.T, kubeconfig string) {
	t.Helper()
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	api, err := client.New(config, client.Options{})
	if err != nil {
		return // it asks the server which kinds it has
	}
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "default"}}
	if err := api.Get(t.Context(), client.ObjectKeyFromObject(namespace), namespace); err == nil {
		t.Error("the API server still answers after it was stopped")
	}
}
