package main

import (
	"context"
	"log/slog"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

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
