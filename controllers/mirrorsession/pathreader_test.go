package mirrorsession

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"vpcmirror.io/operator/controllers/cloud"
	"vpcmirror.io/operator/controllers/diagnosis"
	"vpcmirror.io/operator/controllers/inventory"
	"vpcmirror.io/operator/controllers/lifecycle"
)

// sized is an account with many sessions and filters, and no network.
type sized struct {
	cloud.Client
	sessions []cloud.Session
	filters  []cloud.Filter
}

func (*sized) Account() cloud.Account                                            { return cloud.Account{Region: "r"} }
func (s *sized) ListSessions(context.Context) ([]cloud.Session, error)           { return s.sessions, nil }
func (s *sized) ListFilters(context.Context) ([]cloud.Filter, error)             { return s.filters, nil }
func (*sized) ListFlavors(context.Context) ([]cloud.Flavor, error)               { return nil, nil }
func (*sized) ListServers(context.Context) ([]cloud.Server, error)               { return nil, nil }
func (*sized) ListNetworkACLs(context.Context) ([]cloud.NetworkACL, error)       { return nil, nil }
func (*sized) ListSecurityGroups(context.Context) ([]cloud.SecurityGroup, error) { return nil, nil }

// heapInUse is what the process holds of memory.
func heapInUse() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// The session before shares the target, so that its filter is kept too. The account changes between
// the looks, as it does in a cluster: what is kept of each is of another state of the lists.
func TestWhatIsKeptOfASessionsWayHoldsNoWholeListOfTheAccount(t *testing.T) {
	const all, kept, most = 2000, 100, 16 << 10
	c := &sized{}
	for i := range all {
		c.sessions = append(c.sessions, cloud.Session{
			ID: fmt.Sprint("s", i), Sources: []string{fmt.Sprint("a", i)},
			SessionSpec: cloud.SessionSpec{FilterID: fmt.Sprint("f", i), TargetID: fmt.Sprint("t", i/2), Enabled: true},
		})
		c.filters = append(c.filters, cloud.Filter{ID: fmt.Sprint("f", i)})
	}
	now := time.Now()
	clock := func() time.Time { return now }
	services := lifecycle.New(lifecycle.Options{Clock: clock, Resync: time.Hour, Inventory: inventory.New(clock)})
	var paths []*diagnosis.Path
	var first int64
	for i := range kept + 1 {
		source, target := c.sessions[i].Sources[0], c.sessions[i].TargetID
		o := session()
		s := &scope{
			Scope: services.NewScope(t.Context(), o), reconciler: &Reconciler{}, session: o, began: now, parts: parts{have: map[int]cloud.Session{1: c.sessions[i]}},
			seen: map[string]cloud.Interface{source: {ID: source, SubnetID: "n"}, target: {ID: target, SubnetID: "n"}},
		}
		s.Cloud = c
		paths = append(paths, (&pathReader{scope: s, since: now.Add(-time.Minute), before: &diagnosis.Path{}}).read(t.Context()))
		services.Inventory.NoteFilter(c.Account(), c.filters[i])
		if i == 0 {
			first = heapInUse()
		}
	}
	if each := (heapInUse() - first) / kept; each > most {
		t.Errorf("the way of one session of %d holds %d kB", all, each>>10)
	}
	same(t, "the ID of the filter", c.sessions[kept].FilterID, paths[kept].Filter.ID)
	same(t, "the ID of the other's filter", c.sessions[kept+1].FilterID, paths[kept].Others[0].Filter.ID)
}

// behind has a list of interfaces that began before the newest one was made, which is there.
type behind struct {
	cloud.Client
	single error // why one read by itself gives nothing
}

func (behind) Account() cloud.Account { return cloud.Account{Region: "r"} }

func (behind) ListInterfaces(context.Context) ([]cloud.Interface, error) {
	return []cloud.Interface{{ID: "a", DeviceID: "listed"}, {ID: "old"}}, nil
}

func (b behind) GetInterface(_ context.Context, id string) (cloud.Interface, error) {
	return cloud.Interface{ID: id, DeviceID: "single"}, b.single
}

func TestAnInterfaceIsNotGoneByTheWordOfAList(t *testing.T) {
	seen := map[string]cloud.Interface{"a": {ID: "a", DeviceID: "seen"}}
	both := map[string]cloud.Interface{"a": {ID: "a"}, "new": {ID: "new", DeviceID: "seen"}}
	none := &cloud.Error{Class: cloud.ClassNotFound, HTTPStatus: 404}
	down := &cloud.Error{Class: cloud.ClassServer, HTTPStatus: 500}
	for name, c := range map[string]struct {
		seen   map[string]cloud.Interface
		single error
		absent bool
		gone   []string
		target string
	}{
		"it was just read by itself":            {both, none, false, nil, "seen"},
		"it is there when it is read":           {seen, nil, false, nil, "single"},
		"it is not":                             {seen, none, false, []string{"new"}, ""},
		"it was just found not to be":           {seen, down, true, []string{"new"}, ""},
		"it can't be read, so nothing is known": {seen, down, false, nil, ""},
	} {
		t.Run(name, func(t *testing.T) {
			now := time.Now()
			clock := func() time.Time { return now }
			services := lifecycle.New(lifecycle.Options{Clock: clock, Resync: time.Hour, Inventory: inventory.New(clock)})
			o := session()
			s := &scope{Scope: services.NewScope(t.Context(), o), reconciler: &Reconciler{}, session: o, began: now, seen: c.seen, absent: map[string]bool{"new": c.absent}}
			s.Cloud, s.NotBefore = behind{single: c.single}, now.Add(-edgeAge)
			r := &pathReader{scope: s, since: s.NotBefore, before: &diagnosis.Path{}}
			p := &diagnosis.Path{Session: cloud.Session{Sources: []string{"a"}, SessionSpec: cloud.SessionSpec{TargetID: "new"}}}
			r.readInterfaces(t.Context(), p)
			same(t, "the gone ones", c.gone, p.Gone)
			same(t, "the source, which the list has", "listed", p.Sources[0].DeviceID)
			target := ""
			if p.Target != nil {
				target = p.Target.DeviceID
			}
			same(t, "the target", c.target, target)
		})
	}
}

// In an account that several tenants share an ID says what others have.
func TestWhatCantBeReadIsCalledByItsIDOnlyToWhoseAccountItIs(t *testing.T) {
	down := func(context.Context, cloud.Client, string, time.Time) (cloud.NetworkACL, error) {
		return cloud.NetworkACL{}, &cloud.Error{Class: cloud.ClassServer, Op: "ShowNetworkACL", HTTPStatus: 500}
	}
	for private, want := range map[bool]bool{true: false, false: true} {
		_, err := contents(t.Context(), nil, time.Time{}, private, []cloud.NetworkACL{{ID: "3f7a"}}, nil, func(a cloud.NetworkACL) string { return a.ID }, down)
		same(t, "the class", cloud.ClassServer, cloud.ClassOf(err))
		same(t, "the ID is said", want, strings.Contains(err.Error(), "3f7a"))
	}
}
