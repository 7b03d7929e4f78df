// Package manifests_test holds what a person reads of a manifest that is refused: one fault, one
// sentence, which names the field and the value and says what to write. What is refused is sent as
// kubectl apply sends it, to a real API server.
//
// It may import everything of ours.
package manifests_test

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/test/env"
)

func TestMain(m *testing.M) { env.Main(m) }

// noise is what Kubernetes adds where its own checks have failed: rules in CEL were not asked.
const noise = "<nil>: some validation rules were not checked because the object was invalid; correct the existing errors to complete validation"

// row is a spec with one fault.
type row struct {
	name string
	bad  string // YAML
	// says is the field and the whole sentence. Where it is Kubernetes' own, because the schema says
	// so and not a rule of ours, noise is the second line.
	says string
	good string // the nearest that is right
}

// kinds are where manifests of a kind are sent to.
var kinds = map[string]string{"MirrorFilter": "mirrorfilters", "MirrorSession": "mirrorsessions"}

// sender sends manifests to the API server.
type sender struct {
	rest      rest.Interface
	namespace string
}

func newSender(t *testing.T) sender {
	t.Helper()
	cluster := env.Start(t)
	config := rest.CopyConfig(cluster.Config)
	config.APIPath, config.GroupVersion, config.NegotiatedSerializer = "/apis", new(v1alpha1.GroupVersion), clientgoscheme.Codecs.WithoutConversion()
	config.QPS = -1
	client, err := rest.RESTClientFor(config)
	if err != nil {
		t.Fatal(err)
	}
	return sender{rest: client, namespace: cluster.Namespace(t)}
}

// write is the manifest of a spec.
func write(kind, name, spec string) []byte {
	return fmt.Appendf(nil, "apiVersion: %s\nkind: %s\nmetadata: {name: %s}\nspec: %s\n", v1alpha1.GroupVersion, kind, name, spec)
}

// create sends what is not there yet, as kubectl apply does; nothing is stored.
func (s sender) create(t *testing.T, kind, spec string) error {
	t.Helper()
	return s.rest.Post().Namespace(s.namespace).Resource(kinds[kind]).Param("dryRun", "All").Param("fieldValidation", "Strict").
		SetHeader("Content-Type", "application/yaml").Body(write(kind, "tried", spec)).Do(t.Context()).Error()
}

// apply stores, as kubectl apply --server-side does.
func (s sender) apply(t *testing.T, kind, name, spec string) error {
	t.Helper()
	return s.rest.Patch(types.ApplyYAMLPatchType).Namespace(s.namespace).Resource(kinds[kind]).Name(name).
		Param("fieldManager", "kubectl").Param("force", "true").Param("fieldValidation", "Strict").
		Body(write(kind, name, spec)).Do(t.Context()).Error()
}

// cause is how Kubernetes says one fault: its type, the value where it is a simple one (Kubernetes
// 1.33 has the value's type in its place), and the sentence.
var cause = regexp.MustCompile(`(?s)^(?:Invalid value|Forbidden)(?:: (?:"(?:[^"\\]|\\.)*"|-?[0-9]+|true|false|null))?: (.*)$`)

// read gives the lines that kubectl prints: field and sentence, or what Kubernetes says of a request
// that it could not read at all.
func read(err error) []string {
	var status apierrors.APIStatus
	if !errors.As(err, &status) {
		return []string{fmt.Sprint(err)}
	}
	details := status.Status().Details
	if details == nil || len(details.Causes) == 0 || status.Status().Reason != metav1.StatusReasonInvalid {
		return []string{strings.ReplaceAll(status.Status().Message, "\n", " ")}
	}
	var lines []string
	for _, c := range details.Causes {
		message := c.Message
		if parts := cause.FindStringSubmatch(message); parts != nil {
			message = parts[1]
		}
		lines = append(lines, c.Field+": "+message)
	}
	return lines
}

// ofAnyVersion leaves out what Kubernetes says in words of its own that are not those of every version: that a
// number is not whole, and, beside our sentence, that it is too large for its format.
func ofAnyVersion(lines []string) []string {
	lines = slices.DeleteFunc(lines, func(line string) bool {
		return strings.HasPrefix(line, "<nil>: Checked value must be of type integer with format int32 in ")
	})
	for i := range lines {
		lines[i] = strings.ReplaceAll(lines[i], `must be of type integer: "number"`, `must be of type int32: "float64"`)
	}
	return lines
}

// hold compares what is said of a manifest with what has to be.
func hold(t *testing.T, says string, err error) {
	t.Helper()
	want, got := ofAnyVersion(strings.Split(says, "\n")), ofAnyVersion(read(err))
	slices.Sort(want) // the API server has no order
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("what a person reads (-want +got):\n%s", diff)
	}
}

func TestOneFaultIsOneSentenceThatNamesFieldValueAndRemedy(t *testing.T) {
	s := newSender(t)
	for kind, rows := range map[string][]row{"MirrorFilter": filterRows, "MirrorSession": sessionRows} {
		for _, r := range rows {
			t.Run(kind+" "+r.name, func(t *testing.T) {
				hold(t, r.says, s.create(t, kind, r.bad))
				if r.good == "" {
					return
				}
				if err := s.create(t, kind, r.good); err != nil {
					t.Errorf("what is right is refused: %v", err)
				}
			})
		}
	}
}

func TestEveryFaultOfAManifestIsSaidAtOnce(t *testing.T) {
	s := newSender(t)
	hold(t, strings.Join([]string{
		`spec.rules[0].action: action is "Drop": write Accept to have the packets copied, or Reject to have them left out`,
		"spec.rules[0].source.cidr: cidr 10.0.0.1 has no prefix length: write 10.0.0.1/32 for this one address",
		"spec.rules[1].destination.port: port is 0: a port is a number from 1 to 65535; leave it out to match every port",
		`spec.deletionPolicy: deletionPolicy is "Keep": write Delete to have the cloud's object deleted with this one, or Retain to have it left`,
	}, "\n"), s.create(t, "MirrorFilter", "{deletionPolicy: Keep, rules: [{direction: Ingress, priority: 1, action: Drop, source: {cidr: 10.0.0.1}},"+
		" {direction: Ingress, priority: 2, action: Accept, protocol: TCP, destination: {port: 0}}]}"))
}
