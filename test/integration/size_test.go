package integration_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/status"
	"vpcmirror.io/operator/test/env"
	"vpcmirror.io/operator/test/integration/harness"
)

// largest is what is full by a definition: every field is there, every list has all its items,
// every text all its characters, and every number all its digits.
func largest(name string, of apiextensionsv1.JSONSchemaProps, character string) any {
	switch of.Type {
	case "object":
		all := map[string]any{}
		for field, is := range of.Properties {
			all[field] = largest(field, is, character)
		}
		return all
	case "array":
		all := make([]any, *of.MaxItems)
		for i := range all {
			all[i] = largest(fmt.Sprintf("%s-%02d", name, i), *of.Items.Schema, character)
			if item, ok := all[i].(map[string]any); ok {
				setKey(item, i)
			}
		}
		return all
	case "integer":
		if of.Maximum != nil {
			return int64(*of.Maximum)
		}
		return int64(1<<31 - 1)
	case "boolean":
		return false
	}
	switch {
	case of.Pattern != "" && of.Format == "date-time", strings.Contains(of.Pattern, "T[0-9:]"):
		return "2026-01-02T12:00:00.000000Z"
	case name == "latency":
		return "29.999999999s"
	case of.Format == "date-time":
		return "2026-01-02T12:00:00Z"
	case len(of.Enum) > 0:
		all := make([]string, 0, len(of.Enum))
		for _, value := range of.Enum {
			var text string
			if json.Unmarshal(value.Raw, &text) == nil {
				all = append(all, text)
			}
		}
		return slices.MaxFunc(all, func(a, b string) int { return len(a) - len(b) })
	case of.Pattern != "" || of.MaxLength == nil || *of.MaxLength < 100:
		return strings.Repeat("x", int(*of.MaxLength)) // IDs, names, and what a node tells
	default:
		return strings.Repeat(character, int(*of.MaxLength))
	}
}

// setKey tells the items of a list apart where they have to be.
func setKey(item map[string]any, i int) {
	for _, key := range []string{"node", "type"} {
		if text, ok := item[key].(string); ok {
			item[key] = fmt.Sprintf("%s%02d", text[:len(text)-2], i)
		}
	}
	if _, ok := item["reason"].(string); ok && item["lastTransitionTime"] != nil {
		item["reason"] = "R" + strings.Repeat("x", 63)
		item["type"], item["observedGeneration"] = fmt.Sprintf("T%02d", i), int64(1)
	}
}

// mostBytes is below the 1.5 MiB that etcd takes. One that is full of real texts has a third of that.
const mostBytes = 1500 << 10

func TestAFullSessionStaysBelowItsBound(t *testing.T) {
	t.Parallel()
	for name, character := range map[string]string{"of plain text": "x", "of Chinese text": "字"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := harness.New(t)
			session := w.Session("full", strings.Repeat("f", 253), func(s *v1alpha1.MirrorSession) {
				s.Spec.Sources = nil
				for i := range 100 {
					s.Spec.Sources = append(s.Spec.Sources, harness.Sources(v1alpha1.InterfaceSelector{NodeName: fmt.Sprintf("%03d%s", i, strings.Repeat("n", 250))})...)
				}
				s.Spec.Target = harness.Target(v1alpha1.InterfaceSelector{NodeName: strings.Repeat("t", 253)})
				s.Spec.Description, s.Spec.VNI, s.Spec.Priority = strings.Repeat(character, 160), new(int32(16777215)), new(int32(32766))
			})
			w.Create(session)
			full := largest("status", env.Schema(t, "mirrorsessions").Properties["status"], character).(map[string]any)
			after := &v1alpha1.MirrorSession{}
			if err := runtime.DefaultUnstructuredConverter.FromUnstructured(map[string]any{"status": full}, after); err != nil {
				t.Fatal(err)
			}
			after.Status.Plan = nil // a question has no copies that anybody counts: see the test below
			entries := after.Status.Verification
			before := session.DeepCopy()
			session.Status = after.Status
			session.Status.Verification = nil
			session.Status.ObservedGeneration = 1
			session.Status.Conditions = session.Status.Conditions[:6]
			status.Waiting(session, v1alpha1.ReasonProgressing, session.Status.Conditions[0].Message)
			if _, err := status.Write(t.Context(), w.Cluster.Client, w.Cluster.Client, before, session); err != nil {
				t.Fatal(err)
			}
			for _, e := range entries {
				write(t, w, session, e)
			}
			stored := &unstructured.Unstructured{}
			stored.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind("MirrorSession"))
			if err := w.Cluster.Client.Get(t.Context(), client.ObjectKeyFromObject(session), stored); err != nil {
				t.Fatal(err)
			}
			text, err := stored.MarshalJSON()
			if err != nil {
				t.Fatal(err)
			}
			managed, err := json.Marshal(stored.GetManagedFields())
			if err != nil {
				t.Fatal(err)
			}
			t.Logf("%d entries, %d bytes, of which managedFields have %d", len(entries), len(text), len(managed))
			if len(text) > mostBytes {
				t.Errorf("a full session has %d bytes, more than %d", len(text), mostBytes)
			}
		})
	}
}

func TestAFullPlanStaysBelowTheBoundOfAnObject(t *testing.T) {
	t.Parallel()
	for name, character := range map[string]string{"of plain text": "x", "of Chinese text": "字"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := harness.New(t)
			question := w.Session("full", "full", func(s *v1alpha1.MirrorSession) { s.Spec.Suspend = true })
			w.Create(question)
			before := question.DeepCopy()
			full := largest("plan", env.Schema(t, "mirrorsessions").Properties["status"].Properties["plan"], character).(map[string]any)
			question.Status.Plan = &v1alpha1.Plan{}
			if err := runtime.DefaultUnstructuredConverter.FromUnstructured(full, question.Status.Plan); err != nil {
				t.Fatal(err)
			}
			if _, err := status.Write(t.Context(), w.Cluster.Client, w.Cluster.Client, before, question); err != nil {
				t.Fatal(err)
			}
			if err := w.Get(question); err != nil {
				t.Fatal(err)
			}
			text, err := json.Marshal(question)
			if err != nil {
				t.Fatal(err)
			}
			t.Logf("%d bytes", len(text))
			if len(text) > mostBytes {
				t.Errorf("an object with a full plan has %d bytes, more than %d", len(text), mostBytes)
			}
		})
	}
}
