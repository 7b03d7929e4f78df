package plan

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/cloud"
)

// Epoch is a time in which what is copied stayed the same in the cloud. What was counted in
// another one proves nothing about it.
type Epoch struct {
	// Number is 0 before the first epoch.
	Number int64
	// Basis is a short text of what the cloud has, see [SessionBasis] and [FilterBasis].
	Basis string
}

// Absent is the basis of what the cloud had and has no more.
const Absent = "absent"

// Next returns the epoch of what the cloud has now, and whether it begins with that. known are
// numbers that verifiers have of the session's epochs: where a status was lost or is of a
// backup, they tell what was given before, and a number is never given twice. Who tells a number
// beyond all bounds is not believed, a status that somebody has edited included: the next one
// could not be stored.
func (e Epoch) Next(basis string, known ...int64) (next Epoch, begins bool) {
	switch {
	case basis == e.Basis && e.Number > 0:
		return e, false
	case basis == Absent && e.Basis == "":
		return e, false // nothing has ever been there
	}
	last := int64(0)
	for _, n := range append(known, e.Number) {
		if n < v1alpha1.MaxCount {
			last = max(last, n)
		}
	}
	return Epoch{Number: last + 1, Basis: basis}, true
}

// SessionBasis is the same text for two states of the cloud exactly when the same is copied in
// both to the same target: it is, for each session in the cloud that stands for an object, of its identity, sources, target, VNI, filter and
// whether it is on, and of the epoch of its filter: of number and basis, because a filter whose
// status was lost begins with the first number again. Name, description, priority and packet
// length do not matter: the first two change no copy, a priority orders sessions among each
// other and is now and then lent for a while, and how long the copies are does not matter for
// whether they come.
func SessionBasis(filter Epoch, have ...cloud.Session) string {
	sorted := slices.SortedFunc(slices.Values(have), func(a, b cloud.Session) int { return strings.Compare(a.ID, b.ID) })
	var parts []any
	for _, one := range sorted {
		parts = append(parts, one.ID, one.FilterID, one.TargetID, one.TargetType, one.VNI, one.Enabled)
		for _, id := range slices.Compact(slices.Sorted(slices.Values(one.Sources))) {
			parts = append(parts, id)
		}
	}
	return digest(parts...) + "/" + strconv.FormatInt(filter.Number, 10) + "/" + filter.Basis
}

// FilterEpochIn returns the epoch of the filter that a basis of a session was made with, the
// zero value where it has none.
func FilterEpochIn(basis string) Epoch {
	_, of, _ := strings.Cut(basis, "/")
	text, filterBasis, _ := strings.Cut(of, "/")
	number, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return Epoch{}
	}
	return Epoch{Number: number, Basis: filterBasis}
}

// FilterBasis is the same text for two states of the cloud exactly when the filter has the
// same rules in both. They are the same by their IDs too: rules that were removed and made
// again may have copied nothing in between. Their descriptions do not matter.
func FilterBasis(have cloud.Filter) string {
	parts := []any{have.ID}
	for _, r := range rulesByID(have.Rules) {
		r.Description = ""
		parts = append(parts, r)
	}
	return digest(parts...)
}

// digest is a short hash of what is given, each part apart from the next.
func digest(parts ...any) string {
	hash := sha256.New()
	for _, part := range parts {
		text := fmt.Sprintf("%+v", part)
		fmt.Fprintf(hash, "%d %s;", len(text), text) // a hash takes every write
	}
	return hex.EncodeToString(hash.Sum(nil))[:16]
}
