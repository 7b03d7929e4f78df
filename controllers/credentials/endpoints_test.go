package credentials

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"vpcmirror.io/operator/controllers/cloud"
)

func TestTheAdministratorsListNamesWhatItCannotRead(t *testing.T) {
	got, err := ParseOrigins([]string{"HTTPS://a.example/", "http://b.example:80"})
	if diff := cmp.Diff([]string{"https://a.example", "http://b.example"}, got); diff != "" || err != nil {
		t.Errorf("%v\n%s", err, diff)
	}
	if _, err := ParseOrigins([]string{"https://a.example", "a.example"}); err == nil || !strings.HasPrefix(err.Error(), `"a.example": `) {
		t.Errorf("got %v", err)
	}
}

// regions is a table with one region, which has two origins.
func regions(region string) (vpc, iam string) {
	if region == "here" {
		return "https://vpc.here", "https://iam.here"
	}
	return "", ""
}

func TestASecretLeadsOnlyToWhatTheAdministratorAllows(t *testing.T) {
	rules := Endpoints{Allowed: []string{"http://sim.example:8600", "https://own.example"}, Usual: regions}
	for name, c := range map[string]struct {
		region, endpoint, iam string
		want                  []string // endpoint and identity service as they are used; nil when refused
	}{
		"nothing, and so the region's own":        {"here", "", "", []string{"", ""}},
		"the region's own":                        {"here", "https://vpc.here", "https://iam.here", []string{"https://vpc.here", "https://iam.here"}},
		"the region's own by another spelling":    {"here", "HTTPS://VPC.here:443/", "", []string{"https://vpc.here", ""}},
		"one of the list":                         {"here", "http://sim.example:8600", "https://own.example", []string{"http://sim.example:8600", "https://own.example"}},
		"one of the list by another spelling":     {"there", "http://SIM.example:8600/", "", []string{"http://sim.example:8600", ""}},
		"the own of another region":               {"there", "https://vpc.here", "", nil},
		"the identity service as the VPC API":     {"here", "https://iam.here", "", nil},
		"the VPC API as the identity service":     {"here", "", "https://vpc.here", nil},
		"a server that is not on the list":        {"here", "https://evil.example", "", nil},
		"such an identity service":                {"here", "", "https://evil.example", nil},
		"the list's host with another scheme":     {"here", "https://sim.example:8600", "", nil},
		"the list's host with another port":       {"here", "http://sim.example:8601", "", nil},
		"the list's host without its port":        {"here", "http://sim.example", "", nil},
		"a host below the list's":                 {"here", "https://a.own.example", "", nil},
		"a host that begins like the list's":      {"here", "https://own.example.evil", "", nil},
		"a user before the list's host":           {"here", "https://user@own.example", "", nil},
		"the list's host as the user":             {"here", "https://own.example@evil.example", "", nil},
		"a path behind the list's host":           {"here", "https://own.example/v3", "", nil},
		"the list's host with a dot at its end":   {"here", "https://own.example.", "", nil},
		"a letter that looks like the list's":     {"here", "https://оwn.example", "", nil},
		"no origin at all":                        {"here", "own.example", "", nil},
		"an address, by its number":               {"here", "http://2130706433:8600", "", nil},
		"an endpoint of a region that is unknown": {"there", "https://vpc.there", "", nil},
	} {
		t.Run(name, func(t *testing.T) {
			got := cloud.Credentials{Region: c.region, Endpoint: c.endpoint, IAMEndpoint: c.iam}
			err := rules.admit(&got, "Secret a/b", wordsOfSpec.Allow)
			if c.want == nil {
				if e, ok := errors.AsType[*Error](err); !ok || e.Reason != EndpointNotAllowed {
					t.Fatalf("got %v, want EndpointNotAllowed", err)
				}
				return
			}
			if diff := cmp.Diff(c.want, []string{got.Endpoint, got.IAMEndpoint}); diff != "" || err != nil {
				t.Errorf("%v\n%s", err, diff)
			}
		})
	}
}

func TestNothingIsAllowedThatIsNotOnTheList(t *testing.T) {
	// Few letters, so that an origin of the list is often drawn, and almost drawn.
	piece := rapid.StringMatching(`(https?://)?(a|b|A)(\.a)?(:80|:443|:8)?/?`)
	rapid.Check(t, func(t *rapid.T) {
		list, err := ParseOrigins(rapid.SliceOfN(piece.Filter(func(s string) bool { _, err := cloud.ParseOrigin(s); return err == nil }), 0, 3).Draw(t, "list"))
		if err != nil {
			t.Fatal(err)
		}
		c := cloud.Credentials{Endpoint: piece.Draw(t, "endpoint")}
		wanted, _ := cloud.ParseOrigin(c.Endpoint)
		err = Endpoints{Allowed: list}.admit(&c, "", wordsOfSpec.Allow)
		if allowed := slices.Contains(list, wanted); allowed != (err == nil) || allowed && c.Endpoint != wanted {
			t.Fatalf("%q against %q: %v", c.Endpoint, list, err)
		}
	})
}

func TestTheRefusalOfAnEndpointNamesTheWaysOut(t *testing.T) {
	for endpoint, want := range map[string]string{
		"https://evil.example": "endpoint of Secret a/b is none that is allowed: nothing was sent; leave it out for the usual one of region here, " +
			"or have the administrator add it to --allowed-endpoints (chart: cloud.allowedEndpoints)",
		"AKIAIOSFODNN7EXAMPLE": "endpoint of Secret a/b can't be used, as it is no origin like https://vpc.cn-north-4.myhuaweicloud.com: " +
			"give http or https, a host in ASCII, and a port where it is not the usual one, without user, path or query: nothing was sent; " +
			"leave it out for the usual one of region here, or have the administrator add it to --allowed-endpoints (chart: cloud.allowedEndpoints)",
	} {
		err := Endpoints{Usual: regions}.admit(&cloud.Credentials{Region: "here", Endpoint: endpoint}, "Secret a/b", wordsOfSpec.Allow)
		if err == nil || err.Error() != want {
			t.Errorf("got  %v\nwant %s", err, want)
		}
	}
	err := Endpoints{}.admit(&cloud.Credentials{Region: "there", IAMEndpoint: "https://evil.example"}, "Secret a/b", wordsOfSpec.Allow)
	const want = "iamEndpoint of Secret a/b is none that is allowed: nothing was sent; " +
		"have the administrator add it to --allowed-endpoints (chart: cloud.allowedEndpoints)"
	if err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
}

func TestTheECSServiceIsAskedWhereTheAdministratorAllowsIt(t *testing.T) {
	rules := Endpoints{Allowed: []string{"https://vpc.own.example", "https://ecs.own.example", "http://ecs.here", "https://ecs.here"}, Usual: regions}
	for name, c := range map[string]struct{ endpoint, want string }{
		"beside the usual VPC API the adapter knows it":      {"", ""},
		"also where the Secret names that one":               {"https://vpc.here", ""},
		"beside another VPC API, where the list has it":      {"https://vpc.own.example", "https://ecs.own.example"},
		"but not at a host that the list lacks":              {"https://vpc.other.example", ""},
		"nor by another scheme":                              {"http://vpc.own.example", ""},
		"nor at another port":                                {"https://vpc.own.example:8443", ""},
		"nor where the VPC API's name does not begin so":     {"https://own.example", ""},
		"and not where it only begins like vpc":              {"https://vpcs.own.example", ""},
		"the usual name by http is not the usual VPC API":    {"http://vpc.here", "http://ecs.here"},
		"and what somebody put there before is not believed": {"https://own.example", ""},
	} {
		t.Run(name, func(t *testing.T) {
			got := cloud.Credentials{Region: "here", Endpoint: c.endpoint, ECSEndpoint: "https://evil.example"}
			if rules.findOthers(&got); got.ECSEndpoint != c.want {
				t.Errorf("got %q, want %q", got.ECSEndpoint, c.want)
			}
		})
	}
}
