package mirrorsession

import (
	"time"

	"vpcmirror.io/operator/controllers/cloud"
)

const (
	// callsOfRound are how many calls a round of lists may cost for an account's edges to begin one every
	// edgeAge. Each call more lets it take longer by perCall, so that edges use up no more of an
	// account's calls however large it is.
	callsOfRound = 10
	perCall      = 2 * time.Second
	// maxRounds is of how many accounts the last round is remembered.
	maxRounds = 1024
)

// roundGap is how long after an account was read for the sake of an edge it is read for another one.
func roundGap(calls int) time.Duration {
	return edgeAge + time.Duration(max(calls-callsOfRound, 0))*perCall
}

// round notes that an edge asks for answers of an account, of which a round costs so many calls. It
// returns after how long the edge has its turn, 0 for now: those that come together share one round.
func (o *observations) round(a cloud.Account, calls int, now time.Time) time.Duration {
	o.mu.Lock()
	defer o.mu.Unlock()
	last, known := o.rounds[a]
	switch passed := now.Sub(last); {
	case known && passed <= edgeAge: // what was read then serves
		return 0
	case known && passed < roundGap(calls):
		return roundGap(calls) - passed
	}
	if o.rounds == nil || len(o.rounds) >= maxRounds {
		o.rounds = map[cloud.Account]time.Time{}
	}
	o.rounds[a] = now
	return 0
}
