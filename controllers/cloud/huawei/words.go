package huawei

import (
	"net/http"
	"net/url"
)

// Words are how a program's users know what stands between it and the cloud, and where they set it: errors that
// say why there is no answer name it so. Each is used in the middle of a sentence.
type Words struct {
	// Way is what may hold a connection up, such as "the network policies".
	Way string
	// DNS is who looks names up, such as "the cluster's DNS".
	DNS string
	// Proxy is where the proxy is set, such as "the manager's --cloud-proxy".
	Proxy string
	// Authorities is where authorities are given that are trusted for every account.
	Authorities string
	// Reason says where the reason of a fault of TLS is to be found.
	Reason string
	// Ended says why a call ends before its time.
	Ended string
}

// managers are the words of the manager.
var managers = Words{
	Way: "the network policies", DNS: "the cluster's DNS", Proxy: "the manager's --cloud-proxy",
	Authorities: "the manager's --cloud-ca-bundle", Reason: "the manager's log has the reason", Ended: "the manager stops",
}

// proxyOf is the proxy on the way to an origin, nil for none.
func (t *transports) proxyOf(origin string) *url.URL {
	u, err := url.Parse(origin)
	if err != nil || t.proxy == nil {
		return nil
	}
	proxy, err := t.proxy(&http.Request{URL: u})
	if err != nil {
		return nil // the request's own error says that
	}
	return proxy
}
