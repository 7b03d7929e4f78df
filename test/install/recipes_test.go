package install

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"vpcmirror.io/operator/test/env"
)

// samples are the recipes: a folder for each.
const samples = "config/samples"

// recipe is a folder of manifests that are applied together.
type recipe struct {
	folder  string // below config/samples
	objects []*unstructured.Unstructured
}

// recipes returns every folder with manifests below config/samples: what kubectl kustomize makes of
// it, or its files.
func recipes(t *testing.T) []recipe {
	t.Helper()
	var all []recipe
	top := filepath.Join(root, samples)
	err := filepath.WalkDir(top, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.IsDir() || path == top {
			return err
		}
		folder, err := filepath.Rel(top, path)
		if err != nil {
			return err
		}
		found, err := manifests(t, path)
		if len(found) > 0 {
			all = append(all, recipe{folder: folder, objects: found})
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(all) == 0 {
		t.Fatal("there is no recipe")
	}
	return all
}

// manifests are the objects of a folder. Each file of objects in it has to be among them, so that
// none is passed over.
func manifests(t *testing.T, folder string) ([]*unstructured.Unstructured, error) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(folder, "*.yaml"))
	if err != nil {
		return nil, err
	}
	var written []*unstructured.Unstructured
	kustomized := false
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		if !regexp.MustCompile(`(?m)^apiVersion: `).Match(content) {
			continue // the configuration of a program
		}
		for _, u := range objects(t, string(content)) {
			if strings.HasPrefix(u.GetAPIVersion(), "kustomize.config.k8s.io/") {
				kustomized = true
				continue
			}
			written = append(written, u)
		}
	}
	if !kustomized {
		return written, nil
	}
	out, err := kubectl(t, "", "kustomize", folder)
	if err != nil {
		return nil, err
	}
	built := objects(t, out)
	for _, u := range written {
		if !slices.ContainsFunc(built, func(b *unstructured.Unstructured) bool {
			return b.GetKind() == u.GetKind() && b.GetName() == u.GetName()
		}) {
			return nil, fmt.Errorf("%s: kustomization.yaml leaves out the %s", folder, identity(u))
		}
	}
	return built, nil
}

// withForeign is a cluster with the product, and with the kinds of others that recipes use.
func withForeign(t *testing.T) *env.Cluster {
	t.Helper()
	cluster := installed(t)
	if _, err := kubectl(t, "", "--kubeconfig", cluster.Kubeconfig, "apply", "--server-side", "-f", "testdata/foreign"); err != nil {
		t.Fatal(err)
	}
	if _, err := kubectl(t, "", "--kubeconfig", cluster.Kubeconfig, "wait", "--for=condition=Established", "--timeout=60s", "-f", "testdata/foreign"); err != nil {
		t.Fatal(err)
	}
	return cluster
}

// checker gives objects to an API server, which stores nothing of them.
type checker struct {
	t         *testing.T
	client    client.Client
	namespace string // of objects that name none
	warnings  []string
}

// newChecker makes one that takes no unknown field.
func newChecker(t *testing.T, cluster *env.Cluster) *checker {
	t.Helper()
	c := &checker{t: t, namespace: cluster.Namespace(t)}
	config := rest.CopyConfig(cluster.Config)
	config.WarningHandler = c
	direct, err := client.New(config, client.Options{Scheme: cluster.Client.Scheme()})
	if err != nil {
		t.Fatal(err)
	}
	c.client = client.WithFieldValidation(direct, metav1.FieldValidationStrict)
	return c
}

// HandleWarningHeader keeps what the API server warns of.
func (c *checker) HandleWarningHeader(_ int, _ string, text string) {
	c.warnings = append(c.warnings, text)
}

// namespaces are made for real: in one that is not there the API server takes nothing.
func (c *checker) namespaces(all []*unstructured.Unstructured) error {
	for _, u := range all {
		made := &unstructured.Unstructured{Object: map[string]any{}}
		made.SetAPIVersion("v1")
		made.SetKind("Namespace")
		made.SetName(u.GetNamespace())
		if u.GetKind() == "Namespace" {
			made = u.DeepCopy()
		}
		if made.GetName() == "" {
			continue
		}
		// Each recipe owns its own fields: a plain namespace takes no label off.
		owner := client.FieldOwner("recipe-" + u.GetKind())
		if err := c.client.Apply(c.t.Context(), client.ApplyConfigurationFromUnstructured(made), owner, client.ForceOwnership); err != nil {
			return fmt.Errorf("making the namespace %s: %w", made.GetName(), err)
		}
	}
	return nil
}

// dryRun applies objects without storing them; a warning is an error too.
func (c *checker) dryRun(all ...*unstructured.Unstructured) error {
	if err := c.namespaces(all); err != nil {
		return err
	}
	for _, original := range all {
		u := original.DeepCopy()
		inNamespace, err := c.client.IsObjectNamespaced(u)
		if err != nil {
			return fmt.Errorf("%s: %w", identity(u), err)
		}
		if inNamespace && u.GetNamespace() == "" {
			u.SetNamespace(c.namespace)
		}
		err = c.client.Apply(c.t.Context(), client.ApplyConfigurationFromUnstructured(u), client.DryRunAll, client.FieldOwner("recipe"), client.ForceOwnership)
		if err == nil && len(c.warnings) > 0 {
			err = fmt.Errorf("the API server warns: %s", strings.Join(c.warnings, "; "))
		}
		if c.warnings = nil; err != nil {
			return fmt.Errorf("%s: %w", identity(u), err)
		}
	}
	return nil
}

// podsOf are pods as a recipe's workloads would make them.
func podsOf(t *testing.T, all []*unstructured.Unstructured) (found []*unstructured.Unstructured) {
	t.Helper()
	for _, u := range all {
		template, is, err := unstructured.NestedMap(u.Object, "spec", "template")
		if err != nil {
			t.Fatal(err)
		}
		if is && u.GetAPIVersion() == "apps/v1" {
			pod := &unstructured.Unstructured{Object: template}
			pod.SetAPIVersion("v1")
			pod.SetKind("Pod")
			pod.SetName(u.GetName())
			pod.SetNamespace(u.GetNamespace())
			found = append(found, pod)
		}
	}
	return found
}

func TestTheAPIServerTakesEveryManifestOfTheRecipes(t *testing.T) {
	cluster := withForeign(t)
	for _, r := range recipes(t) {
		t.Run(r.folder, func(t *testing.T) {
			c := newChecker(t, cluster)
			if err := c.dryRun(r.objects...); err != nil {
				t.Error(err)
			}
			// Pod Security judges pods alone, and the namespace says by which level.
			if err := c.dryRun(podsOf(t, r.objects)...); err != nil {
				t.Errorf("a pod is not let into its namespace: %v", err)
			}
		})
	}
}

func TestAMistakeInARecipeIsFound(t *testing.T) {
	c := newChecker(t, withForeign(t))
	kinds, groups := map[string]bool{}, map[string]bool{}
	for _, r := range recipes(t) {
		for _, u := range r.objects {
			if u.Object["spec"] == nil || kinds[u.GroupVersionKind().String()] {
				continue
			}
			kinds[u.GroupVersionKind().String()], groups[u.GroupVersionKind().Group] = true, true
			wrong := u.DeepCopy()
			if err := unstructured.SetNestedField(wrong.Object, "x", "spec", "misspelt"); err != nil {
				t.Fatal(err)
			}
			if err := c.dryRun(wrong); err == nil || !strings.Contains(err.Error(), "misspelt") {
				t.Errorf("%s of %s with spec.misspelt: %v", u.GetKind(), r.folder, err)
			}
		}
	}
	for _, group := range []string{
		"apps", "argoproj.io", "source.toolkit.fluxcd.io", "helm.toolkit.fluxcd.io", "kustomize.toolkit.fluxcd.io", "vpcmirror.io",
	} {
		if !groups[group] {
			t.Errorf("no recipe has a kind of %s: are they found?", group)
		}
	}
}

// floating fits an image without a version of its own.
var floating = regexp.MustCompile(`(^[^:]*|[:-](latest|lts|main|master|nightly|stable))$`)

func TestEachImageOfARecipeIsOfOneVersion(t *testing.T) {
	for _, r := range recipes(t) {
		for _, pod := range podsOf(t, r.objects) {
			for _, list := range []string{"initContainers", "containers"} {
				containers, _, err := unstructured.NestedSlice(pod.Object, "spec", list)
				if err != nil {
					t.Fatal(err)
				}
				for _, c := range containers {
					if image, _ := c.(map[string]any)["image"].(string); floating.MatchString(image) {
						t.Errorf("%s: the image %q names no version", r.folder, image)
					}
				}
			}
		}
	}
}

func TestEachRecipeHasAPage(t *testing.T) {
	entries, err := os.ReadDir(filepath.Join(root, samples))
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		if _, err := os.Stat(filepath.Join(root, samples, entry.Name(), "README.md")); entry.IsDir() && err != nil {
			t.Errorf("%s/%s: %v", samples, entry.Name(), err)
		}
	}
}
