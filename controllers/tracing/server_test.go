package tracing

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestAServerIsItsHostAndItsPortApart(t *testing.T) {
	for endpoint, want := range map[string]map[string]any{
		"https://vpc.cn-north-4.myhuaweicloud.com":  {"server.address": "vpc.cn-north-4.myhuaweicloud.com", "server.port": int64(443)},
		"https://vpc.cn-north-4.myhuaweicloud.com/": {"server.address": "vpc.cn-north-4.myhuaweicloud.com", "server.port": int64(443)},
		"http://10.0.0.1:8600":                      {"server.address": "10.0.0.1", "server.port": int64(8600)},
		"http://[2001:db8::1]":                      {"server.address": "2001:db8::1", "server.port": int64(80)},
		"other://host":                              {"server.address": "host"},
		"":                                          {},
		"no url at all":                             {},
		"http://host:port":                          {},
	} {
		got := map[string]any{}
		for _, a := range server(endpoint) {
			got[string(a.Key)] = a.Value.AsInterface()
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%q (-want +got):\n%s", endpoint, diff)
		}
	}
}
