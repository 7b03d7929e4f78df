package mirrorsession

import (
	"reflect"
	"strings"
	"time"

	"vpcmirror.io/operator/controllers/diagnosis"
	"vpcmirror.io/operator/controllers/status"
)

// rest is what a session was judged by that is healthy: as long as all of it is the same, so is the answer,
// see [diagnosis.Rests]. Nearly all looks at a large fleet are at such sessions. The zero value is no rest.
type rest struct {
	counted
	path           *diagnosis.Path
	sharedVNI      string
	filterChanging bool
	unknown        diagnosis.Unknown
}

// counted is the part of it that comes from the API server.
type counted struct {
	version   string // of the object, as it is stored
	verifiers string // which are lost or overdue
	delay     time.Duration
}

// counted is that of a session which this reconcile has not changed so far, stored or not, and the zero
// value else.
func (s *scope) counted(known *diagnosis.Known) counted {
	if s.Stored.GetResourceVersion() != s.Version || !status.Same(s.Stored, s.Object) {
		return counted{}
	}
	var verifiers strings.Builder
	for i := range s.session.Status.Verification {
		node := s.session.Status.Verification[i].Node
		for _, of := range []map[string]bool{known.Lost, known.Overdue} {
			if of[node] {
				verifiers.WriteByte('!')
			} else {
				verifiers.WriteByte('.')
			}
		}
	}
	return counted{version: s.storedSession().ResourceVersion, verifiers: verifiers.String(), delay: known.CountsDelay}
}

// restOf is what the session is judged by.
func (s *scope) restOf(known *diagnosis.Known) rest {
	return rest{counted: s.counted(known), path: known.Path, sharedVNI: known.SharedVNI, filterChanging: known.FilterChanging, unknown: known.Unknown}
}

// goesOn reports whether it is as it was when the session was at rest.
func (r rest) goesOn(now rest) bool { return r.version != "" && r == now }

// samePath returns the way as it was read before where it is the same now: what is kept of a look is one
// object then, and who compares two looks compares pointers.
func samePath(before, now *diagnosis.Path) *diagnosis.Path {
	if before == nil || now == nil || before.Interfaces.Value != now.Interfaces.Value { // all of an account: never walked
		return now
	}
	was := *before
	was.At = now.At
	if !reflect.DeepEqual(&was, now) {
		return now
	}
	*before = *now // the same, but shared with what others were read from now
	return before
}
