package main

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"

	"github.com/go-logr/logr"
	"github.com/spf13/pflag"

	"vpcmirror.io/operator/controllers/cloud/huawei"
)

// way are the flags about the way to the cloud.
type way struct {
	proxy    string
	caBundle string
}

func (w *way) add(flags *pflag.FlagSet) {
	flags.StringVar(&w.proxy, "cloud-proxy", "", "`URL` of an HTTP proxy in front of the cloud, such as http://proxy.example.com:3128, with user and password where it wants them; the API server is never asked through it, and HTTPS_PROXY means nothing")
	flags.StringVar(&w.caBundle, "cloud-ca-bundle", "", "`file` with certificates in PEM form of authorities that are trusted for the cloud beside the system's; read at the start")
}

func (w *way) check() error {
	_, err := w.proxyURL()
	return err
}

// proxyURL is the proxy, nil for none. The error does not repeat what may hold a password.
func (w *way) proxyURL() (*url.URL, error) {
	if w.proxy == "" {
		return nil, nil
	}
	u, err := url.Parse(w.proxy)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || u.Path != "" && u.Path != "/" || u.RawQuery != "" || u.Fragment != "" {
		return nil, errors.New("--cloud-proxy is no URL of a proxy: give http://HOST:PORT, or http://USER:PASSWORD@HOST:PORT with % before what is special in a URL")
	}
	return u, nil
}

// apply sets what leads to the cloud.
func (w *way) apply(o *huawei.Options) error {
	proxy, err := w.proxyURL()
	if err != nil {
		return err
	}
	if proxy != nil {
		o.Proxy = http.ProxyURL(proxy)
	}
	if w.caBundle == "" {
		return nil
	}
	content, err := os.ReadFile(w.caBundle)
	if err != nil {
		return fmt.Errorf("read the authorities of --cloud-ca-bundle: %w", err)
	}
	if o.Authorities, err = huawei.ReadAuthorities(content); err != nil {
		return fmt.Errorf("read the authorities of --cloud-ca-bundle=%s: %w", w.caBundle, err)
	}
	return nil
}

// warn says that a proxy of the environment is not used, where somebody may count on it.
func (w *way) warn(log logr.Logger, getenv func(string) string) {
	for _, name := range []string{"HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy"} {
		if getenv(name) != "" && w.proxy == "" {
			log.Info("The environment's proxy is not used, neither for the API server nor for the cloud: give --cloud-proxy for the cloud", "variable", name)
			return
		}
	}
}
