package main

import (
	"context"
	"fmt"

	"github.com/go-logr/logr"
	"github.com/spf13/pflag"
	"go.opentelemetry.io/otel"

	"vpcmirror.io/operator/controllers/tracing"
)

// traces are the flags of what OpenTelemetry is told.
type traces struct{ endpoint string }

// headersVariable is OpenTelemetry's own: what goes with each request to the collector can be a secret.
const headersVariable = "OTEL_EXPORTER_OTLP_HEADERS"

const tracesHelp = `
With --otlp-endpoint these variables of OpenTelemetry count:
  OTEL_TRACES_SAMPLER, OTEL_TRACES_SAMPLER_ARG, OTEL_RESOURCE_ATTRIBUTES, OTEL_SERVICE_NAME,
  ` + headersVariable + `
No proxy is used on the way to the collector. An https one needs a certificate of an authority that this system trusts,
or of one in the folder that SSL_CERT_DIR names (Go's own variable; these are trusted for the cloud too).
`

func (o *traces) add(flags *pflag.FlagSet) {
	flags.StringVar(&o.endpoint, "otlp-endpoint", "", "`URL` of an OpenTelemetry collector, such as http://collector:4318, that gets a trace of each reconcile with its calls to the cloud by OTLP over HTTP, through no proxy; by default there are none")
}

func (o *traces) check() error {
	if o.endpoint == "" {
		return nil
	}
	if _, err := tracing.ParseEndpoint(o.endpoint); err != nil {
		return fmt.Errorf("--otlp-endpoint: %w", err) // what may hold a password is not repeated
	}
	return nil
}

// start returns what makes traces, nil for nothing, and what ends it.
func (o *traces) start(ctx context.Context, log logr.Logger, getenv func(string) string) (*tracing.Tracing, func(), error) {
	if o.endpoint == "" {
		return nil, func() {}, nil
	}
	headers, err := tracing.ParseHeaders(getenv(headersVariable))
	if err != nil {
		return nil, nil, fmt.Errorf("read %s: %w", headersVariable, err)
	}
	// The library would write both to standard error, between the lines of the log.
	otel.SetLogger(log)
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) { log.Info("OpenTelemetry is in trouble", "because", err.Error()) }))
	made, err := tracing.New(ctx, tracing.Options{Endpoint: o.endpoint, Headers: headers, Service: "vpcmirror-manager", Version: version, Log: log})
	if err != nil {
		return nil, nil, fmt.Errorf("set tracing up: %w", err)
	}
	return made, func() { //nolint:contextcheck // the last spans are handed over after the context's end
		if err := made.Close(); err != nil {
			log.Info("The last spans are lost", "because", err.Error())
		}
	}, nil
}
