package credentials

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// slowSecrets answers after a second, counts what it is asked, and has versions.
type slowSecrets struct {
	client.Reader // nil: a list panics

	asked atomic.Int64
	err   error
}

func (r *slowSecrets) Get(_ context.Context, key client.ObjectKey, object client.Object, _ ...client.GetOption) error {
	n := r.asked.Add(1)
	<-time.After(time.Second)
	if r.err != nil {
		return r.err
	}
	*object.(*corev1.Secret) = corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: key.Namespace, Name: key.Name, UID: "u", ResourceVersion: string(rune('0' + n)), Finalizers: []string{"f"},
			Annotations: map[string]string{"last": "everything again"}, ManagedFields: []metav1.ManagedFieldsEntry{{Manager: "m"}},
		},
		Data: map[string][]byte{KeyAccessKey: []byte("a"), KeyCABundle: []byte("b"), "else": []byte("c")},
	}
	return nil
}

var cloudSecret = types.NamespacedName{Namespace: "team-a", Name: "cloud"}

func TestOneReadOfASecretServesAllThatTakeAnAnswerSoOld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reader := &slowSecrets{}
		secrets := NewSecrets(reader, time.Now)
		get := func(oldest time.Duration) string {
			s, err := secrets.Get(t.Context(), cloudSecret, time.Now().Add(-oldest))
			if err != nil {
				t.Error(err)
				return ""
			}
			return s.ResourceVersion
		}
		want := func(what, version string, got string) {
			t.Helper()
			if version != got {
				t.Errorf("%s gets version %s, want %s", what, got, version)
			}
		}
		want("the first", "1", get(time.Minute))
		want("one that takes the age", "1", get(time.Minute))
		want("one that does not", "2", get(0))
		<-time.After(time.Minute)
		want("one that finds it too old", "3", get(time.Minute))
		secrets.Forget(cloudSecret)
		want("one after it was forgotten", "4", get(time.Hour))

		// All that come while one is read wait for one more read, and share that.
		done := make(chan string)
		for range 5 {
			go func() { done <- get(0) }()
		}
		synctest.Wait()
		for range 3 {
			go func() { done <- get(0) }()
		}
		for range 8 {
			<-done
		}
		if n := reader.asked.Load(); n > 6 {
			t.Errorf("the Secret was read %d times", n)
		}
	})
}

func TestASecretThatCouldNotBeReadIsAskedForAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reader := &slowSecrets{}
		secrets := NewSecrets(reader, time.Now)
		if _, err := secrets.Get(t.Context(), cloudSecret, time.Now()); err != nil {
			t.Fatal(err)
		}
		away := errors.New("away")
		reader.err = away
		if _, err := secrets.Get(t.Context(), cloudSecret, time.Now()); !errors.Is(err, away) {
			t.Errorf("got %v", err)
		}
		reader.err = nil
		s, err := secrets.Get(t.Context(), cloudSecret, time.Time{}) // the one of before is not taken either
		if err != nil || s.ResourceVersion != "3" {
			t.Errorf("got %v and %v", s, err)
		}

		// Who does not wait any longer is told so, and the others are served.
		held, stop := context.WithCancel(t.Context())
		done := make(chan error)
		go func() {
			_, err := secrets.Get(t.Context(), cloudSecret, time.Now())
			done <- err
		}()
		synctest.Wait()
		stop()
		if _, err := secrets.Get(held, cloudSecret, time.Now()); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func TestOfASecretIsKeptWhatTheManagerReads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		got, err := NewSecrets(&slowSecrets{}, time.Now).Get(t.Context(), cloudSecret, time.Now())
		want := &corev1.Secret{
			ObjectMeta: metav1.ObjectMeta{Namespace: "team-a", Name: "cloud", UID: "u", ResourceVersion: "1", Finalizers: []string{"f"}},
			Data:       map[string][]byte{KeyAccessKey: []byte("a"), KeyCABundle: []byte("b")},
		}
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("%v (-want +got):\n%s", err, diff)
		}
	})
}

func TestANamespaceIsReadOnceForAllThatTakeAnAnswerSoOld(t *testing.T) {
	now := time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)
	reader := &labelled{by: map[string]labels.Set{"a": {"team": "network"}}}
	n := NewNamespaces(reader, labels.SelectorFromSet(labels.Set{"team": "network"}), func() time.Time { return now })
	serve := func(oldest time.Duration, want bool, asked int) {
		t.Helper()
		served, err := n.Serve(t.Context(), "a", now.Add(-oldest))
		if err != nil || served != want || reader.asked != asked {
			t.Errorf("served: %t, want %t; asked %d times, want %d; %v", served, want, reader.asked, asked, err)
		}
	}
	serve(time.Minute, true, 1)
	reader.by["a"] = nil
	now = now.Add(time.Minute)
	serve(time.Minute, true, 1)
	now = now.Add(1)
	serve(time.Minute, false, 2)
	reader.by["a"] = labels.Set{"team": "network"}
	serve(0, false, 2) // a read that began at that moment
	now = now.Add(1)
	serve(0, true, 3)
}
