package api

import (
	"testing"

	"vpcmirror.io/operator/test/cloudsim/scenario"
	"vpcmirror.io/operator/test/cloudsim/state"
)

// FuzzABodyMakesASoundSessionOrARefusal: whatever comes in, the answer is 201 with a session within its bounds, or one of
// the service's refusals; never a fault of the server.
func FuzzABodyMakesASoundSessionOrARefusal(f *testing.F) {
	g := newGateway(f)
	g.server.State.Edit(func(w *state.World) {
		w.Filters["f"] = state.Filter{ID: "f", ProjectID: scenario.WalkthroughProject, Name: "f"}
	})
	const refs = `"traffic_mirror_filter_id":"f","traffic_mirror_sources":["` + scenario.WalkthroughSource +
		`"],"traffic_mirror_target_id":"` + scenario.WalkthroughTarget + `","traffic_mirror_target_type":"eni"`
	for _, seed := range []string{
		`{"traffic_mirror_session":{"name":"s","priority":1,` + refs + `}}`,
		`{"traffic_mirror_session":{"name":"s","virtual_network_id":"1","packet_length":1460,"enabled":"True","priority":1e0,` + refs + `}}`,
		`{"traffic_mirror_session":{"name":"s","virtual_network_id":16777215.0,"packet_length":"1","enabled":false,"priority":"32766",` + refs + `}}`,
		`{"traffic_mirror_session":{"name":null,"traffic_mirror_sources":[null],"priority":"+1","enabled":"\"true\""}}`,
		`{"traffic_mirror_session":{"priority":1e400,"virtual_network_id":1.5}}{}`, `null`, `{"traffic_mirror_session":null}`, "\x00",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		g.t = t
		a := g.do("POST", "traffic-mirror-sessions", string(data))
		switch a.status {
		case 400, 404, 409:
			if a.code() == "" || a.body["error_msg"] == "" {
				t.Fatalf("the refusal %s lacks a code or a message", a.raw)
			}
			return
		case 201:
		default:
			t.Fatalf("answer %d %s", a.status, a.raw)
		}
		s := a.object("traffic_mirror_session")
		within := func(field string, low, high float64) {
			if n, ok := s[field].(float64); !ok || n < low || n > high || n != float64(int(n)) {
				t.Fatalf("%s = %v in the answer %s", field, s[field], a.raw)
			}
		}
		within("virtual_network_id", 0, 16777215)
		within("packet_length", 1, 1460)
		within("priority", 1, 32766)
		if _, ok := s["enabled"].(bool); !ok {
			t.Fatalf("enabled = %v is no boolean", s["enabled"])
		}
		g.want(g.do("DELETE", "traffic-mirror-sessions/"+s["id"].(string), ""), 204, "")
	})
}
