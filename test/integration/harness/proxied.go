package harness

import (
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"path/filepath"
	"testing"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// Proxied returns the file of a kubeconfig that leads a program through a proxy to the API
// server of config, as whom config says. around gets the proxy and returns what serves in its
// place; answered, if it is not nil, learns of each request before its answer is handed on. It
// ends with the test.
func Proxied(t *testing.T, config *rest.Config, around func(proxy http.Handler) http.Handler, answered func(*http.Request)) string {
	t.Helper()
	upstream, err := url.Parse(config.Host)
	if err != nil {
		t.Fatal(err)
	}
	transport, err := rest.TransportFor(config)
	if err != nil {
		t.Fatal(err)
	}
	proxy := &httputil.ReverseProxy{
		Transport: transport, FlushInterval: -1, // watches are handed on as they come
		Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(upstream) },
	}
	if answered != nil {
		proxy.ModifyResponse = func(r *http.Response) error { answered(r.Request); return nil }
	}
	server := httptest.NewServer(around(proxy))
	t.Cleanup(server.CloseClientConnections)
	kubeconfig := clientcmdapi.NewConfig()
	kubeconfig.Clusters["proxy"] = &clientcmdapi.Cluster{Server: server.URL}
	kubeconfig.Contexts["proxy"] = &clientcmdapi.Context{Cluster: "proxy"}
	kubeconfig.CurrentContext = "proxy"
	file := filepath.Join(t.TempDir(), "kubeconfig")
	if err := clientcmd.WriteToFile(*kubeconfig, file); err != nil {
		t.Fatal(err)
	}
	return file
}
