package main

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"testing"

	"github.com/go-logr/logr"
	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/events"

	"vpcmirror.io/operator/api/v1alpha1"
)

func TestEveryEventIsALineOfTheLogToo(t *testing.T) {
	var out bytes.Buffer
	log := logr.FromSlogHandler(slog.NewJSONHandler(&out, nil))
	recorder := events.NewFakeRecorder(1)
	session := &v1alpha1.MirrorSession{ObjectMeta: metav1.ObjectMeta{Namespace: "ids", Name: "web"}}
	logged{recorder, log, scheme()}.Eventf(session, nil, "Warning", "DriftCorrected", "Restore vni", "changed outside: vni is %d", 7)

	if diff := cmp.Diff("Warning DriftCorrected changed outside: vni is 7", <-recorder.Events); diff != "" {
		t.Errorf("the event (-want +got):\n%s", diff)
	}
	var got map[string]any
	if err := json.Unmarshal(out.Bytes(), &got); err != nil {
		t.Fatalf("%v: %s", err, out.String())
	}
	delete(got, "time")
	want := map[string]any{
		"level": "INFO", "msg": "changed outside: vni is 7", "type": "Warning", "reason": "DriftCorrected",
		"MirrorSession": map[string]any{"namespace": "ids", "name": "web"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the line (-want +got):\n%s", diff)
	}
}
