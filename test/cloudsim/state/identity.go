package state

import (
	"maps"
	"strings"
	"time"

	"github.com/google/uuid"
)

// Identity is what issues temporary keys, and for whom. The keys that are issued belong to the account of a permanent
// access key, and reach what that reaches.
type Identity struct {
	// Server is the access key for whose account the agency of the servers issues keys; empty where none is bound to them.
	Server string `json:"server"`
	// Agencies have the same for agencies that may be assumed, by DOMAIN/NAME.
	Agencies map[string]string `json:"agencies"`
	// Providers have the same for identity providers, by ID: any token that is no blank counts.
	Providers map[string]string `json:"providers"`
	// Pods have the same for pod identities, by the token of their service account.
	Pods map[string]string `json:"pods"`
	// Lifetime replaces that which is asked for, and the day of an agency of servers, when it is not 0.
	Lifetime time.Duration `json:"-"`
}

func (i Identity) clone() Identity {
	i.Agencies, i.Providers, i.Pods = maps.Clone(i.Agencies), maps.Clone(i.Providers), maps.Clone(i.Pods)
	return i
}

// keepExpired is how long an expired key is known: so long it is refused as expired, and after that as unknown.
const keepExpired = time.Hour

// IssueKeys makes temporary keys for the account of an access key; false where there is no such account.
func (s *Store) IssueKeys(accessKey string, lifetime time.Duration) (issued Account, ok bool) {
	now := s.clock()
	s.Edit(func(w *World) {
		for key, a := range w.Accounts {
			if !a.TokenExpires.IsZero() && now.Sub(a.TokenExpires) > keepExpired {
				delete(w.Accounts, key)
			}
		}
		if issued, ok = w.Accounts[accessKey]; !ok {
			return
		}
		if w.Identity.Lifetime != 0 {
			lifetime = w.Identity.Lifetime
		}
		issued.AccessKey = "HST" + strings.ToUpper(strings.ReplaceAll(uuid.NewString(), "-", ""))[:17]
		issued.SecretKey, issued.SecurityToken = Secret(uuid.NewString()), Secret("token."+uuid.NewString()+uuid.NewString())
		issued.TokenExpires = now.Add(lifetime)
		w.Accounts[issued.AccessKey] = issued
	})
	return issued, ok
}
