package startup

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strconv"

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
	flags.StringVar(&o.level, "log-level", "info", "error, warn, info or debug; or a number: 0 is info, 1 has each decision too, 2 each call to the cloud, and more what the libraries do")
	flags.StringVar(&o.encoding, "log-encoding", "json", "json or text")
}

func (o *logOptions) check() error {
	_, err := o.slogLevel()
	switch {
	case err != nil:
		return fmt.Errorf("--log-level=%q: choose debug, info, warn, error or a number from 0 to %d", o.level, mostVerbose)
	case o.encoding != "json" && o.encoding != "text":
		return fmt.Errorf("--log-encoding=%q: choose json or text", o.encoding)
	}
	return nil
}

// mostVerbose is the highest level of client-go.
const mostVerbose = 10

// slogLevel is the least severe level that is logged. In slog each of logr's levels is one less.
func (o *logOptions) slogLevel() (slog.Level, error) {
	if verbosity, err := strconv.ParseUint(o.level, 10, 8); err == nil && verbosity <= mostVerbose {
		return slog.LevelInfo - slog.Level(verbosity), nil
	}
	switch o.level {
	case "debug", "info", "warn", "error":
		var level slog.Level
		return level, level.UnmarshalText([]byte(o.level))
	}
	return 0, errors.New("no such level")
}

// set makes this the log of the process, for the lines of controller-runtime and client-go
// too. Only the first call in a process has an effect on those of controller-runtime.
func (o *logOptions) set(out io.Writer) {
	logger := o.logger(out)
	log.SetLogger(logger)
	klog.SetLogger(logger)
}

func (o *logOptions) logger(out io.Writer) logr.Logger {
	level, err := o.slogLevel()
	if err != nil {
		level = slog.LevelInfo // check has refused it already
	}
	options := &slog.HandlerOptions{Level: level, ReplaceAttr: usualLevel}
	handler := slog.Handler(slog.NewJSONHandler(out, options))
	if o.encoding == "text" {
		handler = slog.NewTextHandler(out, options)
	}
	return logr.FromSlogHandler(calm{handler})
}

// usualLevel calls every level below info DEBUG, which is what programs that read logs know: slog's own
// name of logr's level 1 is DEBUG+3.
func usualLevel(groups []string, a slog.Attr) slog.Attr {
	if level, ok := a.Value.Any().(slog.Level); ok && len(groups) == 0 && a.Key == slog.LevelKey && level < slog.LevelInfo {
		a.Value = slog.StringValue(slog.LevelDebug.String())
	}
	return a
}

// calm keeps out of the level of errors what is none: see calmed. It also leaves out that an event could
// not be made in a namespace that is being deleted: client-go calls it an error for each of our events
// there, though nothing is wrong and nothing is to be done.
type calm struct{ slog.Handler }

// Handle passes every line, some at the level of decisions.
func (c calm) Handle(ctx context.Context, r slog.Record) error {
	var err error
	r.Attrs(func(a slog.Attr) bool {
		is, isError := a.Value.Any().(error)
		if isError {
			err = is
		}
		return !isError
	})
	switch {
	case r.Message == "Server rejected event (will not retry!)" && apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause):
		return nil
	case r.Level < slog.LevelError || !calmed(err) && !givenUp(r.Message, err):
		return c.Handler.Handle(ctx, r)
	case !c.Enabled(ctx, decisions):
		return nil
	}
	r.Level = decisions
	return c.Handler.Handle(ctx, r)
}

// decisions is logr's level 1: what is decided, for whoever looks for the cause of something.
const decisions = slog.LevelInfo - 1

// Expected is an error that is no fault of anybody's, or that was told already where somebody looks for
// it. Libraries, which can't know that, log what they are given as an error.
type Expected interface {
	error
	// Expected reports whether nobody needs to be alarmed.
	Expected() bool
}

// calmed reports whether an error is none to whoever reads the log: it says so itself, or it only says that
// who asked for something, has ended meanwhile.
func calmed(err error) bool {
	if expected, ok := errors.AsType[Expected](err); ok && expected.Expected() {
		return true
	}
	return errors.Is(err, context.Canceled)
}

// givenUp reports whether controller-runtime only says that a leader that was told to stop has given up its lease, as
// it has to: it does where that is faster than the end of the rest. The error has no type.
func givenUp(message string, err error) bool {
	return message == "error received after stop sequence was engaged" && err != nil && err.Error() == "leader election lost"
}

// WithAttrs keeps us in front.
func (c calm) WithAttrs(attrs []slog.Attr) slog.Handler { return calm{c.Handler.WithAttrs(attrs)} }

// WithGroup keeps us in front.
func (c calm) WithGroup(name string) slog.Handler { return calm{c.Handler.WithGroup(name)} }
