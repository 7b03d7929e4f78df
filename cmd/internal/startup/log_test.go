package startup

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

func TestTheLogIsSilentAboutEventsInANamespaceThatGoesAndNothingElse(t *testing.T) {
	ending := apierrors.NewForbidden(schema.GroupResource{Group: "events.k8s.io", Resource: "events"}, "e", errors.New("being terminated"))
	ending.ErrStatus.Details.Causes = []metav1.StatusCause{{Type: corev1.NamespaceTerminatingCause}}
	const rejected = "Server rejected event (will not retry!)"
	var out bytes.Buffer
	log := (&logOptions{level: "info", encoding: "json"}).logger(&out).WithName("events").WithValues("k", "v")
	log.Error(ending, rejected)
	if out.Len() > 0 {
		t.Errorf("it says %s", out.String())
	}
	log.Error(ending, "store the status")
	log.Error(errors.New("forbidden"), rejected)
	log.Info("hello")
	if lines := strings.Count(out.String(), "\n"); lines != 3 {
		t.Errorf("3 other lines were logged, %d came out:\n%s", lines, out.String())
	}
}
