package credentials_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
	"unicode"

	corev1 "k8s.io/api/core/v1"
	"pgregory.net/rapid"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/cloud"
	"vpcmirror.io/operator/controllers/cloud/huawei"
	"vpcmirror.io/operator/controllers/credentials"
)

// oneSecret is an API server with one Secret.
type oneSecret struct {
	client.Reader // nil: a list panics

	data map[string][]byte
}

func (s oneSecret) Get(_ context.Context, _ client.ObjectKey, o client.Object, _ ...client.GetOption) error {
	o.(*corev1.Secret).Data = s.data
	return nil
}

// talkative is a cloud that refuses everything, and says what the test gives it.
type talkative struct {
	status int
	says   string
}

func (c talkative) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := json.Marshal(map[string]string{"error_code": "APIGW.0301", "error_msg": c.says})
	if err != nil {
		return nil, err
	}
	return &http.Response{
		StatusCode: c.status, Request: r, Body: io.NopCloser(strings.NewReader(string(body))),
		Header: http.Header{"X-Request-Id": {c.says}, "Content-Type": {c.says}},
	}, nil
}

// seen is what of a text is seen: no blanks, and nothing invisible.
func seen(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) || !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, strings.ToValidUTF8(text, ""))
}

func TestWhateverASecretHoldsNoMessageHasTheKey(t *testing.T) {
	dirt := rapid.SliceOfN(rapid.SampledFrom([]string{
		"\ufeff", "\u200b", "\u00ad", "\u2060", "\u202e", "\u00a0", "\u3000", "\u2028", "\r\n", "\n", " ", "\t", "\x00", "\x1b", "\xff", "\u0301", "é", "界",
	}), 0, 2)
	key := func(t *rapid.T, name, alphabet string) string {
		var out strings.Builder
		clean := rapid.IntRange(0, 3).Draw(t, "clean") > 0
		for _, letter := range rapid.StringMatching(alphabet).Draw(t, name) {
			if !clean && rapid.IntRange(0, 5).Draw(t, "dirty") == 0 {
				out.WriteString(strings.Join(dirt.Draw(t, "dirt"), ""))
			}
			out.WriteRune(letter)
		}
		if clean {
			return out.String() + "\r\n"
		}
		return out.String() + strings.Join(dirt.Draw(t, "tail"), "")
	}
	rapid.Check(t, func(t *rapid.T) {
		keys := []string{key(t, "access", `[A-Z0-9]{8,20}`), key(t, "secret", `[a-z0-9]{8,40}`), key(t, "token", `[A-Za-z0-9+/=]{8,40}`)}
		data := map[string][]byte{"accessKey": []byte(keys[0]), "secretKey": []byte(keys[1]), "securityToken": []byte(keys[2])}
		for name, right := range map[string]string{
			"region": "cn-north-4", "projectID": "0123456789abcdef0123456789abcdef", "endpoint": "https://vpc.example", "iamEndpoint": "", "caBundle": "",
		} {
			value := rapid.SampledFrom([]string{right, right, right, right, "", keys[0], keys[1], "\ufeff" + right, "https://" + seen(keys[1])}).Draw(t, name)
			data[name] = []byte(value)
		}
		echo := rapid.SampledFrom(keys).Draw(t, "echo")
		says := rapid.SampledFrom([]string{echo, strings.TrimSpace(echo), seen(echo), "ak " + seen(echo) + " not exist", "\ufeff" + echo}).Draw(t, "says")
		factory := huawei.NewFactory(huawei.Options{CallsPerSecond: 1e6, Burst: 1e6, Transport: talkative{
			status: rapid.SampledFrom([]int{200, 301, 400, 401, 403, 404, 407, 409, 429, 500}).Draw(t, "status"), says: says,
		}})
		rules := credentials.Rules{Endpoints: credentials.Endpoints{Allowed: []string{"https://vpc.example", strings.TrimSpace(string(data["endpoint"]))}}}
		provider := credentials.NewProvider(credentials.NewSecrets(oneSecret{data: data}, time.Now), factory.New, credentials.Fixed(cloud.Credentials{}), rules, credentials.Assuming{})
		c, err := provider.ClientFor(t.Context(), "team-a", &v1alpha1.CloudSpec{CredentialsRef: &v1alpha1.SecretReference{Name: "cloud"}}, time.Now(), func(string) error { return nil })
		if err == nil {
			_, err = c.ListFilters(t.Context())
		}
		if err == nil {
			t.Fatal("a cloud that refuses everything is content")
		}
		for _, k := range keys {
			for _, form := range []string{k, strings.TrimSpace(k), seen(k)} {
				if shown := err.Error() + cloud.DetailOf(err); strings.Contains(shown, form) {
					t.Fatalf("%q shows the key %q", shown, form)
				}
			}
		}
	})
}
