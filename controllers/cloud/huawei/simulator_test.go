package huawei_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"vpcmirror.io/operator/controllers/cloud"
	"vpcmirror.io/operator/controllers/cloud/huawei"
	"vpcmirror.io/operator/test/cloudsim/fault"
	"vpcmirror.io/operator/test/cloudsim/scenario"
	"vpcmirror.io/operator/test/cloudsim/sim"
	"vpcmirror.io/operator/test/cloudsim/state"
)

// fast is a limiter that no test notices.
var fast = huawei.Options{CallsPerSecond: 1e6, Burst: 1e6}

func credentialsOf(s *sim.Sim) cloud.Credentials {
	return cloud.Credentials{
		AccessKey: scenario.WalkthroughAccessKey,
		SecretKey: scenario.WalkthroughSecretKey,
		Region:    scenario.WalkthroughRegion,
		ProjectID: scenario.WalkthroughProject,
		Endpoint:  s.URL,
	}
}

func connect(t *testing.T, o huawei.Options, c cloud.Credentials) cloud.Client {
	t.Helper()
	client, err := huawei.NewFactory(o).New(t.Context(), c)
	if err != nil {
		t.Fatalf("connecting: %v", err)
	}
	return client
}

func add(t *testing.T, s *sim.Sim, f fault.Fault) {
	t.Helper()
	if _, err := s.Faults.Add(f); err != nil {
		t.Fatal(err)
	}
}

func must[T any](t *testing.T) func(T, error) T {
	t.Helper()
	return func(value T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return value
	}
}

func ok(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func walkthroughRule() cloud.RuleSpec {
	return cloud.RuleSpec{
		Direction:        cloud.Ingress,
		Priority:         1,
		Accept:           true,
		Protocol:         cloud.TCP,
		Source:           netip.MustParsePrefix("192.168.0.161/32"),
		Destination:      netip.MustParsePrefix("192.168.0.230/32"),
		DestinationPorts: cloud.PortRange{Low: 1234, High: 1234},
		Description:      "the walkthrough's rule",
	}
}

func walkthroughSession(filterID string) cloud.SessionSpec {
	return cloud.SessionSpec{
		Name: "mirror-session-01", Description: "made by a test", FilterID: filterID,
		TargetID: scenario.WalkthroughTarget, TargetType: cloud.TargetInterface,
		VNI: 1, PacketLength: 1460, Priority: 1, Enabled: true,
	}
}

// equateNetip compares addresses by their own equality.
var equateNetip = cmpopts.EquateComparable(netip.Prefix{}, netip.Addr{})

func TestAFilterLivesItsWholeLife(t *testing.T) {
	s := sim.ForTest(t)
	c := connect(t, fast, credentialsOf(s))
	ctx := t.Context()

	filter := must[cloud.Filter](t)(c.CreateFilter(ctx, "mirror-filter-01", "made by a test"))
	if filter.CreatedAt.IsZero() {
		t.Error("when the cloud made the filter is not known")
	}
	want := cloud.Filter{ID: filter.ID, Name: "mirror-filter-01", Description: "made by a test", CreatedAt: filter.CreatedAt}
	if diff := cmp.Diff(want, filter); diff != "" {
		t.Fatalf("the new filter (-want +got):\n%s", diff)
	}
	first := must[cloud.Rule](t)(c.CreateRule(ctx, filter.ID, walkthroughRule()))
	reject := cloud.RuleSpec{Direction: cloud.Egress, Priority: 7, IPv6: true, Protocol: cloud.ICMPv6}
	second := must[cloud.Rule](t)(c.CreateRule(ctx, filter.ID, reject))
	ok(t, c.UpdateFilter(ctx, filter.ID, cloud.FilterUpdate{Name: new("renamed")}))
	changed := walkthroughRule()
	changed.Priority, changed.Accept, changed.DestinationPorts = 9, false, cloud.PortRange{Low: 80, High: 90}
	ok(t, c.UpdateRule(ctx, first.ID, changed))

	want = cloud.Filter{ID: filter.ID, Name: "renamed", Description: "made by a test", CreatedAt: filter.CreatedAt, Rules: []cloud.Rule{
		{ID: first.ID, RuleSpec: changed}, {ID: second.ID, RuleSpec: reject},
	}}
	if diff := cmp.Diff(want, must[cloud.Filter](t)(c.GetFilter(ctx, filter.ID)), equateNetip); diff != "" {
		t.Fatalf("the filter after the changes (-want +got):\n%s", diff)
	}
	ok(t, c.DeleteRule(ctx, second.ID))
	want.Rules = want.Rules[:1]
	if diff := cmp.Diff([]cloud.Filter{want}, must[[]cloud.Filter](t)(c.ListFilters(ctx)), equateNetip); diff != "" {
		t.Fatalf("the list after a rule is gone (-want +got):\n%s", diff)
	}
	ok(t, c.DeleteFilter(ctx, filter.ID))
	if _, err := c.GetFilter(ctx, filter.ID); !cloud.IsNotFound(err) {
		t.Fatalf("reading a deleted filter gives %v, want NotFound", err)
	}
	if got := must[[]cloud.Filter](t)(c.ListFilters(ctx)); len(got) != 0 {
		t.Fatalf("the list still holds %v", got)
	}
}

func TestASessionLivesItsWholeLife(t *testing.T) {
	s := sim.ForTest(t)
	c := connect(t, fast, credentialsOf(s))
	ctx := t.Context()
	filter := must[cloud.Filter](t)(c.CreateFilter(ctx, "mirror-filter-01", ""))

	spec := walkthroughSession(filter.ID)
	session := must[cloud.Session](t)(c.CreateSession(ctx, spec, []string{scenario.WalkthroughSource}))
	if session.CreatedAt.IsZero() {
		t.Error("when the session was made is not known")
	}
	want := cloud.Session{ID: session.ID, SessionSpec: spec, Sources: []string{scenario.WalkthroughSource}, CreatedAt: session.CreatedAt}
	if diff := cmp.Diff(want, session); diff != "" {
		t.Fatalf("the new session (-want +got):\n%s", diff)
	}
	if err := c.DeleteFilter(ctx, filter.ID); cloud.ClassOf(err) != cloud.ClassConflict {
		t.Fatalf("deleting a filter in use gives %v, want Conflict", err)
	}
	ok(t, c.AddSources(ctx, session.ID, []string{scenario.WalkthroughTest}))
	ok(t, c.RemoveSources(ctx, session.ID, []string{scenario.WalkthroughSource}))
	ok(t, c.UpdateSession(ctx, session.ID, cloud.SessionUpdate{VNI: new(0), Enabled: new(false), Description: new("")}))
	want.Sources, want.VNI, want.Enabled, want.Description = []string{scenario.WalkthroughTest}, 0, false, ""
	if diff := cmp.Diff(want, must[cloud.Session](t)(c.GetSession(ctx, session.ID))); diff != "" {
		t.Fatalf("the session after the changes (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]cloud.Session{want}, must[[]cloud.Session](t)(c.ListSessions(ctx))); diff != "" {
		t.Fatalf("the list (-want +got):\n%s", diff)
	}
	ok(t, c.DeleteSession(ctx, session.ID))
	if _, err := c.GetSession(ctx, session.ID); !cloud.IsNotFound(err) {
		t.Fatalf("reading a deleted session gives %v, want NotFound", err)
	}
}

// lastBody is the body of the last write, decoded.
func lastBody(t *testing.T, s *sim.Sim) map[string]any {
	t.Helper()
	writes := s.Journal.Writes(0)
	var wrapped map[string]map[string]any
	if err := json.Unmarshal([]byte(writes[len(writes)-1].Body), &wrapped); err != nil {
		t.Fatal(err)
	}
	for _, inner := range wrapped {
		return inner
	}
	return nil
}

func TestWritesSendWhatTheContractSays(t *testing.T) {
	s := sim.ForTest(t)
	c := connect(t, fast, credentialsOf(s))
	ctx := t.Context()
	filter := must[cloud.Filter](t)(c.CreateFilter(ctx, "f", ""))
	rule := must[cloud.Rule](t)(c.CreateRule(ctx, filter.ID, walkthroughRule()))
	spec := walkthroughSession(filter.ID)
	spec.VNI, spec.Enabled = 0, false
	session := must[cloud.Session](t)(c.CreateSession(ctx, spec, []string{scenario.WalkthroughSource}))

	t.Run("a new session sends VNI 0, the packet length and enabled false", func(t *testing.T) {
		body := lastBody(t, s)
		want := map[string]any{"virtual_network_id": "0", "packet_length": "1460", "enabled": "false"}
		got := map[string]any{}
		for field := range want {
			got[field] = body[field]
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("an update of a session sends the given fields and no others, sources never", func(t *testing.T) {
		ok(t, c.UpdateSession(ctx, session.ID, cloud.SessionUpdate{VNI: new(0), Enabled: new(true)}))
		if diff := cmp.Diff(map[string]any{"virtual_network_id": 0.0, "enabled": "true"}, lastBody(t, s)); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("an update of a rule sends every field that the rule has", func(t *testing.T) {
		ok(t, c.UpdateRule(ctx, rule.ID, walkthroughRule()))
		want := map[string]any{
			"action": "accept", "description": "the walkthrough's rule", "destination_cidr_block": "192.168.0.230/32",
			"destination_port_range": "1234-1234", "ethertype": "IPv4", "priority": 1.0, "protocol": "TCP",
			"source_cidr_block": "192.168.0.161/32",
		}
		if diff := cmp.Diff(want, lastBody(t, s)); diff != "" {
			t.Error(diff)
		}
	})
}

func TestListsAreComplete(t *testing.T) {
	s := sim.ForTest(t, sim.WithPageCap(2))
	c := connect(t, fast, credentialsOf(s))
	ctx := t.Context()
	var filters, sessions []string
	for i := range 5 {
		filter := must[cloud.Filter](t)(c.CreateFilter(ctx, "f", ""))
		spec := walkthroughSession(filter.ID)
		spec.Priority, spec.TargetID = i+1, scenario.WalkthroughTarget
		if i < 3 { // the limit of sessions per source
			sessions = append(sessions, must[cloud.Session](t)(c.CreateSession(ctx, spec, []string{scenario.WalkthroughSource})).ID)
		}
		filters = append(filters, filter.ID)
	}
	t.Run("every page of filters and of sessions is read", func(t *testing.T) {
		var got []string
		for _, f := range must[[]cloud.Filter](t)(c.ListFilters(ctx)) {
			got = append(got, f.ID)
		}
		for _, one := range must[[]cloud.Session](t)(c.ListSessions(ctx)) {
			got = append(got, one.ID)
		}
		want := slices.Concat(filters, sessions)
		slices.Sort(want)
		slices.Sort(got)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("a list with a page that fails is an error", func(t *testing.T) {
		add(t, s, fault.Fault{Kind: fault.Error, Operation: "List*", Skip: 1, Status: 503, Code: "APIGW.0613", Message: "IAM unavailable"})
		t.Cleanup(s.Faults.Clear)
		filters, err := c.ListFilters(ctx)
		if filters != nil || cloud.ClassOf(err) != cloud.ClassServer {
			t.Errorf("got %v and %v, want nothing and Server", filters, err)
		}
		if sessions, err := c.ListSessions(ctx); sessions != nil || cloud.ClassOf(err) != cloud.ClassServer {
			t.Errorf("got %v and %v, want nothing and Server", sessions, err)
		}
	})
	t.Run("an empty answer with a good status is not an empty list", func(t *testing.T) {
		add(t, s, fault.Fault{Kind: fault.Empty})
		t.Cleanup(s.Faults.Clear)
		if got, err := c.ListFilters(ctx); got != nil || cloud.ClassOf(err) != cloud.ClassServer {
			t.Errorf("got %v and %v, want nothing and Server", got, err)
		}
	})
}

// everyCall names every method that asks the cloud, called with these IDs.
func everyCall(c cloud.Client, id string) map[string]func(context.Context) error {
	other := "5a1f0c7e-0000-4000-8000-00000000ffff"
	return map[string]func(context.Context) error{
		"GetFilter":    func(ctx context.Context) error { _, err := c.GetFilter(ctx, id); return err },
		"UpdateFilter": func(ctx context.Context) error { return c.UpdateFilter(ctx, id, cloud.FilterUpdate{Name: new("n")}) },
		"DeleteFilter": func(ctx context.Context) error { return c.DeleteFilter(ctx, id) },
		"CreateRule":   func(ctx context.Context) error { _, err := c.CreateRule(ctx, id, walkthroughRule()); return err },
		"UpdateRule":   func(ctx context.Context) error { return c.UpdateRule(ctx, id, walkthroughRule()) },
		"DeleteRule":   func(ctx context.Context) error { return c.DeleteRule(ctx, id) },
		"GetSession":   func(ctx context.Context) error { _, err := c.GetSession(ctx, id); return err },
		"CreateSession (filter)": func(ctx context.Context) error {
			_, err := c.CreateSession(ctx, walkthroughSession(id), []string{other})
			return err
		},
		"CreateSession (source)": func(ctx context.Context) error {
			_, err := c.CreateSession(ctx, walkthroughSession(other), []string{id})
			return err
		},
		"UpdateSession": func(ctx context.Context) error { return c.UpdateSession(ctx, id, cloud.SessionUpdate{VNI: new(3)}) },
		"UpdateSession (target)": func(ctx context.Context) error {
			return c.UpdateSession(ctx, other, cloud.SessionUpdate{TargetID: &id})
		},
		"AddSources":          func(ctx context.Context) error { return c.AddSources(ctx, id, []string{other}) },
		"AddSources (source)": func(ctx context.Context) error { return c.AddSources(ctx, other, []string{id}) },
		"RemoveSources":       func(ctx context.Context) error { return c.RemoveSources(ctx, id, []string{other}) },
		"DeleteSession":       func(ctx context.Context) error { return c.DeleteSession(ctx, id) },
		"GetInterface":        func(ctx context.Context) error { _, err := c.GetInterface(ctx, id); return err },
	}
}

func TestAnIDThatIsNoUUIDNeverReachesAURL(t *testing.T) {
	s := sim.ForTest(t)
	c := connect(t, fast, credentialsOf(s))
	for _, id := range []string{"", "a/../b", "5a1f0c7e-0000-4000-8000-00000000023", "5a1f0c7e000040008000000000000230", "5a1f0c7e-0000-4000-8000-000000000230/x", "{project_id}"} {
		for name, call := range everyCall(c, id) {
			if err := call(t.Context()); cloud.ClassOf(err) != cloud.ClassInvalid {
				t.Errorf("%s with ID %q gives %v, want Invalid", name, id, err)
			}
		}
	}
	if requests := s.Journal.Since(0); len(requests) != 0 {
		t.Errorf("%d requests were sent, want none: %v", len(requests), requests)
	}
}

func TestACallIsSentOnceWhateverTheAnswer(t *testing.T) {
	s := sim.ForTest(t)
	c := connect(t, fast, credentialsOf(s))
	id := "5a1f0c7e-0000-4000-8000-00000000eeee"
	for name, f := range map[string]struct {
		fault fault.Fault
		class cloud.Class
	}{
		"429 with an hour to wait":     {fault.Throttle(0, "3600"), cloud.ClassThrottled},
		"500":                          {fault.Unavailable(0, 500), cloud.ClassServer},
		"503":                          {fault.Unavailable(0, 503), cloud.ClassServer},
		"an HTML page":                 {fault.Fault{Kind: fault.HTML}, cloud.ClassServer},
		"an HTML page with status 200": {fault.Fault{Kind: fault.HTML, Status: 200}, cloud.ClassServer},
		"an HTML page with status 404": {fault.Fault{Kind: fault.HTML, Status: 404}, cloud.ClassServer},
		"an HTML page with status 302": {fault.Fault{Kind: fault.HTML, Status: 302}, cloud.ClassServer},
		"403":                          {fault.Forbidden(""), cloud.ClassPermission},
		"a reset":                      {fault.Fault{Kind: fault.Reset}, cloud.ClassServer},
	} {
		t.Run(name, func(t *testing.T) {
			add(t, s, f.fault)
			t.Cleanup(s.Faults.Clear)
			for call := range everyCall(c, id) {
				// Of a client of its own: the others of an account wait once one is throttled.
				send := everyCall(connect(t, fast, credentialsOf(s)), id)[call]
				if strings.HasPrefix(call, "Get") && f.fault.Kind == fault.Reset {
					continue // Go's transport may repeat a read on a connection that was idle
				}
				before := s.Journal.Last()
				err := send(t.Context())
				if cloud.ClassOf(err) != f.class {
					t.Errorf("%s gives %v, want %s", call, err, f.class)
				}
				if n := len(s.Journal.Since(before)); n != 1 {
					t.Errorf("%s was sent %d times, want once", call, n)
				}
			}
		})
	}
}

func TestAWriteThatMayHaveHappenedSaysSo(t *testing.T) {
	for name, tc := range map[string]struct {
		fault     fault.Fault
		ambiguous bool
		exists    bool
	}{
		"a reset after the effect":       {fault.ResetAfterEffect("Create*", 0), true, true},
		"a gateway's 504":                {fault.Fault{Kind: fault.Error, Status: 504, Code: "APIGW.0201", AfterEffect: true}, true, true},
		"an empty answer":                {fault.Fault{Kind: fault.Empty, AfterEffect: true}, true, true},
		"an HTML page with status 201":   {fault.Fault{Kind: fault.HTML, Status: 201, AfterEffect: true}, true, true},
		"a refusal by the rate limit":    {fault.Throttle(0, ""), false, false},
		"a refusal of the signature":     {fault.Fault{Kind: fault.Error, Status: 401, Code: "APIGW.0301", Message: "no"}, false, false},
		"a path that is not served":      {fault.NotPublished(""), false, false},
		"a 404 of some page in between":  {fault.Fault{Kind: fault.HTML, Status: 404}, false, false},
		"a conflict with what is there":  {fault.Fault{Kind: fault.Error, Status: 409, Code: "VPC.9902", Message: "exists"}, false, false},
		"a request time-out by a server": {fault.Fault{Kind: fault.HTML, Status: 408}, true, false},
	} {
		t.Run(name, func(t *testing.T) {
			s := sim.ForTest(t)
			c := connect(t, fast, credentialsOf(s))
			add(t, s, tc.fault)
			_, err := c.CreateFilter(t.Context(), "f", "")
			if err == nil || cloud.IsAmbiguous(err) != tc.ambiguous {
				t.Errorf("got %v, ambiguous %t, want ambiguous %t", err, cloud.IsAmbiguous(err), tc.ambiguous)
			}
			if exists := len(s.State.Snapshot().Filters) == 1; exists != tc.exists {
				t.Fatalf("the filter exists: %t, want %t: the test does not test what it says", exists, tc.exists)
			}
			s.Faults.Clear()
			if tc.fault.Kind == fault.Error || tc.fault.Kind == fault.HTML {
				add(t, s, tc.fault)
				if _, err := c.ListFilters(t.Context()); cloud.IsAmbiguous(err) {
					t.Errorf("a read gives the ambiguous %v", err)
				}
			}
		})
	}
}

func TestATimeToWaitIsPassedOn(t *testing.T) {
	s := sim.ForTest(t)
	c := connect(t, fast, credentialsOf(s))
	add(t, s, fault.Throttle(0, "17"))
	_, err := c.ListSessions(t.Context())
	got, isCloud := errors.AsType[*cloud.Error](err)
	if !isCloud {
		t.Fatalf("got %v, want a cloud error", err)
	}
	want := &cloud.Error{
		Class: cloud.ClassThrottled, Op: "ListTrafficMirrorSessions", Code: "APIGW.0308", HTTPStatus: 429,
		RequestID: s.Journal.Since(0)[0].RequestID, RetryAfter: 17e9,
		Message: "The throttling threshold has been reached: policy user over ratelimit,limit:5,time:1 minute",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestBothMeaningsOf404(t *testing.T) {
	s := sim.ForTest(t)
	c := connect(t, fast, credentialsOf(s))
	absent := "5a1f0c7e-0000-4000-8000-00000000eeee"
	if _, err := c.GetSession(t.Context(), absent); cloud.ClassOf(err) != cloud.ClassNotFound {
		t.Errorf("an absent session gives %v, want NotFound", err)
	}
	add(t, s, fault.NotPublished("ShowTrafficMirrorSession"))
	if _, err := c.GetSession(t.Context(), absent); cloud.ClassOf(err) != cloud.ClassUnsupported {
		t.Errorf("a call that the region lacks gives %v, want Unsupported", err)
	}
}

func TestRefusalsOfTheCloudAreClassed(t *testing.T) {
	s := sim.ForTest(t, sim.WithQuotas(func(q *state.Quotas) { q.RulesPerDirection = 1 }))
	c := connect(t, fast, credentialsOf(s))
	ctx := t.Context()
	filter := must[cloud.Filter](t)(c.CreateFilter(ctx, "f", ""))
	must[cloud.Rule](t)(c.CreateRule(ctx, filter.ID, walkthroughRule()))
	must[cloud.Session](t)(c.CreateSession(ctx, walkthroughSession(filter.ID), []string{scenario.WalkthroughSource}))
	plain := "5a1f0c7e-0000-4000-8000-0000000d0001"
	s.State.Edit(func(w *state.World) {
		p := w.Ports[scenario.WalkthroughTest]
		p.ID, p.Flavor = plain, "s6.large.2"
		w.Ports[plain] = p
		srv := w.Servers[p.ServerID]
		srv.ID, srv.Flavor = "5a1f0c7e-0000-4000-8000-0000000d0002", "s6.large.2"
		w.Servers[srv.ID] = srv
		p.ServerID = srv.ID
		w.Ports[plain] = p
	})
	for name, tc := range map[string]struct {
		call func() error
		want cloud.Class
	}{
		"one rule more than the quota": {func() error {
			rule := walkthroughRule()
			rule.Priority = 2
			_, err := c.CreateRule(ctx, filter.ID, rule)
			return err
		}, cloud.ClassQuota},
		"a priority of a session that is taken": {func() error {
			_, err := c.CreateSession(ctx, walkthroughSession(filter.ID), []string{scenario.WalkthroughTest})
			return err
		}, cloud.ClassConflict},
		"a name that the cloud does not take": {func() error {
			_, err := c.CreateFilter(ctx, "no blanks", "")
			return err
		}, cloud.ClassInvalid},
		"a source whose flavor can't be mirrored": {func() error {
			spec := walkthroughSession(filter.ID)
			spec.Priority = 2
			_, err := c.CreateSession(ctx, spec, []string{plain})
			return err
		}, cloud.ClassUnsupported},
		"a filter that is not there": {func() error {
			return c.UpdateSession(ctx, "5a1f0c7e-0000-4000-8000-00000000eeee", cloud.SessionUpdate{VNI: new(2)})
		}, cloud.ClassNotFound},
	} {
		t.Run(name, func(t *testing.T) {
			if err := tc.call(); cloud.ClassOf(err) != tc.want {
				t.Errorf("got %v, want %s", err, tc.want)
			}
		})
	}
}

func TestOneClientServesManyGoroutines(t *testing.T) {
	s := sim.ForTest(t)
	c := connect(t, fast, credentialsOf(s))
	filter := must[cloud.Filter](t)(c.CreateFilter(t.Context(), "f", ""))
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			for range 10 {
				if got, err := c.GetFilter(t.Context(), filter.ID); err != nil || got.ID != filter.ID {
					t.Errorf("got %v and %v, want the filter", got, err)
				}
				if _, err := c.GetInterface(t.Context(), scenario.WalkthroughSource); err != nil {
					t.Error(err)
				}
			}
		})
	}
	group.Wait()
}
