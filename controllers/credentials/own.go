package credentials

import (
	"context"

	"vpcmirror.io/operator/controllers/cloud"
)

// Own are the operator's own credentials, wherever they come from.
type Own interface {
	// Current gives them as they are now; without keys where there are none. A mistake in them is an *Error.
	Current(ctx context.Context) (cloud.Credentials, error)
}

// Fixed are credentials that stay as they are, such as those of the environment.
type Fixed cloud.Credentials

// Current gives them.
func (f Fixed) Current(context.Context) (cloud.Credentials, error) { return cloud.Credentials(f), nil }

// Issued are credentials whose keys are temporary, and kept in force.
type Issued struct {
	// Settings are all but the keys.
	Settings cloud.Credentials
	Keeper   *Keeper
}

// Current gives them. It waits for the keys where there are none yet.
func (i Issued) Current(ctx context.Context) (cloud.Credentials, error) {
	if _, err := i.Keeper.Keys(ctx); err != nil {
		return cloud.Credentials{}, err
	}
	c := i.Settings
	c.AccessKey, c.SecretKey, c.SecurityToken, c.Issued = "", "", "", i.Keeper
	return c, nil
}
