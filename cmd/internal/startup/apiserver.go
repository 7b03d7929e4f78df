package startup

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// KubeconfigUsage is the text of --help for the flag --kubeconfig.
const KubeconfigUsage = "`file` that says how to reach the API server, else KUBECONFIG names it; in a pod it is not needed"

// APIServer says how to reach the API server. A proxy of the environment is not used: it
// stands in front of the internet, and the API server is behind it. A kubeconfig can name one
// by proxy-url.
//
// It looks into the file kubeconfig; if that is empty into the one of KUBECONFIG;
// else at what a pod has; else into ~/.kube/config, as kubectl does.
func APIServer(kubeconfig, userAgent string) (*rest.Config, error) {
	config, err := load(kubeconfig)
	switch {
	case clientcmd.IsEmptyConfig(err):
		return nil, errors.New("no API server is known: this is no pod, and neither --kubeconfig nor KUBECONFIG names a file with a cluster")
	case err != nil:
		return nil, fmt.Errorf("find the API server (in a pod by itself, elsewhere by --kubeconfig or KUBECONFIG): %w", err)
	}
	config.UserAgent = userAgent
	if config.Proxy == nil {
		config.Proxy = func(*http.Request) (*url.URL, error) { return nil, nil } // nil means the environment's
	}
	config.Wrap(func(next http.RoundTripper) http.RoundTripper { return bounded{next, callDeadline, listDeadline} })
	return config, nil
}

// Namespace is the namespace that this process runs in, empty outside of a pod.
func Namespace() string {
	if namespace := os.Getenv("POD_NAMESPACE"); namespace != "" {
		return namespace
	}
	content, err := os.ReadFile("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(content))
}

func load(kubeconfig string) (*rest.Config, error) {
	if kubeconfig == "" && os.Getenv(clientcmd.RecommendedConfigPathEnvVar) == "" {
		if config, err := rest.InClusterConfig(); !errors.Is(err, rest.ErrNotInCluster) {
			return config, err
		}
	}
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = kubeconfig
	rules.WarnIfAllMissing = false // the error says it
	return clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, &clientcmd.ConfigOverrides{}).ClientConfig()
}
