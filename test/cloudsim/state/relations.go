package state

import (
	"slices"
	"strconv"
)

// relations finds the sessions with which a session has to do, and the rules of a filter, among thousands: by what they
// share, the keys of keysOf.
type relations map[string]map[string]struct{} // key -> IDs

// How a session has to do with something, in its keys.
const (
	inProject    = "project"
	withFilter   = "filter"
	withTarget   = "target"
	withSource   = "source"
	withPriority = "priority"
	withName     = "name"
	ruleOf       = "rule of filter"
)

func relationKey(project, relation, value string) string {
	return project + " " + relation + " " + value
}

func keysOf(n Session) []string {
	key := func(relation, value string) string { return relationKey(n.ProjectID, relation, value) }
	keys := []string{
		key(inProject, ""), key(withFilter, n.FilterID), key(withTarget, n.TargetID), key(withPriority, strconv.Itoa(n.Priority)), key(withName, n.Name),
	}
	for _, source := range n.Sources {
		keys = append(keys, key(withSource, source))
	}
	return keys
}

func keyOfRule(r Rule) string { return relationKey(r.ProjectID, ruleOf, r.FilterID) }

func (r relations) add(id string, keys ...string) {
	for _, key := range keys {
		if r[key] == nil {
			r[key] = map[string]struct{}{}
		}
		r[key][id] = struct{}{}
	}
}

func (r relations) remove(id string, keys ...string) {
	for _, key := range keys {
		delete(r[key], id)
		if len(r[key]) == 0 {
			delete(r, key)
		}
	}
}

// others counts the sessions but n that have so to do with the value, and names one of them.
func (r relations) others(n Session, relation, value string) (count int, one string) {
	with := r[relationKey(n.ProjectID, relation, value)]
	for id := range with {
		if id != n.ID {
			one = id
			break
		}
	}
	count = len(with)
	if _, itself := with[n.ID]; itself {
		count--
	}
	return count, one
}

// relate returns the relations of the world's sessions and rules, which amend keeps up to date. The mutex is held.
func (s *Store) relate(w *World) relations {
	if s.relations == nil {
		s.relations = relations{}
		for _, session := range w.Sessions {
			s.relations.add(session.ID, keysOf(session)...)
		}
		for _, rule := range w.Rules {
			s.relations.add(rule.ID, keyOfRule(rule))
		}
	}
	return s.relations
}

// putSession writes a session into the world.
func (s *Store) putSession(w *World, n Session) {
	r := s.relate(w)
	if before, ok := w.Sessions[n.ID]; ok {
		r.remove(n.ID, keysOf(before)...)
	}
	r.add(n.ID, keysOf(n)...)
	w.Sessions[n.ID] = n
}

// dropSession takes a session out of the world.
func (s *Store) dropSession(w *World, id string) {
	s.relate(w).remove(id, keysOf(w.Sessions[id])...)
	delete(w.Sessions, id)
}

// putRule writes a rule into the world. It stays with its filter for ever.
func (s *Store) putRule(w *World, r Rule) {
	s.relate(w).add(r.ID, keyOfRule(r))
	w.Rules[r.ID] = r
}

// dropRule takes a rule out of the world.
func (s *Store) dropRule(w *World, id string) {
	s.relate(w).remove(id, keyOfRule(w.Rules[id]))
	delete(w.Rules, id)
}

// rulesOf returns the rules of a filter, in no order.
func (s *Store) rulesOf(w *World, project, filter string) []Rule {
	var rules []Rule
	for id := range s.relate(w)[relationKey(project, ruleOf, filter)] {
		rules = append(rules, w.Rules[id])
	}
	return rules
}

// checkRelations keeps an interface from being a source and a target, of the session or of two, and what must be unique.
func (s *Store) checkRelations(w *World, n Session) error {
	r := s.relate(w)
	if slices.Contains(n.Sources, n.TargetID) {
		return invalid("traffic_mirror_target_id", "'%s' is also a source of the session", n.TargetID)
	}
	if _, other := r.others(n, withSource, n.TargetID); other != "" {
		return refuse(InUse, "Port %s is a source of traffic mirror session %s and cannot be a target.", n.TargetID, other)
	}
	for _, source := range n.Sources {
		if _, other := r.others(n, withTarget, source); other != "" {
			return refuse(InUse, "Port %s is the target of traffic mirror session %s and cannot be a source.", source, other)
		}
	}
	if _, other := r.others(n, withPriority, strconv.Itoa(n.Priority)); other != "" {
		return refuse(Duplicate, "Priority %d is already used by traffic mirror session %s.", n.Priority, other)
	}
	if count, _ := r.others(n, withName, n.Name); count > 0 && s.quirks.UniqueNames {
		return refuse(Duplicate, "%s with name %s already exists.", kindSession, n.Name)
	}
	return nil
}

// checkSessionQuotas counts with the session in its new form.
func (s *Store) checkSessionQuotas(w *World, n Session) error {
	q, r := w.Quotas, s.relate(w)
	if exceeds(len(n.Sources), q.SourcesPerSession) {
		return quotaExceeded("traffic_mirror_session_contain_sources", q.SourcesPerSession)
	}
	targetQuota, targetLimit := "traffic_mirror_target_eni_referred_by_session", q.SessionsPerENITarget
	if n.TargetType == TargetELB {
		targetQuota, targetLimit = "traffic_mirror_target_elb_referred_by_session", q.SessionsPerELBTarget
	}
	all, _ := r.others(n, inProject, "")
	ofFilter, _ := r.others(n, withFilter, n.FilterID)
	ofTarget, _ := r.others(n, withTarget, n.TargetID)
	switch {
	case exceeds(all+1, q.Sessions):
		return quotaExceeded("traffic_mirror_session", q.Sessions)
	case exceeds(ofFilter+1, q.SessionsPerFilter):
		return quotaExceeded("traffic_mirror_filter_referred_by_session", q.SessionsPerFilter)
	case n.TargetID != "" && exceeds(ofTarget+1, targetLimit):
		return quotaExceeded(targetQuota, targetLimit)
	}
	for _, source := range n.Sources {
		if ofSource, _ := r.others(n, withSource, source); exceeds(ofSource+1, q.SessionsPerSource) {
			return quotaExceeded("traffic_mirror_source_referred_by_session", q.SessionsPerSource)
		}
	}
	return nil
}
