package cloud

import (
	"context"
	"errors"
)

// ErrReadOnly is what each write of a client gives that ReadOnly has made. Nothing was sent.
var ErrReadOnly = errors.New("this client of the cloud only reads: nothing was sent")

// ReadOnly returns a client that reads as c does and writes nothing: each write fails with
// ErrReadOnly before anything is sent. Two of one client are equal.
func ReadOnly(c Client) Client { return readOnly{c} }

// IsReadOnly reports whether a client was made by ReadOnly.
func IsReadOnly(c Client) bool {
	_, is := c.(readOnly)
	return is
}

// readOnly takes every write of a Client away; a test holds that none is forgotten.
type readOnly struct{ Client }

// CreateFilter fails.
func (readOnly) CreateFilter(context.Context, string, string) (Filter, error) {
	return Filter{}, ErrReadOnly
}

// UpdateFilter fails.
func (readOnly) UpdateFilter(context.Context, string, FilterUpdate) error { return ErrReadOnly }

// DeleteFilter fails.
func (readOnly) DeleteFilter(context.Context, string) error { return ErrReadOnly }

// CreateRule fails.
func (readOnly) CreateRule(context.Context, string, RuleSpec) (Rule, error) {
	return Rule{}, ErrReadOnly
}

// UpdateRule fails.
func (readOnly) UpdateRule(context.Context, string, RuleSpec) error { return ErrReadOnly }

// DeleteRule fails.
func (readOnly) DeleteRule(context.Context, string) error { return ErrReadOnly }

// CreateSession fails.
func (readOnly) CreateSession(context.Context, SessionSpec, []string) (Session, error) {
	return Session{}, ErrReadOnly
}

// UpdateSession fails.
func (readOnly) UpdateSession(context.Context, string, SessionUpdate) error { return ErrReadOnly }

// AddSources fails.
func (readOnly) AddSources(context.Context, string, []string) error { return ErrReadOnly }

// RemoveSources fails.
func (readOnly) RemoveSources(context.Context, string, []string) error { return ErrReadOnly }

// DeleteSession fails.
func (readOnly) DeleteSession(context.Context, string) error { return ErrReadOnly }
