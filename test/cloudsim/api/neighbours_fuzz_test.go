package api

import (
	"strings"
	"testing"

	"vpcmirror.io/operator/test/cloudsim/scenario"
)

// FuzzABodyOfAnyCallIsAnsweredByTheService: whatever a body holds, each call that changes something answers with a success
// or with one of the services' refusals; never with a fault of the server, and never without a code.
func FuzzABodyOfAnyCallIsAnsweredByTheService(f *testing.F) {
	for _, seed := range []string{
		`{"firewall":{"name":"a","ingress_rules":[{"action":"allow","protocol":"any","ip_version":4}],"insert_after_rule":"x"},"dry_run":true}`,
		`{"address_group":{"name":"a","ip_version":4,"ip_set":["10.0.0.1-10.0.0.9","10.0.0.0/8"],"ip_extra_set":[{}]}}`,
		`{"security_group":{"name":"a"},"security_group_rules":[{"direction":"ingress","priority":"1"}],"ignore_duplicate":1}`,
		`{"peering":{"name":"a","request_vpc_info":{"vpc_id":1},"accept_vpc_info":[]}}`,
		`{"routetable":{"vpc_id":"x","routes":{"add":[{"type":"er"}],"del":[{}]},"subnets":{"associate":[null]}}}`,
		`{"port":{"network_id":"x","fixed_ips":[{"ip_address":"::"}],"allowed_address_pairs":[{}],"security_groups":[],"index":-1}}`,
		`{"os-stop":{"servers":[{"id":"x"}],"type":7},"servers":[{}],"nics":[{"port_id":"x"},{}],"subnets":[{}]}`,
		`[]`, `null`, "\x00", `{"routetable":{"routes":[]}}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		g := newGateway(t)
		for _, r := range g.server.routes {
			if r.method == "GET" || unsigned[r.operation] { // who issues keys answers in its own form
				continue
			}
			path := "/" + strings.Join(r.segments, "/")
			path = strings.ReplaceAll(strings.ReplaceAll(path, "{project_id}", scenario.WalkthroughProject), "{id}", scenario.WalkthroughSource)
			a := g.do(r.method, path, string(data))
			switch {
			case a.status >= 200 && a.status < 300:
			case a.status == 400 || a.status == 404 || a.status == 409:
				if a.code() == "" || a.code() == "APIGW.0101" || a.body["error_msg"] == "" {
					t.Fatalf("%s %s: the refusal %s lacks a code or a message", r.method, path, a.raw)
				}
			default:
				t.Fatalf("%s %s: answer %d %s", r.method, path, a.status, a.raw)
			}
		}
	})
}
