package status

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/test/env"
)

// bounds walks a definition's status and notes the bound of every text and list.
func bounds(t *testing.T, path string, of apiextensionsv1.JSONSchemaProps, lengths, items map[string]int) {
	t.Helper()
	switch of.Type {
	case "object":
		for name, field := range of.Properties {
			if path == "" && slices.Contains(verifiersFields, name) {
				continue // the verifiers', who keep to their bounds themselves
			}
			at := name
			if path != "" {
				at = path + "." + name
			}
			bounds(t, at, field, lengths, items)
		}
	case "array":
		if of.MaxItems == nil {
			t.Errorf("the list %s has no maxItems", path)
			return
		}
		items[path] = int(*of.MaxItems)
		bounds(t, path+"[]", *of.Items.Schema, lengths, items)
	case "string":
		switch {
		case of.Enum != nil, of.Format == "date-time": // made by us, of few forms
		case of.MaxLength == nil:
			t.Errorf("the text %s has no maxLength", path)
		default:
			lengths[path] = int(*of.MaxLength)
		}
		if of.Enum == nil && asciiOnly[path] != (of.Pattern == printable) {
			t.Errorf("the text %s has the pattern %q, and of printable ASCII characters alone: %v", path, of.Pattern, asciiOnly[path])
		}
	}
}

// printable is the pattern of texts of ASCII characters alone.
const printable = "^[ -~]*$"

func TestTheManagerKnowsTheBoundOfEveryTextAndListOfAStatus(t *testing.T) {
	lengths, items := map[string]int{}, map[string]int{}
	for _, plural := range []string{"mirrorfilters", "mirrorsessions"} {
		l, i := map[string]int{}, map[string]int{}
		bounds(t, "", env.Schema(t, plural).Properties["status"], l, i)
		for path, bound := range l {
			if other, both := lengths[path]; both && other != bound {
				t.Errorf("%s has one bound in each kind: %d and %d", path, other, bound)
			}
		}
		maps.Copy(lengths, l)
		maps.Copy(items, i)
	}
	tighter := map[string]int{
		"conditions[].message": 2048, "conditions": 8, "sources[].addresses": 4, "sessions[].sources": 16,
	}
	for path, bound := range tighter {
		for _, of := range []map[string]int{lengths, items} {
			if defined, there := of[path]; there && bound < defined {
				of[path] = bound
			}
		}
	}
	if diff := cmp.Diff(lengths, maxLengths); diff != "" {
		t.Errorf("the lengths of the definitions, or tighter ones (-), and of the manager (+):\n%s", diff)
	}
	if diff := cmp.Diff(items, maxItems); diff != "" {
		t.Errorf("the items of the definitions, or tighter ones (-), and of the manager (+):\n%s", diff)
	}
}

func TestALongTextKeepsToItsBoundInBytesToo(t *testing.T) {
	for text, want := range map[string]string{
		strings.Repeat("a", 2048):  strings.Repeat("a", 2048),
		strings.Repeat("字", 682):   strings.Repeat("字", 682),
		strings.Repeat("字", 32768): strings.Repeat("字", 678) + "… (+32090)",
	} {
		s := &v1alpha1.MirrorSession{}
		s.Status.Conditions = []metav1.Condition{{Message: text}}
		got, err := statusOf(s)
		if err != nil {
			t.Fatal(err)
		}
		message := got["conditions"].([]any)[0].(map[string]any)["message"].(string)
		if message != want || len(message) > 2048 {
			t.Errorf("of %d bytes stay %d, want %d: %s", len(text), len(message), len(want), message[len(message)-20:])
		}
	}
}

func TestWhatIsCutSaysHowMuchWasLeftOut(t *testing.T) {
	addresses := make([]string, 70)
	for i := range addresses {
		addresses[i] = "192.168.0.1"
	}
	s := &v1alpha1.MirrorSession{}
	s.Status.Target = &v1alpha1.ResolvedTarget{ResolvedInterface: v1alpha1.ResolvedInterface{InterfaceID: "a\u202eb", MAC: strings.Repeat("a", 40), Addresses: addresses}}
	s.Status.Conditions = []metav1.Condition{{Message: strings.Repeat("a", 40_000)}}
	got, err := statusOf(s)
	if err != nil {
		t.Fatal(err)
	}
	target := got["target"].(map[string]any)
	list := target["addresses"].([]any)
	message := got["conditions"].([]any)[0].(map[string]any)["message"].(string)
	want := []any{`a\u202eb`, "aaaaaaaaaa… (+30)", 64, "192.168.0.1", "… (+7)", "aaa… (+37964)"}
	if diff := cmp.Diff(want, []any{target["interfaceID"], target["mac"], len(list), list[62], list[63], message[len(message)-len("aaa… (+37964)"):]}); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if len(s.Status.Target.Addresses) != 70 {
		t.Error("the object itself was cut")
	}
}
