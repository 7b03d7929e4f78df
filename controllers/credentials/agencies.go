package credentials

import (
	"context"
	"fmt"
	"sync"

	"k8s.io/utils/lru"

	"vpcmirror.io/operator/controllers/cloud"
)

// Assume gets the keys of the agency that credentials name, with the keys of these credentials.
type Assume func(ctx context.Context, c cloud.Credentials) (cloud.Keys, error)

// maxAgencies bounds of how many agencies the keys are kept in force: as many as there can be clients.
const maxAgencies = maxClients

// agencies keeps what issues the keys of agencies, by the credentials with which they are assumed.
type agencies struct {
	assume Assume
	told   func(Renewal) // of those that the operator's own credentials assume

	mu   sync.Mutex // so that one Keeper is made for all who ask at once
	kept *lru.Cache // *Keeper by fingerprintSum
}

func newAgencies(assume Assume, told func(Renewal)) *agencies {
	return &agencies{assume: assume, told: told, kept: lru.New(maxAgencies)}
}

// assumed are the credentials with the keys of the agency that they name; c itself where it names none.
func (a *agencies) assumed(ctx context.Context, c cloud.Credentials, origin string) (cloud.Credentials, error) {
	if c.Agency == (cloud.Agency{}) {
		return c, nil
	}
	if a.assume == nil {
		return c, &Error{Reason: Invalid, Message: origin + " names an agency, and this program assumes none: leave it out"}
	}
	keeper := a.keeper(c)
	if _, err := keeper.Keys(ctx); err != nil {
		return c, err
	}
	c.AccessKey, c.SecretKey, c.SecurityToken, c.Agency, c.Issued = "", "", "", cloud.Agency{}, keeper
	return c, nil
}

// keeper issues the keys of the agency that c names. It is shared by all who have the same keys, whatever project they are for and
// whichever Secret they come from, so that its errors name none.
func (a *agencies) keeper(c cloud.Credentials) *Keeper {
	c.ProjectID = ""
	key := fingerprint(c)
	a.mu.Lock()
	defer a.mu.Unlock()
	if found, ok := a.kept.Get(key); ok {
		if keeper, ok := found.(*Keeper); ok {
			return keeper
		}
	}
	origin, told := "the agency that the Secret names", func(Renewal) {}
	if c.Shared {
		origin, told = "the agency of the operator's own credentials", a.told
	}
	made := NewKeeper(origin, func(ctx context.Context) (cloud.Keys, error) { return a.assume(ctx, c) }, told)
	a.kept.Add(key, made)
	return made
}

// checkAgency finds an agency that is named by half.
func checkAgency(a cloud.Agency, name, domain, origin string) error {
	if (a.Name == "") == (a.Domain == "") {
		return nil
	}
	return &Error{Reason: Invalid, Message: fmt.Sprintf(
		"%s has one of %s and %s without the other: give the agency's name and that of the account it is in, or neither", origin, name, domain)}
}
