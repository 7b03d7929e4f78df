package diagnosis

import (
	"strings"
	"testing"
	"time"

	"vpcmirror.io/operator/api/v1alpha1"
)

// Setting the time of day by an hour must neither make silence of traffic nor hide silence.
func TestMovementIsMeasuredByTheClockThatNobodySets(t *testing.T) {
	s := &v1alpha1.MirrorSession{}
	s.Status.Sources = []v1alpha1.ResolvedInterface{{InterfaceID: "a"}}
	m := Movement{}.Next(&Known{Session: s, Now: time.Now()})
	for what, at := range map[string]time.Time{"of all": m.accepted, "of a source": m.sources.of("a")} {
		if !strings.Contains(at.String(), "m=") {
			t.Errorf("the time %s is %s, without a monotonic clock reading", what, at)
		}
	}
}
