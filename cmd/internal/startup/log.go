package startup

import (
	"context"
	"fmt"
	"io"
	"log/slog"

	"github.com/go-logr/logr"
	"github.com/spf13/pflag"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/klog/v2"
	"sigs.k8s.io/controller-runtime/pkg/log"
)

// logOptions are the flags of the log.
type logOptions struct{ level, encoding string }

func (o *logOptions) declare(flags *pflag.FlagSet) {
	flags.StringVar(&o.level, "log-level", "info", "debug, info, warn or error")
	flags.StringVar(&o.encoding, "log-encoding", "json", "json or text")
}

func (o *logOptions) check() error {
	switch {
	case new(slog.Level).UnmarshalText([]byte(o.level)) != nil:
		return fmt.Errorf("--log-level=%q: choose debug, info, warn or error", o.level)
	case o.encoding != "json" && o.encoding != "text":
		return fmt.Errorf("--log-encoding=%q: choose json or text", o.encoding)
	}
	return nil
}

// set makes this the log of the process, for the lines of controller-runtime and client-go
// too. Only the first call in a process has an effect on those of controller-runtime.
func (o *logOptions) set(out io.Writer) {
	logger := o.logger(out)
	log.SetLogger(logger)
	klog.SetLogger(logger)
}

func (o *logOptions) logger(out io.Writer) logr.Logger {
	var level slog.Level
	if err := level.UnmarshalText([]byte(o.level)); err != nil {
		level = slog.LevelInfo // check has refused it already
	}
	handler := slog.Handler(slog.NewJSONHandler(out, &slog.HandlerOptions{Level: level}))
	if o.encoding == "text" {
		handler = slog.NewTextHandler(out, &slog.HandlerOptions{Level: level})
	}
	return logr.FromSlogHandler(quiet{handler})
}

// quiet leaves out of the log that an event could not be made in a namespace that is being
// deleted: client-go calls it an error for each of our events there, though nothing is
// wrong and nothing is to be done.
type quiet struct{ slog.Handler }

// Handle passes every other line.
func (q quiet) Handle(ctx context.Context, r slog.Record) error {
	ending := false
	r.Attrs(func(a slog.Attr) bool {
		err, isError := a.Value.Any().(error)
		ending = isError && apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause)
		return !ending
	})
	if ending && r.Message == "Server rejected event (will not retry!)" {
		return nil
	}
	return q.Handler.Handle(ctx, r)
}

// WithAttrs keeps us in front.
func (q quiet) WithAttrs(attrs []slog.Attr) slog.Handler { return quiet{q.Handler.WithAttrs(attrs)} }

// WithGroup keeps us in front.
func (q quiet) WithGroup(name string) slog.Handler { return quiet{q.Handler.WithGroup(name)} }
