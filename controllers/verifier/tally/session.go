package tally

import (
	"fmt"
	"net/netip"
	"slices"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/verifier/match"
	"vpcmirror.io/operator/controllers/verifier/probe"
	"vpcmirror.io/operator/controllers/verifier/vxlan"
)

// Session is a mirror session as the counting sees it.
type Session struct {
	// ID names the session; counts stay with it when the rest changes.
	ID string
	// VNI is the session's VXLAN network identifier, 0 to 16777215.
	VNI uint32
	// Sources are the mirror sources.
	Sources []Source
	// Rules is the filter, in any order. When the list changes all counts of the
	// session start again, see [Tally.SetSessions].
	Rules []v1alpha1.Rule
	// Concealed is true while the session's packets may be another tenant's:
	// they are counted, but none of them is kept, nor by which rule it went or from
	// which source it came.
	Concealed bool
	// Probes are those whose packets a source of the session may be copied: such copies are counted apart.
	Probes []probe.Pattern
}

// Source is one mirror source.
type Source struct {
	// ID names the source; its counts stay with it as long as it is listed.
	ID string
	// OuterAddrs are the addresses its copies may come from.
	OuterAddrs []netip.Addr
	// MAC is that of its interface, all zero when not known.
	MAC [6]byte
	// Addrs are all addresses of its interface, to tell the direction of a
	// packet whose MACs are not the interface's.
	Addrs []netip.Addr
}

// session is a session as the table refers to it. It is replaced when its
// configuration changes; only what it points to is written, by Count.
type session struct {
	config  Session
	rules   *match.Rules
	perRule []uint64 // packets by index of the rule
	sources map[string]*source
	whole   *whole
}

// source is what came from one source of a session: while the session was concealed, and else.
type source struct{ open, concealed counts }

// claim is a session that a stream is of, by one of its sources.
type claim struct {
	session *session
	source  match.Source
	counts  *counts // of the source
}

// compile prepares a session. It goes on with the counts of its predecessor, which is nil
// where it begins.
func compile(config Session, before *session) (*session, error) {
	if config.VNI > v1alpha1.MaxVNI {
		return nil, fmt.Errorf("session %s: VNI %d is more than %d", config.ID, config.VNI, v1alpha1.MaxVNI)
	}
	if before == nil {
		rules, err := match.Compile(config.Rules)
		if err != nil {
			return nil, fmt.Errorf("session %s: %w", config.ID, err)
		}
		before = &session{rules: rules, perRule: make([]uint64, rules.Len()), whole: &whole{}}
	}
	s := &session{config: clone(config), rules: before.rules, perRule: before.perRule, whole: before.whole} // the rules are the same
	s.sources = make(map[string]*source, len(config.Sources))
	for i := range config.Sources {
		id := config.Sources[i].ID
		if s.sources[id] = before.sources[id]; s.sources[id] == nil {
			s.sources[id] = &source{}
		}
	}
	return s, nil
}

// goesOn reports whether a session with this configuration goes on with the counts of s,
// which may be nil. With other rules it does not: their counts would be mixed.
func (s *session) goesOn(config *Session) bool {
	return s != nil && slices.Equal(s.config.Rules, config.Rules)
}

// takeLeave keeps in the session's totals what was counted for sources of its predecessor
// that are listed no more.
func (s *session) takeLeave(before *session) {
	for id, left := range before.sources {
		if s.sources[id] == nil {
			s.whole.gone.add(&left.open)
			s.whole.gone.add(&left.concealed)
		}
	}
}

// counter is where packets of a source are counted now.
func (s *session) counter(id string) *counts {
	if s.config.Concealed {
		return &s.sources[id].concealed
	}
	return &s.sources[id].open
}

// clone makes the configuration independent of what the caller does to his.
func clone(s Session) Session {
	s.Rules, s.Probes = slices.Clone(s.Rules), slices.Clone(s.Probes)
	s.Sources = slices.Clone(s.Sources)
	for i := range s.Sources {
		s.Sources[i].OuterAddrs = slices.Clone(s.Sources[i].OuterAddrs)
		s.Sources[i].Addrs = slices.Clone(s.Sources[i].Addrs)
	}
	return s
}

// build makes the read-only table for a list of sessions, which go on with the
// counts of those in before that have the same ID and rules.
func build(configs []Session, before *table) (*table, error) {
	streams := 0
	sessions := make(map[string]*session, len(configs))
	for _, config := range configs {
		if sessions[config.ID] != nil {
			return nil, fmt.Errorf("session %s is listed twice", config.ID)
		}
		old := before.sessions[config.ID]
		if !old.goesOn(&config) {
			old = nil
		}
		s, err := compile(config, old)
		if err != nil {
			return nil, err
		}
		sessions[config.ID] = s
		for _, source := range config.Sources {
			streams += len(source.OuterAddrs)
		}
	}
	t := newTable(streams)
	t.sessions = sessions
	for _, config := range configs {
		s := sessions[config.ID]
		t.vnis[config.VNI] = append(t.vnis[config.VNI], s)
		for _, source := range s.config.Sources {
			by := claim{session: s, source: match.Source{MAC: source.MAC, Addrs: source.Addrs}, counts: s.counter(source.ID)}
			for _, address := range source.OuterAddrs {
				if of := t.addresses[address]; len(of) == 0 || of[len(of)-1] != s {
					t.addresses[address] = append(of, s)
				}
				t.insert(vxlan.NewKey(address, config.VNI), by)
			}
		}
	}
	t.findStrangers()
	t.makeLanes()
	return t, nil
}
