package tracing

import (
	"github.com/go-logr/logr"
)

// RequestIDKey is what lines call the ID of the call to the cloud that they are about, by which the cloud's
// support finds it. A line that does not name one has that of the last call before it.
const RequestIDKey = "requestID"

// sink adds the last call's ID to each line.
type sink struct {
	logr.LogSink
	made *made
}

// Info writes a line.
func (s *sink) Info(level int, message string, values ...any) {
	s.LogSink.Info(level, message, s.with(values)...)
}

// Error writes a line about an error.
func (s *sink) Error(err error, message string, values ...any) {
	s.LogSink.Error(err, message, s.with(values)...)
}

// WithValues keeps us in front.
func (s *sink) WithValues(values ...any) logr.LogSink {
	return &sink{s.LogSink.WithValues(values...), s.made}
}

// WithName keeps us in front.
func (s *sink) WithName(name string) logr.LogSink { return &sink{s.LogSink.WithName(name), s.made} }

func (s *sink) with(values []any) []any {
	id := s.made.requestID()
	if id == "" {
		return values
	}
	for i := 0; i+1 < len(values); i += 2 {
		if values[i] == RequestIDKey {
			return values
		}
	}
	return append(values[:len(values):len(values)], RequestIDKey, id)
}
