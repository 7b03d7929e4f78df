package credentials

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"vpcmirror.io/operator/controllers/cloud"
)

// assuming are credentials that name an agency.
func assuming(edit func(*cloud.Credentials)) cloud.Credentials {
	c := cloud.Credentials{
		AccessKey: "a", SecretKey: "s", Region: "cn-north-4", ProjectID: "p", IAMEndpoint: "https://iam.example",
		Agency: cloud.Agency{Name: "mirror", Domain: "walkthrough"},
	}
	edit(&c)
	return c
}

func TestKeysOfAnAgencyServeAllProjectsAndNobodyElse(t *testing.T) {
	asked := 0
	a := newAgencies(func(context.Context, cloud.Credentials) (cloud.Keys, error) {
		asked++
		return cloud.Keys{AccessKey: "k", SecretKey: "s", SecurityToken: "t", Expires: time.Now().Add(time.Hour)}, nil
	}, nil)
	for _, c := range []struct {
		name string
		edit func(*cloud.Credentials)
		want int
	}{
		{"the first", func(*cloud.Credentials) {}, 1},
		{"again", func(*cloud.Credentials) {}, 1},
		{"another project", func(c *cloud.Credentials) { c.ProjectID = "q" }, 1},
		{"the operator's own", func(c *cloud.Credentials) { c.Shared = true }, 2},
		{"other keys", func(c *cloud.Credentials) { c.SecretKey = "other" }, 3},
		{"another agency", func(c *cloud.Credentials) { c.Agency.Name = "other" }, 4},
		{"another identity service", func(c *cloud.Credentials) { c.IAMEndpoint = "https://other.example" }, 5},
	} {
		given := assuming(c.edit)
		got, err := a.assumed(t.Context(), given, "Secret n/s")
		if err != nil || got.Issued == nil || got.AccessKey != "" || got.ProjectID != given.ProjectID || asked != c.want {
			t.Errorf("%s: got %+v, %v, after %d requests, want %d", c.name, got, err, asked, c.want)
		}
	}
}

func TestWhoAssumesAnAgencyWithTheSameKeysAsAnotherIsNotToldOfItsSecret(t *testing.T) {
	a := newAgencies(func(context.Context, cloud.Credentials) (cloud.Keys, error) { return cloud.Keys{}, errors.New("away") }, nil)
	var got []string
	for _, origin := range []string{"Secret one/s", "Secret two/s"} {
		_, err := a.assumed(t.Context(), assuming(func(*cloud.Credentials) {}), origin)
		got = append(got, fmt.Sprint(err))
	}
	_, err := a.assumed(t.Context(), assuming(func(c *cloud.Credentials) { c.Shared = true }), "the operator's own credentials")
	got = append(got, fmt.Sprint(err))
	const secret = "the agency that the Secret names gives no keys: away; it is asked again by itself"
	want := []string{secret, secret, "the agency of the operator's own credentials gives no keys: away; it is asked again by itself"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestTheIdentityServiceIsOneOfTheServersOfWhoeverAssumesAnAgency(t *testing.T) {
	for name, c := range map[string]struct {
		edit func(*cloud.Credentials)
		want string
	}{
		"an agency":                      {func(*cloud.Credentials) {}, "https://vpc.example https://iam.example"},
		"neither agency nor look-up":     {func(c *cloud.Credentials) { c.Agency = cloud.Agency{} }, "https://vpc.example"},
		"the project is to be looked up": {func(c *cloud.Credentials) { c.Agency, c.ProjectID = cloud.Agency{}, "" }, "https://vpc.example https://iam.example"},
		"an agency of the usual service": {func(c *cloud.Credentials) { c.IAMEndpoint = "" }, "https://vpc.example"},
	} {
		with := assuming(c.edit)
		with.Endpoint = "https://vpc.example"
		if got := (Endpoints{}).servers(with); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}
