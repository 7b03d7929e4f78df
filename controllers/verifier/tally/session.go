package tally

import (
	"fmt"
	"net/netip"
	"slices"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/verifier/match"
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
	// Rules is the filter, in any order. Counts per rule are by its index;
	// they start again when the list changes.
	Rules []v1alpha1.Rule
	// Concealed is true while the session's packets may be another tenant's:
	// they are counted, but none of them is kept, nor by which rule it went.
	Concealed bool
}

// Source is one mirror source.
type Source struct {
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
	counts  *counts
}

// claim is a session that a stream is of, by one of its sources.
type claim struct {
	session *session
	source  match.Source
}

// compile prepares a session. It goes on with the counts of its predecessor,
// which may be nil.
func compile(config Session, before *session) (*session, error) {
	if config.VNI > v1alpha1.MaxVNI {
		return nil, fmt.Errorf("session %s: VNI %d is more than %d", config.ID, config.VNI, v1alpha1.MaxVNI)
	}
	rules, err := match.Compile(config.Rules)
	if err != nil {
		return nil, fmt.Errorf("session %s: %w", config.ID, err)
	}
	s := &session{config: clone(config), rules: rules}
	switch {
	case before == nil:
		s.counts, s.perRule = &counts{}, make([]uint64, rules.Len())
	case slices.Equal(before.config.Rules, config.Rules):
		s.counts, s.perRule = before.counts, before.perRule
	default:
		s.counts, s.perRule = before.counts, make([]uint64, rules.Len())
	}
	return s, nil
}

// clone makes the configuration independent of what the caller does to his.
func clone(s Session) Session {
	s.Rules = slices.Clone(s.Rules)
	s.Sources = slices.Clone(s.Sources)
	for i := range s.Sources {
		s.Sources[i].OuterAddrs = slices.Clone(s.Sources[i].OuterAddrs)
		s.Sources[i].Addrs = slices.Clone(s.Sources[i].Addrs)
	}
	return s
}

// build makes the read-only table for a list of sessions, which go on with the
// counts of those in before that have the same ID.
func build(configs []Session, before *table) (*table, error) {
	streams := 0
	sessions := make(map[string]*session, len(configs))
	for _, config := range configs {
		if sessions[config.ID] != nil {
			return nil, fmt.Errorf("session %s is listed twice", config.ID)
		}
		s, err := compile(config, before.sessions[config.ID])
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
			by := claim{session: s, source: match.Source{MAC: source.MAC, Addrs: source.Addrs}}
			for _, address := range source.OuterAddrs {
				if of := t.addresses[address]; len(of) == 0 || of[len(of)-1] != s {
					t.addresses[address] = append(of, s)
				}
				t.insert(vxlan.NewKey(address, config.VNI), by)
			}
		}
	}
	t.findStrangers()
	return t, nil
}
