package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const definition = `
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: things.vpcmirror.io}
spec:
  group: vpcmirror.io
  scope: Namespaced
  names: {kind: Thing, listKind: ThingList, plural: things, singular: thing, shortNames: [th], categories: [mirror]}
  versions:
    - name: v1
      served: true
      storage: true
      additionalPrinterColumns:
        - {name: Ready, type: string, jsonPath: .status.ready, description: whether spec.size fits}
        - {name: Size, type: integer, jsonPath: .spec.size, priority: 1}
      schema:
        openAPIV3Schema:
          type: object
          description: Thing is a thing.
          properties:
            spec:
              type: object
              description: ThingSpec says what is wanted.
              required: [size]
              x-kubernetes-validations: [{rule: "true", message: "spec.size or spec.ends, not both"}]
              properties:
                colour: {type: string, enum: [Red, Green], default: Red, maxLength: 5, description: "colour | not\nkind < 3"}
                size: {type: integer, minimum: 1, maximum: 9, description: size in metres.}
                tags: {type: array, maxItems: 3, items: {type: string, minLength: 1}}
                ends:
                  type: array
                  description: ends of it.
                  items:
                    type: object
                    required: [at]
                    x-kubernetes-validations: [{rule: "true", message: first}, {rule: "true", message: second}]
                    properties: {at: {type: string, format: date-time, description: at is when.}}
                middle:
                  type: object
                  description: middle of it.
                  required: [at]
                  properties: {at: {type: string, format: date-time, description: at is when.}}
            status:
              type: object
              description: ThingStatus is what is.
              properties:
                conditions: {type: array, items: {type: object, properties: {lastTransitionTime: {type: string}}}}
`

const pkg = `package v1

// Mark keeps a thing.
const Mark = "vpcmirror.io/mark"

// Types of conditions.
const (
	// ConditionReady is the summary.
	ConditionReady = "Ready"
)

// Reasons of Ready.
const (
	// ReasonFine: it is
	// fine.
	// Remedy: none is needed.
	ReasonFine = "Fine"
	// ReasonBad: spec.size is bad.
	// Remedy: lower --too-big.
	ReasonBad = "Bad"
)
`

const reference = `<!-- Written by hack/reference from the definitions and the comments of this folder: change it there, then make generate. -->

# Reference of vpcmirror.io/v1

[Thing](#thing) · [conditions](#conditions) · [reasons](#reasons) · [names on objects](#names-on-objects)

The same is in every cluster that has the definitions: ''kubectl explain thing.spec''. What "bounds" says is checked by the
API server, which refuses the rest with that sentence. Manifests to begin with are in [config/samples](../../config/samples).

## Thing

Thing is a thing. Short name ''th'', category ''mirror''.

| column of ''kubectl get th'' | what it shows |
| --- | --- |
| READY | whether ''spec.size'' fits |
| SIZE (''-o wide'') | ''spec.size'' |

### Thing spec

ThingSpec says what is wanted.

Checked over several fields:<br>''spec.size'' or ''spec.ends'', not both

| field | type | default | bounds | what it is |
| --- | --- | --- | --- | --- |
| <a id="thing-spec-size"></a>''size'' | integer | required | 1 to 9 | size in metres. |
| <a id="thing-spec-colour"></a>''colour'' | string | ''Red'' | ''Red'', ''Green'' | colour \| not kind &lt; 3 |
| <a id="thing-spec-ends"></a>''ends[]'' | list |  | each: first<br>second | ends of it. |
| <a id="thing-spec-ends-at"></a>''ends[].at'' | time | required |  | at is when. |
| <a id="thing-spec-middle"></a>''middle'' | object |  |  | middle of it. Its fields are those of [''ends[]''](#thing-spec-ends). |
| <a id="thing-spec-tags"></a>''tags'' | list of string |  | at most 3 entries<br>each: at least 1 characters |  |

### Thing status

ThingStatus is what is.

| field | type | default | bounds | what it is |
| --- | --- | --- | --- | --- |
| <a id="thing-status-conditions"></a>''conditions[]'' | list |  |  |  See [conditions](#conditions). |

## Conditions

- <a id="condition-ready"></a>''Ready'' is the summary.

## Reasons

The message of a condition names the field, the value and the remedy in the case at hand. Each row here has an
anchor for links: ''#reason-'' and the reason in lower case.

### Reasons of Ready

| reason | what it means | what to do |
| --- | --- | --- |
| <a id="reason-fine"></a>''Fine'' | It is fine. | None is needed. |
| <a id="reason-bad"></a>''Bad'' | ''spec.size'' is bad. | Lower ''--too-big''. |

## Names on objects

- ''vpcmirror.io/mark'' keeps a thing.
`

// made writes a definition and a Go package, and returns what the reference says of them.
func made(t *testing.T, definition, pkg string) (string, error) {
	t.Helper()
	folder := t.TempDir()
	for name, content := range map[string]string{"things.yaml": definition, "conditions.go": pkg} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var b strings.Builder
	err := write(&b, folder, folder)
	return b.String(), err
}

func TestTheReferenceShowsFieldsConditionsAndReasons(t *testing.T) {
	got, err := made(t, definition, pkg)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.ReplaceAll(reference, "''", "`"), got); diff != "" {
		t.Errorf("reference (-want +got):\n%s", diff)
	}
}

func TestAReasonThatCannotBeExplainedFails(t *testing.T) {
	const form = `the comment of ReasonBad is not of the form "ReasonBad: meaning. Remedy: what to do."`
	tests := []struct {
		name, old, new string
		want           string
	}{
		{name: "no remedy", old: "	// Remedy: lower --too-big.\n", want: form},
		{name: "an empty remedy", old: "Remedy: lower --too-big.", new: "Remedy:", want: form},
		{name: "no meaning", old: "	// ReasonBad: spec.size is bad.\n", want: form},
		{name: "no comment", old: "	// ReasonBad: spec.size is bad.\n	// Remedy: lower --too-big.\n", want: form},
		{name: "another's name", old: "ReasonBad: spec", new: "ReasonFine: spec", want: form},
		{
			name: "a constant beside the groups", old: "// Types of conditions.", new: "// Others.",
			want: "",
		},
		{
			name: "a reason in no group", old: "// Reasons of Ready.", new: "// What else there is.",
			want: `ReasonFine is in no group of constants whose comment begins with "Reasons of "` + "\n" +
				`ReasonBad is in no group of constants whose comment begins with "Reasons of "`,
		},
		{name: "two with one anchor", old: `"Bad"`, new: `"FINE"`, want: "ReasonFine and ReasonBad have one name, and so one anchor"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if !strings.Contains(pkg, test.old) {
				t.Fatalf("the package has no %q", test.old)
			}
			got := ""
			if _, err := made(t, definition, strings.Replace(pkg, test.old, test.new, 1)); err != nil {
				got = err.Error()
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("error (-want +got):\n%s", diff)
			}
		})
	}
}

func TestAFolderWithoutDefinitionsIsAnError(t *testing.T) {
	if err := write(&strings.Builder{}, t.TempDir(), t.TempDir()); err == nil {
		t.Error("a reference of nothing was written")
	}
}

func TestARemedyIsWhatTheCommentOfItsReasonSays(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "v1")
	if err := os.Mkdir(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder, "conditions.go"), []byte(pkg), 0o600); err != nil {
		t.Fatal(err)
	}
	var got strings.Builder
	if err := writeRemedies(&got, folder); err != nil {
		t.Fatal(err)
	}
	const want = `// Code generated by hack/reference from the comments of the reasons. DO NOT EDIT.

package v1

// remedies are what a person does about each reason.
var remedies = map[string]string{
	ReasonBad: "lower --too-big",
}
`
	if diff := cmp.Diff(want, got.String()); diff != "" {
		t.Errorf("the remedies (-want +got):\n%s", diff)
	}
	if err := writeRemedies(&got, t.TempDir()); err == nil {
		t.Error("remedies of nothing were written")
	}
}

// make lint says so too, but needs controller-gen and helm.
func TestTheReferenceInTheProjectIsCurrent(t *testing.T) {
	const root = "../.."
	var want strings.Builder
	if err := write(&want, filepath.Join(root, "config/crd/bases"), filepath.Join(root, "api/v1alpha1")); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(filepath.Join(root, "api/v1alpha1/README.md"))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want.String(), string(got)); diff != "" {
		t.Errorf("run make generate: api/v1alpha1/README.md (-want +got):\n%s", diff)
	}
	var remedies strings.Builder
	if err := writeRemedies(&remedies, filepath.Join(root, "api/v1alpha1")); err != nil {
		t.Fatal(err)
	}
	got, err = os.ReadFile(filepath.Join(root, "api/v1alpha1/zz_generated.remedies.go"))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(remedies.String(), string(got)); diff != "" {
		t.Errorf("run make generate: zz_generated.remedies.go (-want +got):\n%s", diff)
	}
}
