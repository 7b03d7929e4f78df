package main

import (
	"context"
	"strings"
	"testing"

	"github.com/go-logr/logr"
)

func TestACollectorThatIsNoneIsOneSentence(t *testing.T) {
	for _, value := range []string{"collector:4318", "grpc://collector:4317", "http://", "http://me:hidden@collector", "http://collector?x"} {
		got := play(func(context.Context, options) error { t.Errorf("%q is taken", value); return nil }, "--otlp-endpoint="+value)
		if got.Exit != 2 || !strings.Contains(got.Stderr, "manager: --otlp-endpoint: it is no URL of a collector: give http://HOST:PORT or https://HOST:PORT") || strings.Contains(got.Stderr, "hidden") {
			t.Errorf("%q gives %+v", value, got)
		}
	}
}

func TestHeadersForTheCollectorThatCantBeReadAreNotRepeated(t *testing.T) {
	o := traces{endpoint: "http://collector:4318"}
	_, _, err := o.start(t.Context(), logr.Discard(), func(string) string { return "a=b,hidden" })
	if err == nil || strings.Contains(err.Error(), "hidden") || !strings.Contains(err.Error(), "OTEL_EXPORTER_OTLP_HEADERS: header 2 is none") {
		t.Errorf("it says %v", err)
	}
}
