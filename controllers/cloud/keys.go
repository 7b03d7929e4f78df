package cloud

import (
	"context"
	"fmt"
	"log/slog"
	"time"
)

// Keys sign requests. They are one value, so that whoever has them has a pair that belongs together, with
// the token that belongs to it. Printing or logging them shows no secret.
type Keys struct {
	AccessKey string
	SecretKey string
	// SecurityToken comes with temporary keys; empty for permanent ones.
	SecurityToken string
	// Expires is when temporary keys end, by this machine's clock; zero for permanent ones.
	Expires time.Time
}

// String shows when the keys end, and nothing of them.
func (k Keys) String() string {
	return fmt.Sprintf("{accessKey:%s secretKey:%s securityToken:%s expires:%s}",
		hide(k.AccessKey), hide(k.SecretKey), hide(k.SecurityToken), k.Expires.UTC().Format(time.RFC3339))
}

// GoString is String, so that %#v shows no secret either.
func (k Keys) GoString() string { return "cloud.Keys" + k.String() }

// LogValue shows the keys to a structured log without their secrets.
func (k Keys) LogValue() slog.Value { return slog.StringValue(k.String()) }

// MarshalText is String.
func (k Keys) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// KeySource gives temporary keys, renewed as time goes by. It is a pointer, by which one is told from another, and
// is safe for concurrent use.
type KeySource interface {
	// Keys gives keys that are in force now. It MUST return when ctx ends.
	Keys(ctx context.Context) (Keys, error)
	// Refused tells that the cloud took these keys no longer: newer ones are to be got, if there are none
	// already. It MUST NOT block.
	Refused(k Keys)
}

// Issuer gets temporary keys from whoever issues them, by one attempt that ends with ctx. A refusal is an *Error, whose
// message holds no secret.
type Issuer func(ctx context.Context) (Keys, error)

// Agency is what keys are exchanged for: an agency (a role in the words of others) of an account that trusts theirs.
// The zero value is none.
type Agency struct {
	Name string
	// Domain is the name of the account that the agency is in.
	Domain string
}
