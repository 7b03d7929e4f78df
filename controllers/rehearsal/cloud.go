package rehearsal

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"net/netip"
	"regexp"
	"slices"
	"sync"
	"time"

	"vpcmirror.io/operator/controllers/cloud"
	"vpcmirror.io/operator/controllers/inventory"
)

// knownFor is how old what the inventory knows may be for a plan: the plans of one file share it.
const knownFor = 10 * time.Second

// stageCloud is one account in which nothing happens: reads are answered by what the inventory knows, and writes
// take effect on that, in memory. It refuses what the cloud would refuse by its limits.
type stageCloud struct {
	// Client reads what the inventory does not share. It can't write, whatever is forgotten below.
	cloud.Client
	// real is for the inventory.
	real  cloud.Client
	known *inventory.Inventory
	clock cloud.Clock
	// account is what was written to it on this stage, also by others, and before the sessions among that when
	// this one began.
	*account
	before map[string]*cloud.Session
	calls  []call
}

// account is what differs on a stage from what the cloud has. Who reads it through a client of its own sees what it may
// see, and this.
type account struct {
	mu sync.Mutex
	// sessions and filters are those that were written or given, by ID; nil for deleted ones.
	sessions map[string]*cloud.Session
	filters  map[string]*cloud.Filter
	// made counts the filters, sessions and rules that were made for one object, and turn the objects.
	made map[kind]int
	turn int
}

func newAccount() *account {
	return &account{sessions: map[string]*cloud.Session{}, filters: map[string]*cloud.Filter{}, made: map[kind]int{}}
}

// begin is the turn of another object.
func (a *account) begin() {
	a.turn++
	clear(a.made)
}

// call is a write.
type call struct {
	operation string
	// filter or session is what it was about: before and after are what the cloud had of it, nil for nothing.
	filter  *change[cloud.Filter]
	session *change[cloud.Session]
}

type change[T any] struct{ before, after *T }

func newStageCloud(c cloud.Client, known *inventory.Inventory, clock cloud.Clock, in *account) *stageCloud {
	return &stageCloud{Client: cloud.ReadOnly(c), real: c, known: known, clock: clock, account: in, before: maps.Clone(in.sessions)}
}

func (s *stageCloud) since() time.Time { return s.clock().Add(-knownFor) }

// kind is of what IDs are made.
type kind int

const (
	aFilter kind = iota + 1
	aSession
	aRule
)

// newID is the ID of something that is made: no UUID of the cloud's has so many zeros.
func (a *account) newID(of kind) string {
	a.made[of]++
	return fmt.Sprintf("00000000-0000-4000-8000-%02d%04d%06d", of, a.turn, a.made[of])
}

// newName is how a plan calls what an earlier call of it makes, empty for what the cloud has.
func newName(id string) string {
	var of, turn, number int
	if _, err := fmt.Sscanf(id, "00000000-0000-4000-8000-%02d%04d%06d", &of, &turn, &number); err != nil {
		return ""
	}
	if number == 1 {
		return "new"
	}
	return fmt.Sprintf("new %d", number)
}

// madeUp are the IDs that newID makes.
var madeUp = regexp.MustCompile(`00000000-0000-4000-8000-0[1-3][0-9]{10}`)

// withoutMadeUp is a text that calls what only a stage has new, in the place of its ID.
func withoutMadeUp(text string) string {
	return madeUp.ReplaceAllStringFunc(text, func(id string) string { return cmp.Or(newName(id), id) })
}

func absent(operation, id string) error {
	return &cloud.Error{Class: cloud.ClassNotFound, Op: operation, HTTPStatus: 404, Message: id + " does not exist"}
}

// ListFilters returns the filters as they are by now.
func (s *stageCloud) ListFilters(ctx context.Context) ([]cloud.Filter, error) {
	all, err := s.known.Filters(ctx, s.real, s.since())
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return overlaid(all.All(), s.filters, func(f cloud.Filter) string { return f.ID }), nil
}

// ListSessions returns the sessions as they are by now.
func (s *stageCloud) ListSessions(ctx context.Context) ([]cloud.Session, error) {
	return s.sessionsWith(ctx, s.sessions)
}

// sessionsBefore are the sessions as they were when this object's turn began.
func (s *stageCloud) sessionsBefore(ctx context.Context) ([]cloud.Session, error) {
	return s.sessionsWith(ctx, s.before)
}

func (s *stageCloud) sessionsWith(ctx context.Context, written map[string]*cloud.Session) ([]cloud.Session, error) {
	all, err := s.known.Sessions(ctx, s.real, s.since())
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return overlaid(all.All(), written, func(one cloud.Session) string { return one.ID }), nil
}

// overlaid is a list with what was written since.
func overlaid[T any](all []T, written map[string]*T, id func(T) string) []T {
	out := slices.DeleteFunc(slices.Clone(all), func(one T) bool { _, is := written[id(one)]; return is })
	for _, key := range slices.Sorted(maps.Keys(written)) {
		if one := written[key]; one != nil {
			out = append(out, *one)
		}
	}
	return out
}

// GetFilter returns one as it is by now.
func (s *stageCloud) GetFilter(ctx context.Context, id string) (cloud.Filter, error) {
	return get(ctx, s, s.filters, id, "ShowTrafficMirrorFilter", s.Client.GetFilter)
}

// GetSession returns one as it is by now.
func (s *stageCloud) GetSession(ctx context.Context, id string) (cloud.Session, error) {
	return get(ctx, s, s.sessions, id, "ShowTrafficMirrorSession", s.Client.GetSession)
}

func get[T any](ctx context.Context, s *stageCloud, written map[string]*T, id, operation string, read func(context.Context, string) (T, error)) (T, error) {
	s.mu.Lock()
	one, is := written[id]
	s.mu.Unlock()
	switch {
	case !is:
		return read(ctx, id)
	case one == nil:
		var none T
		return none, absent(operation, id)
	default:
		return *one, nil
	}
}

// CreateFilter makes a filter.
func (s *stageCloud) CreateFilter(_ context.Context, name, description string) (cloud.Filter, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	made := cloud.Filter{ID: s.newID(aFilter), Name: name, Description: description, CreatedAt: s.clock()}
	s.setFilter("CreateTrafficMirrorFilter", nil, &made)
	return made, nil
}

// UpdateFilter changes the given fields.
func (s *stageCloud) UpdateFilter(ctx context.Context, id string, update cloud.FilterUpdate) error {
	return s.changeFilter(ctx, "UpdateTrafficMirrorFilter", id, func(f *cloud.Filter) {
		set(&f.Name, update.Name)
		set(&f.Description, update.Description)
	})
}

// DeleteFilter removes a filter.
func (s *stageCloud) DeleteFilter(ctx context.Context, id string) error {
	before, err := s.GetFilter(ctx, id)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.setFilter("DeleteTrafficMirrorFilter", &before, nil)
	return nil
}

// CreateRule adds a rule to a filter.
func (s *stageCloud) CreateRule(ctx context.Context, filterID string, rule cloud.RuleSpec) (cloud.Rule, error) {
	s.mu.Lock()
	made := cloud.Rule{ID: s.newID(aRule), RuleSpec: rule}
	s.mu.Unlock()
	err := s.changeFilter(ctx, "CreateTrafficMirrorFilterRule", filterID, func(f *cloud.Filter) { f.Rules = append(f.Rules, made) })
	return made, err
}

// UpdateRule changes a rule in place.
func (s *stageCloud) UpdateRule(ctx context.Context, id string, rule cloud.RuleSpec) error {
	return s.changeRule(ctx, "UpdateTrafficMirrorFilterRule", id, func(rules []cloud.Rule, at int) []cloud.Rule {
		rules[at].RuleSpec = rule
		return rules
	})
}

// DeleteRule removes a rule.
func (s *stageCloud) DeleteRule(ctx context.Context, id string) error {
	return s.changeRule(ctx, "DeleteTrafficMirrorFilterRule", id, func(rules []cloud.Rule, at int) []cloud.Rule { return slices.Delete(rules, at, at+1) })
}

func (s *stageCloud) changeRule(ctx context.Context, operation, id string, change func(rules []cloud.Rule, at int) []cloud.Rule) error {
	all, err := s.ListFilters(ctx)
	if err != nil {
		return err
	}
	for i := range all {
		if at := slices.IndexFunc(all[i].Rules, func(r cloud.Rule) bool { return r.ID == id }); at >= 0 {
			return s.changeFilter(ctx, operation, all[i].ID, func(f *cloud.Filter) { f.Rules = change(f.Rules, at) })
		}
	}
	return absent(operation, id)
}

func (s *stageCloud) changeFilter(ctx context.Context, operation, id string, change func(*cloud.Filter)) error {
	before, err := s.GetFilter(ctx, id)
	if err != nil {
		return err
	}
	after := before
	after.Rules = slices.Clone(before.Rules)
	change(&after)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.setFilter(operation, &before, &after)
	return nil
}

// setFilter notes a write. The caller holds the mutex.
func (s *stageCloud) setFilter(operation string, before, after *cloud.Filter) {
	s.calls = append(s.calls, call{operation: operation, filter: &change[cloud.Filter]{before, after}})
	if after != nil {
		s.filters[after.ID] = after
	} else {
		s.filters[before.ID] = nil
	}
}

// CreateSession makes a session.
func (s *stageCloud) CreateSession(ctx context.Context, spec cloud.SessionSpec, sources []string) (cloud.Session, error) {
	const operation = "CreateTrafficMirrorSession"
	made := cloud.Session{SessionSpec: spec, Sources: slices.Clone(sources), CreatedAt: s.clock()}
	if err := s.refused(ctx, operation, made, sources); err != nil {
		return cloud.Session{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	made.ID = s.newID(aSession)
	s.setSession(operation, nil, &made)
	return made, nil
}

// UpdateSession changes the given fields.
func (s *stageCloud) UpdateSession(ctx context.Context, id string, update cloud.SessionUpdate) error {
	return s.changeSession(ctx, "UpdateTrafficMirrorSession", id, func(one *cloud.Session) {
		set(&one.Name, update.Name)
		set(&one.Description, update.Description)
		set(&one.FilterID, update.FilterID)
		set(&one.TargetID, update.TargetID)
		set(&one.TargetType, update.TargetType)
		set(&one.VNI, update.VNI)
		set(&one.PacketLength, update.PacketLength)
		set(&one.Priority, update.Priority)
		set(&one.Enabled, update.Enabled)
	}, nil)
}

// AddSources adds interfaces to a session.
func (s *stageCloud) AddSources(ctx context.Context, id string, sources []string) error {
	return s.changeSession(ctx, "AddSourcesToTrafficMirrorSession", id, func(one *cloud.Session) {
		one.Sources = append(one.Sources, sources...)
	}, sources)
}

// RemoveSources removes interfaces from a session.
func (s *stageCloud) RemoveSources(ctx context.Context, id string, sources []string) error {
	return s.changeSession(ctx, "RemoveSourcesFromTrafficMirrorSession", id, func(one *cloud.Session) {
		one.Sources = slices.DeleteFunc(one.Sources, func(id string) bool { return slices.Contains(sources, id) })
	}, nil)
}

// DeleteSession removes a session.
func (s *stageCloud) DeleteSession(ctx context.Context, id string) error {
	before, err := s.GetSession(ctx, id)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.setSession("DeleteTrafficMirrorSession", &before, nil)
	return nil
}

func (s *stageCloud) changeSession(ctx context.Context, operation, id string, change func(*cloud.Session), added []string) error {
	before, err := s.GetSession(ctx, id)
	if err != nil {
		return err
	}
	after := before
	after.Sources = slices.Clone(before.Sources)
	change(&after)
	if err := s.refused(ctx, operation, after, added); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.setSession(operation, &before, &after)
	return nil
}

// setSession notes a write. The caller holds the mutex.
func (s *stageCloud) setSession(operation string, before, after *cloud.Session) {
	s.calls = append(s.calls, call{operation: operation, session: &change[cloud.Session]{before, after}})
	if after != nil {
		s.sessions[after.ID] = after
	} else {
		s.sessions[before.ID] = nil
	}
}

// refused is the cloud's answer to a session that its limits leave no place for, which gets some sources more.
func (s *stageCloud) refused(ctx context.Context, operation string, wanted cloud.Session, added []string) error {
	quota, err := s.GetQuota(ctx)
	if err != nil {
		return nil //nolint:nilerr // where the limits are not known, the cloud may say yes
	}
	all, err := s.ListSessions(ctx)
	if err != nil {
		return err
	}
	if why := overQuota(quota, all, wanted, added); why != "" {
		return &cloud.Error{Class: cloud.ClassQuota, Op: operation, HTTPStatus: 403, Message: why}
	}
	return nil
}

// overQuota says which limit a session exceeds beside all others, empty for none.
func overQuota(quota cloud.Quota, all []cloud.Session, wanted cloud.Session, added []string) string {
	over := func(count, limit int) bool { return limit > 0 && count > limit }
	all = slices.DeleteFunc(slices.Clone(all), func(one cloud.Session) bool { return one.ID == wanted.ID && wanted.ID != "" })
	count := func(has func(cloud.Session) bool) int {
		n := 1
		for _, one := range all {
			if has(one) {
				n++
			}
		}
		return n
	}
	if n := len(all) + 1; wanted.ID == "" && over(n, quota.Sessions) {
		return fmt.Sprintf("the account may have %d sessions, and this would be number %d", quota.Sessions, n)
	}
	if n := len(wanted.Sources); len(added) > 0 && over(n, quota.SourcesPerSession) {
		return fmt.Sprintf("a session may have %d sources, and this one would have %d", quota.SourcesPerSession, n)
	}
	for _, id := range added {
		if n := count(func(one cloud.Session) bool { return slices.Contains(one.Sources, id) }); over(n, quota.SessionsPerSource) {
			return fmt.Sprintf("a source may be in %d sessions, and %s would be in %d", quota.SessionsPerSource, id, n)
		}
	}
	if n := count(func(one cloud.Session) bool { return one.TargetID == wanted.TargetID }); wanted.ID == "" && wanted.TargetType == cloud.TargetInterface && over(n, quota.SessionsPerTarget) {
		return fmt.Sprintf("%d sessions may copy to one interface, and %s would have %d", quota.SessionsPerTarget, wanted.TargetID, n)
	}
	return ""
}

func set[T any](field *T, to *T) {
	if to != nil {
		*field = *to
	}
}

// GetQuota returns what the inventory knows.
func (s *stageCloud) GetQuota(ctx context.Context) (cloud.Quota, error) {
	return s.known.Quota(ctx, s.real, s.since())
}

// GetInterface returns what the inventory knows.
func (s *stageCloud) GetInterface(ctx context.Context, id string) (cloud.Interface, error) {
	return s.known.Interface(ctx, s.real, id, s.since())
}

// FindInterfaces returns what the inventory knows.
func (s *stageCloud) FindInterfaces(ctx context.Context, address netip.Addr) ([]cloud.Interface, error) {
	return s.known.InterfacesAt(ctx, s.real, address, s.since())
}

// FindServerInterfaces returns what the inventory knows.
func (s *stageCloud) FindServerInterfaces(ctx context.Context, serverID string) ([]cloud.Interface, error) {
	return s.known.InterfacesOf(ctx, s.real, serverID, s.since())
}
