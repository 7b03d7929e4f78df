package install

import (
	"encoding/xml"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"sigs.k8s.io/yaml"
)

// What catalogues of charts show of this one is true.
func TestTheChartSaysOfItselfWhatIsTrue(t *testing.T) {
	var chart struct {
		AppVersion  string            `json:"appVersion"`
		KubeVersion string            `json:"kubeVersion"`
		Icon        string            `json:"icon"`
		Home        string            `json:"home"`
		Sources     []string          `json:"sources"`
		Maintainers []map[string]any  `json:"maintainers"`
		Keywords    []string          `json:"keywords"`
		Annotations map[string]string `json:"annotations"`
	}
	content, err := os.ReadFile(filepath.Join(root, "config/chart/Chart.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal(content, &chart); err != nil {
		t.Fatal(err)
	}
	hub := func(name string, into any) {
		t.Helper()
		if err := yaml.UnmarshalStrict([]byte(chart.Annotations["artifacthub.io/"+name]), into); err != nil {
			t.Errorf("artifacthub.io/%s: %v", name, err)
		}
	}

	t.Run("the icon is a picture that needs no server", func(t *testing.T) {
		encoded, is := strings.CutPrefix(chart.Icon, "data:image/svg+xml,")
		if !is {
			t.Fatalf("the icon is %q", chart.Icon)
		}
		picture, err := url.PathUnescape(encoded)
		if err != nil {
			t.Fatal(err)
		}
		var svg struct {
			XMLName xml.Name `xml:"http://www.w3.org/2000/svg svg"`
		}
		if err := xml.Unmarshal([]byte(picture), &svg); err != nil {
			t.Errorf("%v:\n%s", err, picture)
		}
	})

	t.Run("it is complete", func(t *testing.T) {
		if chart.Home == "" || len(chart.Sources) == 0 || len(chart.Maintainers) == 0 || len(chart.Keywords) == 0 {
			t.Errorf("home %q, sources %v, maintainers %v, keywords %v", chart.Home, chart.Sources, chart.Maintainers, chart.Keywords)
		}
		var links []struct{ Name, URL string }
		var changed []struct{ Kind, Description string }
		hub("links", &links)
		hub("changes", &changed)
		if len(links) == 0 || len(changed) == 0 {
			t.Errorf("links %v, changes %v", links, changed)
		}
		for _, c := range changed {
			if !slices.Contains([]string{"added", "changed", "deprecated", "removed", "fixed", "security"}, c.Kind) {
				t.Errorf("a catalogue knows no change that is %q", c.Kind)
			}
		}
		license, err := os.ReadFile(filepath.Join(root, "LICENSE"))
		if err != nil {
			t.Fatal(err)
		}
		if chart.Annotations["artifacthub.io/license"] != "Apache-2.0" || !strings.Contains(string(license), "Apache License") {
			t.Errorf("the license is %q", chart.Annotations["artifacthub.io/license"])
		}
	})

	t.Run("the images are those of the defaults", func(t *testing.T) {
		var images []struct {
			Name, Image string
			Platforms   []string
		}
		hub("images", &images)
		got, want := []string{}, []string{}
		for _, i := range images {
			got = append(got, i.Image)
		}
		for _, p := range pods(t, rendered(t, "")) {
			want = append(want, p.template.Spec.Containers[0].Image)
		}
		slices.Sort(want)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("images (-want +got):\n%s", diff)
		}
	})

	t.Run("the kinds are those of the definitions", func(t *testing.T) {
		var kinds []struct{ Kind, Version, Name, DisplayName, Description string }
		hub("crds", &kinds)
		got, want := []string{}, []string{}
		for _, k := range kinds {
			got = append(got, fmt.Sprintf("%s %s %s", k.Name, k.Kind, k.Version))
			if k.DisplayName == "" || k.Description == "" {
				t.Errorf("%s is called %q and is %q", k.Name, k.DisplayName, k.Description)
			}
		}
		for _, u := range rendered(t, "") {
			if d, is := typed(t, u).(*apiextensionsv1.CustomResourceDefinition); is {
				want = append(want, fmt.Sprintf("%s %s %s", d.Name, d.Spec.Names.Kind, d.Spec.Versions[0].Name))
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("kinds (-want +got):\n%s", diff)
		}
	})

	t.Run("the examples are the samples", func(t *testing.T) {
		var examples []map[string]any
		hub("crdsExamples", &examples)
		var want []map[string]any
		for _, name := range []string{"mirrorfilter.yaml", "mirrorsession.yaml"} {
			content, err := os.ReadFile(filepath.Join(root, "config/samples", name))
			if err != nil {
				t.Fatal(err)
			}
			var sample map[string]any
			if err := yaml.UnmarshalStrict(content, &sample); err != nil {
				t.Fatal(err)
			}
			want = append(want, sample)
		}
		if diff := cmp.Diff(want, examples); diff != "" {
			t.Errorf("examples (-want +got):\n%s", diff)
		}
	})
}
