package mirrorsession

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/cloud"
	"vpcmirror.io/operator/controllers/lifecycle"
	"vpcmirror.io/operator/controllers/plan"
)

// parts are the sessions in the cloud that stand for a MirrorSession, in one reconcile, by number.
type parts struct {
	// known have been looked for, and have is what the cloud has of them.
	known map[int]*lifecycle.Part[cloud.Session]
	have  map[int]cloud.Session
	// absent are those that the cloud surely did not have when they were looked for.
	absent map[int]bool
}

func newParts() parts {
	return parts{known: map[int]*lifecycle.Part[cloud.Session]{}, have: map[int]cloud.Session{}, absent: map[int]bool{}}
}

// findParts observes what the cloud has: those that the status names, or the first where it names none, and whatever
// else bears the object's mark in the list that is there anyway.
func (s *scope) findParts(ctx context.Context) error {
	for _, number := range s.numbersKnown() {
		if err := s.findPart(ctx, number); err != nil {
			return err
		}
	}
	more, err := lifecycle.Numbers(ctx, s.part(1))
	if err != nil {
		return err
	}
	for _, number := range more {
		if s.parts.known[number] != nil {
			continue
		}
		if err := s.findPart(ctx, number); err != nil {
			return err
		}
	}
	return nil
}

// findPart observes one part.
func (s *scope) findPart(ctx context.Context, number int) error {
	part := s.part(number)
	s.parts.known[number] = part
	have, err := part.Find(ctx)
	switch {
	case err != nil:
		return err
	case have != nil:
		s.parts.have[number] = *have
	default:
		s.parts.absent[number] = true
	}
	return nil
}

// numbersKnown are those of the parts that the status names, the first part's first.
func (s *scope) numbersKnown() []int {
	numbers := make([]int, 0, len(s.session.Status.Sessions))
	for i := range s.session.Status.Sessions {
		if number := s.session.Status.Sessions[i].Number(); !slices.Contains(numbers, number) { // else somebody has edited it
			numbers = append(numbers, number)
		}
	}
	if len(numbers) == 0 || s.session.Spec.Import != nil && !slices.Contains(numbers, 1) {
		return slices.Insert(numbers, 0, 1)
	}
	return numbers
}

// order has the numbers of the parts that the cloud has or the status names, the first part's first.
func (s *scope) order() []int {
	numbers := slices.DeleteFunc(s.numbersKnown(), func(number int) bool {
		_, there := s.parts.have[number]
		return !there && s.session.Part(number) == nil
	})
	for _, number := range slices.Sorted(maps.Keys(s.parts.have)) {
		if !slices.Contains(numbers, number) {
			numbers = append(numbers, number)
		}
	}
	return numbers
}

// inCloud is what the cloud has of all parts, nil for nothing: the first one's, with the sources of all.
func (s *scope) inCloud() *cloud.Session {
	var all *cloud.Session
	for _, number := range s.order() {
		have, there := s.parts.have[number]
		switch {
		case !there:
		case all == nil:
			have.Sources = slices.Clone(have.Sources)
			all = &have
		default:
			all.Sources = append(all.Sources, have.Sources...)
		}
	}
	return all
}

// each is what the cloud has of each part.
func (s *scope) each() []cloud.Session {
	all := make([]cloud.Session, 0, len(s.parts.have))
	for _, number := range s.order() {
		if have, there := s.parts.have[number]; there {
			all = append(all, have)
		}
	}
	return all
}

// sourcesIn is which sources each part has. One that somebody has deleted gets what it had.
func (s *scope) sourcesIn() map[int][]string {
	in := map[int][]string{}
	for i := range s.session.Status.Sessions {
		stored := &s.session.Status.Sessions[i]
		in[stored.Number()] = stored.Sources
	}
	for number, have := range s.parts.have {
		in[number] = have.Sources
	}
	return in
}

// divide says which part is to copy from which sources. The limit is asked for only where it decides.
func (s *scope) divide(ctx context.Context) map[int][]string {
	sources, in, order := s.sourceIDs(), s.sourcesIn(), s.order()
	limit := plan.DocumentedSources
	placed := slices.Concat(slices.Collect(maps.Values(in))...)
	if len(sources) > 1 && slices.ContainsFunc(sources, func(id string) bool { return !slices.Contains(placed, id) }) {
		limit = s.sourceLimit(ctx)
	}
	return plan.Divide(sources, in, order, limit)
}

// part is one session in the cloud. The scope must be connected.
func (s *scope) part(number int) *lifecycle.Part[cloud.Session] {
	return &lifecycle.Part[cloud.Session]{
		ImportID: s.importID(number), Absent: func() { s.gone(number) },
		Scope: s.Scope, Number: number, Collection: s.collection(), Name: plan.NameOf(s.session, &s.session.Spec.CloudSpec),
		StoredID: func() string {
			if stored := s.session.Part(number); stored != nil {
				return stored.ID
			}
			return ""
		},
		Record: func(have cloud.Session) { s.record(number, have) },
		Epoch: func(have cloud.Session) bool {
			s.begins(have) // before that is stored
			s.parts.have[number] = have
			s.epoch()
			return s.session.Status.Epoch != s.storedSession().Status.Epoch // it may have begun when have was found
		},
		// VNI and priority stay as they were chosen: a drift that was not mended must not
		// become what is wanted.
		Progress: func(have cloud.Session) {
			s.changed(have)
			s.parts.have[number] = have
			s.show()
			s.epoch()
			if stored := s.session.Part(number); stored != nil {
				stored.Sources = sorted(have.Sources)
			}
		},
	}
}

func (s *scope) collection() lifecycle.Collection[cloud.Session] {
	account := s.Cloud.Account()
	return lifecycle.Collection[cloud.Session]{
		Kind: "session", Identity: lifecycle.SessionIdentity, State: plan.SessionState,
		List: func(ctx context.Context, notBefore time.Time) (lifecycle.Listed[cloud.Session], error) {
			return s.Inventory.Sessions(ctx, s.Cloud, notBefore)
		},
		Get:    s.Cloud.GetSession,
		Delete: s.Cloud.DeleteSession,
		Describe: func(ctx context.Context, id, description string) error {
			return s.Cloud.UpdateSession(ctx, id, cloud.SessionUpdate{Description: &description})
		},
		Note:   func(have cloud.Session) { s.Inventory.NoteSession(account, have) },
		Forget: func(id string) { s.Inventory.ForgetSession(account, id) },
		Noted:  func(id string, since time.Time) bool { return s.Inventory.SessionNoted(account, id, since) },
	}
}

// record puts what the cloud has of a part into the status.
func (s *scope) record(number int, have cloud.Session) {
	s.parts.have[number] = have
	vni := int32(have.VNI)
	s.session.Status.VNI = &vni
	entry := v1alpha1.CloudSession{ID: have.ID, Priority: int32(have.Priority), Sources: sorted(have.Sources)}
	if number > 1 {
		entry.Part = int32(number)
	}
	sessions := s.session.Status.Sessions
	at := slices.IndexFunc(sessions, func(c v1alpha1.CloudSession) bool { return c.Number() == number })
	switch {
	case at < 0 && s.importID(number) != "": // it leads, though another was made before it was recorded
		sessions, at = slices.Insert(sessions, 0, entry), 0
	case at < 0:
		sessions, at = append(sessions, entry), len(sessions)
	}
	sessions[at] = entry
	i := -1
	s.session.Status.Sessions = slices.DeleteFunc(sessions, func(c v1alpha1.CloudSession) bool {
		i++
		return c.Number() == number && i != at
	})
	s.show()
	s.epoch()
}

// drop takes a part that the cloud has no more out of the status.
func (s *scope) drop(number int) {
	delete(s.parts.have, number)
	s.session.Status.Sessions = slices.DeleteFunc(s.session.Status.Sessions, func(c v1alpha1.CloudSession) bool { return c.Number() == number })
}

// remove deletes parts that have no source of the spec any more, or that are made anew as wanted.
func (s *scope) remove(ctx context.Context, numbers []int, wanted map[int]plan.WantedSession) error {
	for _, number := range numbers {
		have := s.parts.have[number]
		if err := s.notDeleted(ctx, number); err != nil {
			return err
		}
		if err := s.parts.known[number].Delete(ctx); err != nil {
			return err
		}
		if _, anew := wanted[number]; anew {
			s.replaced(have.ID)
			delete(s.parts.have, number)
			continue
		}
		s.tellAs(v1alpha1.ChangedByOperator, []string{fmt.Sprintf("the session %s was deleted, as none of its sources is mirrored any more", have.ID)})
		s.drop(number)
		s.show()
		s.epoch()
	}
	return nil
}

func sorted(ids []string) []string {
	out := slices.Clone(ids)
	slices.Sort(out)
	return out
}
