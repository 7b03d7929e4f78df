package lifecycle

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp/cmpopts"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/cloud"
	"vpcmirror.io/operator/controllers/credentials"
)

// secrets gives the client or the error that it was made with.
type secrets struct {
	client cloud.Client
	err    error
}

func (s *secrets) ClientFor(context.Context, string, *v1alpha1.CloudSpec, time.Time, func(string) error) (cloud.Client, error) {
	return s.client, s.err
}

func (*secrets) Renewed(context.Context, string, *v1alpha1.CloudSpec, time.Time, cloud.Client) bool {
	return false
}

// accountOnly is a client that only has an account.
type accountOnly struct {
	cloud.Client
	account cloud.Account
}

func (p accountOnly) Account() cloud.Account { return p.account }

func TestAnObjectIsConnectedToItsOwnAccountAlone(t *testing.T) {
	here := accountOnly{account: cloud.Account{Region: "r", ProjectID: "p", Endpoint: "https://a"}}
	there := accountOnly{account: cloud.Account{Region: "r", ProjectID: "q", Endpoint: "https://a"}}
	gone := &credentials.Error{Reason: credentials.NotFound, Message: "gone"}
	deleting := func() *v1alpha1.MirrorFilter {
		f := filter()
		f.DeletionTimestamp = new(metav1.NewTime(noon))
		return f
	}
	s := &secrets{client: here}
	services, _ := newTestServices()
	services.Clients = s
	connect := func(f *v1alpha1.MirrorFilter) (cloud.Client, error) {
		scope := services.NewScope(t.Context(), f)
		err := scope.Connect(t.Context())
		return scope.Cloud, err
	}

	bound := filter()
	bound.Finalizers = []string{v1alpha1.Finalizer}
	bound.Status.Account = &v1alpha1.Account{Region: "r", ProjectID: "p", Endpoint: "https://a"}
	got, err := connect(bound)
	same(t, "the client", cloud.Client(here), got, cmpopts.EquateComparable(accountOnly{}))
	same(t, "the error", error(nil), err)

	t.Run("another account is refused and both are named", func(t *testing.T) {
		s.client = there
		_, err := connect(bound)
		same(t, "the problem", &Problem{
			Reason: v1alpha1.ReasonAccountChanged, Stalled: true, Within: time.Minute,
			Message: "the object lives in project p of region r at https://a, but its credentials are now for project q of region r at https://a: " +
				"nothing was touched. Restore the old credentials, or delete the object with them and create it anew",
		}, Diagnose(err))
		s.client = here
	})
	s.err = gone
	t.Run("an object that lives on needs its Secret", func(t *testing.T) {
		if _, err := connect(bound); !errors.Is(err, gone) {
			t.Errorf("the error is %v, want %v", err, gone)
		}
	})
	t.Run("an object that is being deleted is served with the client of before", func(t *testing.T) {
		got, err := connect(deleting())
		same(t, "the client", cloud.Client(here), got, cmpopts.EquateComparable(accountOnly{}))
		same(t, "the error", error(nil), err)
	})
	t.Run("an object that never had a client is not", func(t *testing.T) {
		f := deleting()
		f.UID = types.UID("other")
		if _, err := connect(f); !errors.Is(err, gone) {
			t.Errorf("the error is %v, want %v", err, gone)
		}
	})
	t.Run("credentials that are wrong are not covered up", func(t *testing.T) {
		s.err = &credentials.Error{Reason: credentials.Invalid, Message: "wrong"}
		if _, err := connect(deleting()); !errors.Is(err, s.err) {
			t.Errorf("the error is %v, want %v", err, s.err)
		}
	})
}
