package credentials

import (
	"context"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"vpcmirror.io/operator/controllers/cloud"
)

// Secrets reads Secrets one by one, as they are neither listed nor watched. One answer serves all
// objects that name the Secret and take an answer so old. Its methods may be called from several
// goroutines.
type Secrets struct {
	reader client.Reader
	clock  cloud.Clock

	mu     sync.Mutex
	byName map[types.NamespacedName]*sharedSecret
}

// sharedSecret is what is kept of one.
type sharedSecret struct {
	// turn has room for the one that asks.
	turn chan struct{}
	// began is when the read began that gave the Secret; zero for none.
	began  time.Time
	secret *corev1.Secret
}

// maxSecrets bounds of how many Secrets something is kept. Beyond that all are read anew.
const maxSecrets = 4096

// NewSecrets has read none yet. reader must read from the API server itself.
func NewSecrets(reader client.Reader, clock cloud.Clock) *Secrets {
	return &Secrets{reader: reader, clock: clock, byName: map[types.NamespacedName]*sharedSecret{}}
}

// Get returns a Secret as a read showed it that began at or after notBefore; whoever waits for
// the same one at that moment shares it. It belongs to everybody: it is only to be read. Of its metadata it has
// what tells it from others, its finalizers and when it was deleted. An error is that of the API server.
func (s *Secrets) Get(ctx context.Context, name types.NamespacedName, notBefore time.Time) (*corev1.Secret, error) {
	shared := s.of(name)
	select {
	case shared.turn <- struct{}{}:
		defer func() { <-shared.turn }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if !shared.began.IsZero() && !shared.began.Before(notBefore) {
		return shared.secret, nil
	}
	began := s.clock()
	var secret corev1.Secret
	if err := s.reader.Get(ctx, name, &secret); err != nil {
		shared.began = time.Time{}
		return nil, err
	}
	shared.began, shared.secret = began, slimSecret(&secret)
	return shared.secret, nil
}

func (s *Secrets) of(name types.NamespacedName) *sharedSecret {
	s.mu.Lock()
	defer s.mu.Unlock()
	shared := s.byName[name]
	if shared == nil {
		if len(s.byName) >= maxSecrets {
			clear(s.byName)
		}
		shared = &sharedSecret{turn: make(chan struct{}, 1)}
		s.byName[name] = shared
	}
	return shared
}

// Forget lets the next Get read a Secret anew.
func (s *Secrets) Forget(name types.NamespacedName) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.byName, name)
}

// slimSecret is what is needed of a Secret: annotations can repeat its whole content.
func slimSecret(secret *corev1.Secret) *corev1.Secret {
	slim := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: secret.Namespace, Name: secret.Name, UID: secret.UID, ResourceVersion: secret.ResourceVersion,
			Finalizers: secret.Finalizers, DeletionTimestamp: secret.DeletionTimestamp,
		},
		Data: map[string][]byte{},
	}
	for _, key := range keys {
		if value, has := secret.Data[key]; has {
			slim.Data[key] = value
		}
	}
	return slim
}
