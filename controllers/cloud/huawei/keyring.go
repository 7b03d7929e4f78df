package huawei

import (
	"context"
	"sync/atomic"

	"github.com/huaweicloud/huaweicloud-sdk-go-v3/core/auth/basic"

	"vpcmirror.io/operator/controllers/cloud"
)

// The SDK renews temporary keys in the very object that other goroutines sign with: field by field, without a lock. So a
// request can go out with the access key of one pair, the secret of another and the token of a third. Here the SDK gets
// keys that stay, made anew for each pair: a call takes one signer when it begins, and nothing changes that any more.

// signer is one set of keys, as the SDK signs with them, and what hides them in texts. It never changes.
type signer struct {
	keys    *basic.Credentials
	secrets secrets
	pair    cloud.Keys
}

func newSigner(k cloud.Keys, project string) (*signer, error) {
	keys, err := basic.NewCredentialsBuilder().WithAk(k.AccessKey).WithSk(k.SecretKey).
		WithSecurityToken(k.SecurityToken).WithProjectId(project).SafeBuild()
	if err != nil {
		return nil, invalid(configure, "the SDK refuses the keys") // its own text is not passed on
	}
	return &signer{keys: keys, secrets: newSecrets(k.AccessKey, k.SecretKey, k.SecurityToken), pair: k}, nil
}

// keyring gives the signer of each call. It is shared by the callers of one client.
type keyring struct {
	source  cloud.KeySource // nil for keys that stay
	project string
	current atomic.Pointer[signer]
}

func newKeyring(c cloud.Credentials, project string) (*keyring, error) {
	ring := &keyring{source: c.Issued, project: project}
	if c.Issued != nil {
		ring.current.Store(&signer{})
		return ring, nil
	}
	fixed, err := newSigner(cloud.Keys{AccessKey: c.AccessKey, SecretKey: c.SecretKey, SecurityToken: c.SecurityToken}, project)
	if err != nil {
		return nil, err
	}
	ring.current.Store(fixed)
	return ring, nil
}

// last is the signer of the last call.
func (r *keyring) last() *signer { return r.current.Load() }

// next is the signer of a call that begins now.
func (r *keyring) next(ctx context.Context) (*signer, error) {
	last := r.last()
	if r.source == nil {
		return last, nil
	}
	pair, err := r.source.Keys(ctx)
	if err != nil {
		return nil, err
	}
	if last.pair == pair {
		return last, nil
	}
	if err := checkKeys(cloud.Credentials{AccessKey: pair.AccessKey, SecretKey: pair.SecretKey, SecurityToken: pair.SecurityToken}); err != nil {
		return nil, err
	}
	made, err := newSigner(pair, r.project)
	if err != nil {
		return nil, err
	}
	r.current.Store(made) // of two that are made at once either may stay: they are equal
	return made, nil
}

// signing is the caller for one call, which has keys of its own. It is the caller itself where there are none.
func (c *caller) signing(ctx context.Context) (*caller, error) {
	taken, err := c.keyring.next(ctx)
	if err != nil {
		return c, err
	}
	one := *c
	one.signer = taken
	return &one, nil
}

// noteRefusal lets keys be renewed that the cloud takes no longer.
func (c *caller) noteRefusal(err error) {
	if c.keyring.source != nil && cloud.ClassOf(err) == cloud.ClassAuthentication {
		c.keyring.source.Refused(c.pair)
	}
}
