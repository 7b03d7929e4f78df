package cloud

import (
	"context"
	"fmt"
	"log/slog"
)

// Credentials are what a client needs to reach one account. Printing or logging them
// shows where they lead, never the keys.
type Credentials struct {
	AccessKey string
	SecretKey string
	// SecurityToken comes with temporary keys; empty for permanent ones.
	SecurityToken string
	// Issued gives the keys in place of the three above, which are empty then; nil for keys that stay.
	Issued KeySource
	// Agency is assumed with the keys, and its keys sign in their place; the zero value for none.
	Agency Agency
	// Region, such as cn-north-4.
	Region string
	// ProjectID has 32 hexadecimal digits; empty lets the adapter look it up.
	ProjectID string
	// Endpoint is the base URL of the VPC API; empty for the region's usual one.
	Endpoint string
	// IAMEndpoint is the base URL of the identity service, asked for the project
	// when ProjectID is empty; empty for the region's usual one.
	IAMEndpoint string
	// ECSEndpoint is the base URL of the ECS service, which tells of servers and flavors; empty
	// for the region's usual one beside the usual Endpoint, and for Endpoint itself beside any
	// other.
	ECSEndpoint string
	// ELBEndpoint is the base URL of the ELB service, which tells of load balancers; found as ECSEndpoint is
	// where it is empty.
	ELBEndpoint string
	// CABundle has certificates in PEM form of authorities that are trusted beside the
	// system's; empty for none.
	CABundle string
	// Shared is true for credentials that serve several tenants: an error then names no
	// object of the cloud but those that the request named.
	Shared bool
}

// Factory makes a client from credentials. A mistake in them is an *Error with
// ClassInvalid; an error of the cloud, met while the project is looked up, has the
// class of that error.
type Factory func(ctx context.Context, c Credentials) (Client, error)

const hidden = "(hidden)"

func hide(secret string) string {
	if secret == "" {
		return ""
	}
	return hidden
}

// String shows the credentials without their secrets.
func (c Credentials) String() string {
	issued := ""
	if c.Issued != nil {
		issued = " issued:true"
	}
	return fmt.Sprintf("{accessKey:%s secretKey:%s securityToken:%s%s region:%s projectID:%s endpoint:%s iamEndpoint:%s ecsEndpoint:%s elbEndpoint:%s}",
		hide(c.AccessKey), hide(c.SecretKey), hide(c.SecurityToken), issued, c.Region, c.ProjectID, c.Endpoint, c.IAMEndpoint, c.ECSEndpoint, c.ELBEndpoint)
}

// GoString is String, so that %#v shows no secret either.
func (c Credentials) GoString() string { return "cloud.Credentials" + c.String() }

// LogValue shows the credentials to a structured log without their secrets.
func (c Credentials) LogValue() slog.Value { return slog.StringValue(c.String()) }

// MarshalText is String: loggers that encode to JSON show no secret either, and
// credentials can't be stored by accident.
func (c Credentials) MarshalText() ([]byte, error) { return []byte(c.String()), nil }
