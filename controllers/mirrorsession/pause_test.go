package mirrorsession

import (
	"testing"
	"time"

	"vpcmirror.io/operator/controllers/cloud"
)

// asker is a client that is told from others.
type asker struct{ cloud.Client }

func TestWhoGetsNoAnswerAsksEverLaterAndOthersOfTheAccountAreNotHeldUp(t *testing.T) {
	var o observations
	begin := time.Now()
	a, b := &asker{}, &asker{}
	a.Client, b.Client = b, a // pointers to something that holds nothing may be equal
	var waits []time.Duration
	for now := begin; len(waits) < 7; {
		until := o.silent(a, now, 10*time.Minute)
		same(t, "until when it is held off", until, o.heldOff(a))
		same(t, "until when, asked in between", until, o.silent(a, now.Add(time.Second), 10*time.Minute))
		waits = append(waits, until.Sub(now))
		now = until
	}
	same(t, "the pauses", []time.Duration{20e9, 40e9, 80e9, 160e9, 320e9, 600e9, 600e9}, waits)
	same(t, "another client is held off until", time.Time{}, o.heldOff(b))
	o.answered(a)
	same(t, "until when it is held off once it was answered", time.Time{}, o.heldOff(a))
	same(t, "the first pause after that", 20*time.Second, o.silent(a, begin, time.Second).Sub(begin))
	same(t, "and the second, where the cloud is compared often", 20*time.Second, o.silent(a, begin.Add(20*time.Second), time.Second).Sub(begin)-20*time.Second)
}
