package main

import (
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-logr/logr/funcr"
	"github.com/google/go-cmp/cmp"

	"vpcmirror.io/operator/controllers/cloud/huawei"
	"vpcmirror.io/operator/test/env/pki"
)

func TestAProxyThatIsNoneIsSaidWithoutItsPassword(t *testing.T) {
	for _, value := range []string{"proxy.example:3128", "socks5://me:hidden@proxy", "http://me:hidden@", "http://me:hidden@proxy/path", "http://me:hidden%@proxy", "http://me:hidden@proxy?x"} {
		got := play(func(context.Context, options) error { t.Errorf("%q is taken", value); return nil }, "--cloud-proxy="+value)
		if got.Exit != 2 || !strings.Contains(got.Stderr, "--cloud-proxy is no URL of a proxy: give http://HOST:PORT") || strings.Contains(got.Stderr, "hidden") {
			t.Errorf("%q gives %+v", value, got)
		}
	}
}

func TestTheWayToTheCloudIsThatOfTheFlags(t *testing.T) {
	authority, err := pki.New()
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "ca.crt")
	if err := os.WriteFile(file, authority.CertPEM, 0o600); err != nil {
		t.Fatal(err)
	}
	var o huawei.Options
	if err := (&way{proxy: "http://me:p%40ss@proxy.example:3128/", caBundle: file}).apply(&o); err != nil {
		t.Fatal(err)
	}
	used, err := o.Proxy(httptest.NewRequest(http.MethodGet, "https://vpc.example", http.NoBody))
	if err != nil {
		t.Fatal(err)
	}
	password, _ := used.User.Password()
	if used.Host != "proxy.example:3128" || password != "p@ss" || len(o.Authorities) != 1 {
		t.Errorf("the proxy is %s and there are %d authorities", used.Redacted(), len(o.Authorities))
	}
	if err := os.WriteFile(file, []byte("nothing"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, says := range map[string]string{file: "no certificate in PEM form", filepath.Join(file, "none"): "not a directory"} {
		if err := (&way{caBundle: name}).apply(&o); err == nil || !strings.Contains(err.Error(), "--cloud-ca-bundle") || !strings.Contains(err.Error(), says) {
			t.Errorf("%s gives %v, want the flag and %q", name, err, says)
		}
	}
}

func TestAProxyOfTheEnvironmentThatIsNotUsedIsSaid(t *testing.T) {
	said := func(w way, environment map[string]string) (lines []string) {
		w.warn(funcr.New(func(_, args string) { lines = append(lines, args) }, funcr.Options{}), func(name string) string { return environment[name] })
		return lines
	}
	set := map[string]string{"HTTPS_PROXY": "http://me:hidden@proxy"}
	want := []string{`"level"=0 "msg"="The environment's proxy is not used, neither for the API server nor for the cloud: give --cloud-proxy for the cloud" "variable"="HTTPS_PROXY"`}
	if diff := cmp.Diff(want, said(way{}, set)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got := append(said(way{proxy: "http://proxy"}, set), said(way{}, nil)...); got != nil {
		t.Errorf("it says %v where nobody counts on it", got)
	}
}
