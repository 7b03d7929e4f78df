package diagnosis

import "time"

// firstCopies is for how long none may have come in an epoch. The first is reported at once.
const firstCopies = 20 * time.Second

// Awaited are copies that are to come: all of a session's, or those of one of its sources.
type Awaited struct {
	// Source is the interface, empty for all sources together.
	Source string
	// Since is when their count last moved, or began to be watched.
	Since time.Time
	// Within is how long it may stand still although they come.
	Within time.Duration
}

// Await returns what is awaited, none while nobody counts. Movement must be of this look.
func Await(k *Known) []Awaited {
	if !k.judged() {
		return nil
	}
	within := k.CountsDelay
	if k.acceptedInEpoch() == 0 {
		within = firstCopies
	}
	all := []Awaited{{Since: k.Movement.accepted, Within: within}}
	if len(k.Session.Status.Sources) < 2 || !k.sourcesTold() {
		return all
	}
	for _, source := range k.Session.Status.Sources {
		if moved, watched := k.Movement.sources.at(source.InterfaceID); watched && ownAddress(k.Session, source) {
			all = append(all, Awaited{Source: source.InterfaceID, Since: moved, Within: k.CountsDelay})
		}
	}
	return all
}

func (k *Known) acceptedInEpoch() (packets int64) {
	for _, e := range k.counters() {
		packets += k.inEpoch(e).Packets
	}
	return packets
}

// sourcesTold reports whether every verifier that has counted copies says of which source they are.
func (k *Known) sourcesTold() bool {
	for _, e := range k.counters() {
		if len(e.Sources) == 0 && k.inEpoch(e).Packets > 0 {
			return false
		}
	}
	return true
}
