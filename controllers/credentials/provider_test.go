package credentials

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"pgregory.net/rapid"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/cloud"
)

// secretReader holds Secrets by namespace/name and can do nothing but get them.
type secretReader struct {
	client.Reader // nil: a list panics

	data map[string]map[string]string
	err  error
}

func (r *secretReader) Get(_ context.Context, key client.ObjectKey, object client.Object, _ ...client.GetOption) error {
	if r.err != nil {
		return r.err
	}
	data, ok := r.data[key.String()]
	if !ok {
		return apierrors.NewNotFound(schema.GroupResource{Resource: "secrets"}, key.Name)
	}
	secret := object.(*corev1.Secret)
	secret.Data = map[string][]byte{}
	for name, value := range data {
		secret.Data[name] = []byte(value)
	}
	return nil
}

// anyone may ask any server.
func anyone(string) error { return nil }

// recorded is a client that knows how it was made.
type recorded struct {
	cloud.Client
	from cloud.Credentials
}

// recorder makes recorded clients and counts them.
type recorder struct {
	made int
	err  error
}

func (r *recorder) make(_ context.Context, c cloud.Credentials) (cloud.Client, error) {
	if r.err != nil {
		return nil, r.err
	}
	r.made++
	return &recorded{from: c}, nil
}

// tests are the rules of an administrator who allows what the tests name.
var tests = Rules{
	Endpoints: Endpoints{Allowed: []string{
		"https://vpc.example", "https://vpc2.example", "http://iam.example:8080", "https://iam2.example",
	}},
	Namespaces: NewNamespaces(&labelled{by: map[string]labels.Set{"team-a": {"team": "a"}}}, labels.SelectorFromSet(labels.Set{"team": "a"}), time.Now),
}

const project = "0123456789abcdef0123456789abcdef"

func full() map[string]string {
	return map[string]string{
		"accessKey": "ACCESSKEY1", "secretKey": "secretkey1\n", "securityToken": "token1", "region": "cn-north-4",
		"projectID": project, "endpoint": "https://vpc.example", "iamEndpoint": "http://iam.example:8080",
		"caBundle": "-----BEGIN CERTIFICATE-----",
	}
}

func without(keys ...string) map[string]string {
	data := full()
	for _, key := range keys {
		delete(data, key)
	}
	return data
}

func changed(key, value string) map[string]string {
	data := full()
	data[key] = value
	return data
}

func named(name string) *v1alpha1.CloudSpec {
	return &v1alpha1.CloudSpec{CredentialsRef: &v1alpha1.SecretReference{Name: name}}
}

func TestCredentialsComeFrom(t *testing.T) {
	operator := cloud.Credentials{AccessKey: "OPERATORKEY", SecretKey: "operatorsecret", Region: "cn-east-3"}
	fromSecret := cloud.Credentials{
		AccessKey: "ACCESSKEY1", SecretKey: "secretkey1", SecurityToken: "token1", Region: "cn-north-4",
		ProjectID: project, Endpoint: "https://vpc.example", IAMEndpoint: "http://iam.example:8080", CABundle: "-----BEGIN CERTIFICATE-----",
	}
	for name, tc := range map[string]struct {
		data map[string]string
		spec func(*v1alpha1.CloudSpec)
		want func(*cloud.Credentials)
	}{
		"the Secret alone, without the line break of its value": {full(), func(*v1alpha1.CloudSpec) {}, func(*cloud.Credentials) {}},
		"a Secret with what tools put around values": {func() map[string]string {
			d := full()
			for key, value := range d {
				d[key] = " \u00a0\t" + value + "\r\n\u00a0\n"
			}
			return d
		}(), func(*v1alpha1.CloudSpec) {}, func(*cloud.Credentials) {}},
		"the Secret, and the spec says the same": {full(), func(s *v1alpha1.CloudSpec) { s.Region, s.ProjectID = "cn-north-4", project },
			func(*cloud.Credentials) {}},
		"the Secret, and the spec fills what it leaves open": {without("region", "projectID"), func(s *v1alpha1.CloudSpec) {
			s.Region, s.ProjectID = "cn-south-1", strings.Repeat("f", 32)
		}, func(c *cloud.Credentials) { c.Region, c.ProjectID = "cn-south-1", strings.Repeat("f", 32) }},
		"the operator, when no Secret is named": {nil, func(s *v1alpha1.CloudSpec) { s.CredentialsRef = nil },
			func(c *cloud.Credentials) { *c = operator }},
		"the operator, and the spec fills the project": {nil, func(s *v1alpha1.CloudSpec) { s.CredentialsRef, s.ProjectID = nil, project },
			func(c *cloud.Credentials) { *c = operator; c.ProjectID = project }},
	} {
		t.Run(name, func(t *testing.T) {
			p := NewProvider(NewSecrets(&secretReader{data: map[string]map[string]string{"team-a/cloud": tc.data}}, time.Now), (&recorder{}).make, Fixed(operator), tests, Assuming{})
			spec, want := named("cloud"), fromSecret
			tc.spec(spec)
			tc.want(&want)
			got, err := p.ClientFor(t.Context(), "team-a", spec, time.Now(), anyone)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(raw(want), raw(got.(*recorded).from)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// raw shows all fields, which Credentials hides when printed.
func raw(c cloud.Credentials) []string {
	return []string{c.AccessKey, c.SecretKey, c.SecurityToken, c.Region, c.ProjectID, c.Endpoint, c.IAMEndpoint, c.ECSEndpoint, c.CABundle}
}

func TestAMistakeInTheCredentialsIsOneClearSentence(t *testing.T) {
	for name, tc := range map[string]struct {
		data    map[string]string
		spec    func(*v1alpha1.CloudSpec)
		factory error
		want    Error
	}{
		"a Secret that does not exist": {nil, func(s *v1alpha1.CloudSpec) { s.CredentialsRef.Name = "other" }, nil,
			Error{Reason: NotFound, Message: "Secret team-a/other does not exist: create it with the keys accessKey and secretKey, or correct spec.credentialsRef.name"}},
		"a Secret without a secret key": {without("secretKey"), nil, nil,
			Error{Reason: NotFound, Message: "Secret team-a/cloud has no key secretKey, or it is empty: add it"}},
		"a Secret with an empty access key": {map[string]string{"accessKey": " \n", "secretKey": "s"}, nil, nil,
			Error{Reason: NotFound, Message: "Secret team-a/cloud has no key accessKey, or it is empty: add it"}},
		"a byte order mark": {changed("accessKey", "\ufeffACCESSKEY1"), nil, nil,
			Error{Reason: Invalid, Message: "accessKey of Secret team-a/cloud has U+FEFF BYTE ORDER MARK as character 1, " +
				"where only letters, digits and signs of ASCII can be: store the value without it"}},
		"a blank of no width": {changed("secretKey", "\r\nsecret\u200bkey1\r\n"), nil, nil,
			Error{Reason: Invalid, Message: "secretKey of Secret team-a/cloud has U+200B ZERO WIDTH SPACE as character 9, " +
				"where only letters, digits and signs of ASCII can be: store the value without it"}},
		"a file of another encoding": {changed("securityToken", "\xff\xfet\x00"), nil, nil,
			Error{Reason: Invalid, Message: "securityToken of Secret team-a/cloud has the byte 0xFF, which is no UTF-8, as character 1, " +
				"where only letters, digits and signs of ASCII can be: store the value without it"}},
		"a letter that only looks right": {changed("region", "\u0441n-north-4"), nil, nil,
			Error{Reason: Invalid, Message: "region of Secret team-a/cloud has U+0441 CYRILLIC SMALL LETTER ES as character 1, " +
				"where only letters, digits and signs of ASCII can be: store the value without it"}},
		"neither a Secret nor the operator": {nil, func(s *v1alpha1.CloudSpec) { s.CredentialsRef = nil }, nil,
			Error{Reason: NotFound, Message: "spec.credentialsRef names no Secret and the operator has no credentials of its own: " +
				"name a Secret in namespace team-a, or start the operator with HUAWEICLOUD_SDK_AK and HUAWEICLOUD_SDK_SK"}},
		"no region anywhere": {without("region"), nil, nil,
			Error{Reason: Invalid, Message: "the region is missing: set spec.region, or region in Secret team-a/cloud"}},
		"a region that no status could show": {func() map[string]string { d := full(); d["region"] = strings.Repeat("r", 41); return d }(), nil, nil,
			Error{Reason: Invalid, Message: "region of Secret team-a/cloud has 41 characters, and can have 40 at the most: correct it"}},
		"another region in the spec": {full(), func(s *v1alpha1.CloudSpec) { s.Region = "cn-south-1" }, nil,
			Error{Reason: Invalid, Message: "spec.region differs from region of Secret team-a/cloud: make them equal, or leave one of them out"}},
		"another project in the spec": {full(), func(s *v1alpha1.CloudSpec) { s.ProjectID = strings.Repeat("f", 32) }, nil,
			Error{Reason: Invalid, Message: "spec.projectID differs from projectID of Secret team-a/cloud: make them equal, or leave one of them out"}},
		"an endpoint without http": {func() map[string]string { d := full(); d["endpoint"] = "vpc.example"; return d }(), nil, nil,
			Error{Reason: EndpointNotAllowed, Message: "endpoint of Secret team-a/cloud can't be used, as it is no origin like https://vpc.cn-north-4.myhuaweicloud.com: " +
				"give http or https, a host in ASCII, and a port where it is not the usual one, without user, path or query: nothing was sent; " +
				"have the administrator add it to --allowed-endpoints (chart: cloud.allowedEndpoints)"}},
		"an identity service that is not on the list": {func() map[string]string { d := full(); d["iamEndpoint"] = "http://169.254.0.1"; return d }(), nil, nil,
			Error{Reason: EndpointNotAllowed, Message: "iamEndpoint of Secret team-a/cloud is none that is allowed: nothing was sent; " +
				"have the administrator add it to --allowed-endpoints (chart: cloud.allowedEndpoints)"}},
		"what the adapter refuses": {full(), nil, &cloud.Error{Class: cloud.ClassInvalid, Op: "Configure", Message: "projectID is wrong"},
			Error{Reason: Invalid, Message: "Secret team-a/cloud: projectID is wrong"}},
	} {
		t.Run(name, func(t *testing.T) {
			reader := &secretReader{data: map[string]map[string]string{}}
			if tc.data != nil {
				reader.data["team-a/cloud"] = tc.data
			}
			p := NewProvider(NewSecrets(reader, time.Now), (&recorder{err: tc.factory}).make, Fixed(cloud.Credentials{}), tests, Assuming{})
			spec := named("cloud")
			if tc.spec != nil {
				tc.spec(spec)
			}
			_, err := p.ClientFor(t.Context(), "team-a", spec, time.Now(), anyone)
			got, ok := errors.AsType[*Error](err)
			if !ok {
				t.Fatalf("got %v, want a mistake", err)
			}
			if diff := cmp.Diff(tc.want, Error{Reason: got.Reason, Message: got.Message}); diff != "" {
				t.Error(diff)
			}
			for _, value := range full() {
				if strings.Contains(err.Error(), strings.TrimSpace(value)) && value != "cn-north-4" {
					t.Errorf("%q shows the value %q", err, value)
				}
			}
		})
	}
}

func TestAFaultThatMayPassIsNoMistake(t *testing.T) {
	t.Run("an API server that does not answer", func(t *testing.T) {
		away := errors.New("connection refused")
		p := NewProvider(NewSecrets(&secretReader{err: away}, time.Now), (&recorder{}).make, Fixed(cloud.Credentials{}), tests, Assuming{})
		_, err := p.ClientFor(t.Context(), "team-a", named("cloud"), time.Now(), anyone)
		if _, mistake := errors.AsType[*Error](err); mistake || !errors.Is(err, away) {
			t.Errorf("got %v, want the API server's error", err)
		}
	})
	t.Run("a cloud that refuses the signature keeps its class", func(t *testing.T) {
		refused := &cloud.Error{Class: cloud.ClassAuthentication, HTTPStatus: 401, Op: "KeystoneListAuthProjects", Message: "no"}
		p := NewProvider(NewSecrets(&secretReader{data: map[string]map[string]string{"a/b": full()}}, time.Now), (&recorder{err: refused}).make, Fixed(cloud.Credentials{}), tests, Assuming{})
		_, err := p.ClientFor(t.Context(), "a", named("b"), time.Now(), anyone)
		if _, mistake := errors.AsType[*Error](err); mistake || cloud.ClassOf(err) != cloud.ClassAuthentication {
			t.Errorf("got %v, want Authentication", err)
		}
	})
}

func TestClientsAreKeptByTheirContent(t *testing.T) {
	reader := &secretReader{data: map[string]map[string]string{"a/one": full(), "b/two": full()}}
	maker := &recorder{}
	p := NewProvider(NewSecrets(reader, time.Now), maker.make, Fixed(cloud.Credentials{}), tests, Assuming{})
	get := func(namespace, name string) cloud.Client {
		t.Helper()
		c, err := p.ClientFor(t.Context(), namespace, named(name), time.Now(), anyone)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	first := get("a", "one")
	t.Run("the same content gives the same client, also from another Secret", func(t *testing.T) {
		if get("a", "one") != first || get("b", "two") != first || maker.made != 1 {
			t.Errorf("%d clients were made, want one", maker.made)
		}
	})
	t.Run("a rotated key takes effect at once, whatever field it is", func(t *testing.T) {
		seen := map[cloud.Client]string{first: "the first"}
		for key, value := range map[string]string{
			"accessKey": "ACCESSKEY2", "secretKey": "secretkey2", "securityToken": "token2", "region": "cn-south-1",
			"projectID": strings.Repeat("f", 32), "endpoint": "https://vpc2.example", "iamEndpoint": "https://iam2.example",
			"caBundle": "-----BEGIN CERTIFICATE----- 2",
		} {
			reader.data["a/one"] = full()
			reader.data["a/one"][key] = value
			c := get("a", "one")
			if other, known := seen[c]; known {
				t.Errorf("a new %s still gives %s client", key, other)
			}
			seen[c] = "that of " + key
		}
	})
	t.Run("the operator's own keys give a client of its own, though a Secret has the same", func(t *testing.T) {
		reader.data["a/one"] = full()
		mine := get("a", "one").(*recorded)
		shared := NewProvider(NewSecrets(reader, time.Now), maker.make, Fixed(mine.from), tests, Assuming{})
		shared.clients = p.clients
		c, err := shared.ClientFor(t.Context(), "team-a", &v1alpha1.CloudSpec{}, time.Now(), anyone)
		if err != nil || c == cloud.Client(mine) || !c.(*recorded).from.Shared || mine.from.Shared {
			t.Errorf("got %v and %v", c, err)
		}
	})
	t.Run("and old clients go away", func(t *testing.T) {
		for i := range maxClients {
			reader.data["a/one"] = full()
			reader.data["a/one"]["secretKey"] = fmt.Sprintf("secret-%d", i)
			get("a", "one")
		}
		before := maker.made
		if get("b", "two") == first || maker.made != before+1 {
			t.Error("the first client is still kept")
		}
		if got := p.clients.order.Len(); got != maxClients || len(p.clients.byKey) != maxClients {
			t.Errorf("%d clients are kept, want %d", got, maxClients)
		}
	})
}

func TestNoTwoContentsShareAFingerprint(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		// Few letters, so that moving one from a field into the next is common.
		field := rapid.StringMatching(`[ab]{0,3}`)
		draw := func(name string) cloud.Credentials {
			f := rapid.SliceOfN(field, 9, 9).Draw(t, name)
			return cloud.Credentials{
				AccessKey: f[0], SecretKey: f[1], SecurityToken: f[2], Region: f[3], ProjectID: f[4], Endpoint: f[5], IAMEndpoint: f[6], ECSEndpoint: f[7],
				CABundle: f[8],
			}
		}
		a, b := draw("a"), draw("b")
		if (a == b) != (fingerprint(a) == fingerprint(b)) {
			t.Fatalf("%q and %q", raw(a), raw(b))
		}
	})
}

func TestTheOperatorsCredentialsComeFromItsEnvironment(t *testing.T) {
	all := map[string]string{
		"HUAWEICLOUD_SDK_AK": "ak", "HUAWEICLOUD_SDK_SK": "sk\n", "HUAWEICLOUD_SDK_SECURITY_TOKEN": "token", "HUAWEICLOUD_SDK_PROJECT_ID": project,
		"VPCMIRROR_REGION": "cn-north-4", "VPCMIRROR_ENDPOINT": "http://vpc", "VPCMIRROR_IAM_ENDPOINT": "http://iam",
	}
	got, err := FromEnvironment(func(name string) string { return all[name] })
	want := []string{"ak", "sk", "token", "cn-north-4", project, "http://vpc", "http://iam", "", ""}
	if diff := cmp.Diff(want, raw(got)); diff != "" || err != nil {
		t.Errorf("%v\n%s", err, diff)
	}
	if got, err := FromEnvironment(func(string) string { return "" }); err != nil || got != (cloud.Credentials{}) {
		t.Errorf("an empty environment gives %v and %v, want nothing", got, err)
	}
	all["HUAWEICLOUD_SDK_AK"] = "a\u00adk"
	if _, err := FromEnvironment(func(name string) string { return all[name] }); err == nil ||
		!strings.Contains(err.Error(), "HUAWEICLOUD_SDK_AK has U+00AD SOFT HYPHEN as character 2") {
		t.Errorf("an invisible character gives %v, want its name and place", err)
	}
	for _, alone := range []string{EnvAccessKey, EnvSecretKey} {
		if _, err := FromEnvironment(func(name string) string { return map[string]string{alone: "x"}[name] }); err == nil {
			t.Errorf("%s alone is no error", alone)
		}
	}
}
