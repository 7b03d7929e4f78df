package mirrorsession

import (
	"testing"
	"time"

	"vpcmirror.io/operator/controllers/cloud"
)

func TestAnAccountThatDoesNotAnswerIsAskedEverLaterAndOthersAreNotHeldUp(t *testing.T) {
	var o observations
	begin := time.Now()
	a, b := cloud.Account{ProjectID: "a"}, cloud.Account{ProjectID: "b"}
	var waits []time.Duration
	for now := begin; len(waits) < 7; {
		until := o.answered(a, now, 10*time.Minute, false)
		same(t, "until when it is held off", until, o.heldOff(a))
		waits = append(waits, until.Sub(now))
		now = until
	}
	same(t, "the pauses", []time.Duration{20e9, 40e9, 80e9, 160e9, 320e9, 600e9, 600e9}, waits)
	same(t, "another account is held off until", time.Time{}, o.heldOff(b))
	same(t, "until when it is held off once it has answered", time.Time{}, o.answered(a, begin, 10*time.Minute, true))
	same(t, "the first pause after that", 20*time.Second, o.answered(a, begin, time.Second, false).Sub(begin))
	same(t, "and the second, where the cloud is compared often", 20*time.Second, o.answered(a, begin, time.Second, false).Sub(begin))
}
