package probe

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"vpcmirror.io/operator/api/v1alpha1"
)

func TestAProbeWaitsForItsWatchersThenForWhatIsSentAndArrives(t *testing.T) {
	const id = "0badcafe"
	watching := v1alpha1.ProbeReport{Node: "target", Probe: id, Watching: true}
	arrived := func(packets int64, after time.Duration) v1alpha1.ProbeReport {
		r := watching
		r.Arrived = []v1alpha1.ProbeCopies{{InterfaceID: "source", Packets: packets, At: metav1.NewMicroTime(noon.Add(after))}}
		return r
	}
	sent := func(packets int32, message string) v1alpha1.ProbeReport {
		return v1alpha1.ProbeReport{Node: "near", Probe: id, Claimed: true, Sent: []v1alpha1.ProbeSent{
			{InterfaceID: "source", Packets: packets, At: new(metav1.NewMicroTime(noon)), Message: message},
		}}
	}
	stranger := arrived(2, time.Millisecond)
	stranger.Node = "near" // which sends
	other := arrived(2, 0)
	other.Probe = "another"
	type step struct {
		reports []v1alpha1.ProbeReport
		after   time.Duration
	}
	type outcome struct {
		Active, Sends   bool // it goes on, and packets may be sent
		Outcome         v1alpha1.ProbeOutcome
		Reason, Latency string
	}
	all := func(r ...v1alpha1.ProbeReport) []v1alpha1.ProbeReport { return r }
	const late = 17 * time.Second
	for name, c := range map[string]struct {
		steps []step
		want  outcome
	}{
		"nobody watches yet":                        {[]step{{nil, 0}}, outcome{Active: true}},
		"a report on another probe says nothing":    {[]step{{all(other), time.Second}}, outcome{Active: true}},
		"the watcher is ready":                      {[]step{{all(watching), time.Second}}, outcome{Active: true, Sends: true}},
		"the watcher never is":                      {[]step{{nil, late}}, outcome{Outcome: "CannotSend", Reason: "ProbeUnseen"}},
		"all arrives":                               {[]step{{all(watching), 0}, {all(arrived(2, 1400*time.Microsecond), sent(2, "")), time.Second}}, outcome{Outcome: "Arrived", Latency: "1.4ms"}},
		"more than all arrives":                     {[]step{{all(watching), 0}, {all(arrived(4, time.Millisecond), sent(2, "")), time.Second}}, outcome{Outcome: "Arrived", Latency: "1ms"}},
		"one of two arrives, the other may still":   {[]step{{all(watching), 0}, {all(arrived(1, time.Millisecond), sent(2, "")), time.Second}}, outcome{Active: true, Sends: true, Outcome: "Arrived", Latency: "1ms"}},
		"one of two arrives, the other never":       {[]step{{all(watching), 0}, {all(arrived(1, time.Millisecond), sent(2, "")), late}}, outcome{Outcome: "Arrived", Latency: "1ms"}},
		"copies that only another node claims":      {[]step{{all(watching), 0}, {all(watching, stranger, sent(2, "")), late}}, outcome{Outcome: "NotArrived"}},
		"it arrives before the sender says so":      {[]step{{all(watching), 0}, {all(arrived(2, time.Millisecond)), time.Second}}, outcome{Active: true, Sends: true, Outcome: "Arrived"}},
		"it arrives and the sender says nothing":    {[]step{{all(watching), 0}, {all(arrived(2, time.Millisecond)), late}}, outcome{Outcome: "Arrived"}},
		"it arrives before it was sent, by a clock": {[]step{{all(watching), 0}, {all(arrived(2, -time.Millisecond), sent(2, "")), time.Second}}, outcome{Outcome: "Arrived"}},
		"it takes an hour, by a clock":              {[]step{{all(watching), 0}, {all(arrived(2, time.Hour), sent(2, "")), time.Second}}, outcome{Outcome: "Arrived"}},
		"sent, and not arrived yet":                 {[]step{{all(watching), 0}, {all(watching, sent(2, "")), time.Second}}, outcome{Active: true, Sends: true}},
		"sent, and not arrived":                     {[]step{{all(watching), 0}, {all(watching, sent(2, "")), late}}, outcome{Outcome: "NotArrived"}},
		"the kernel refuses":                        {[]step{{all(watching), 0}, {all(watching, sent(0, "address in use")), time.Second}}, outcome{Outcome: "CannotSend", Reason: "ProbeNotSent"}},
		"the sender is silent":                      {[]step{{all(watching), 0}, {all(watching), late}}, outcome{Outcome: "CannotSend", Reason: "ProbeSenderSilent"}},
		"another node says that it has sent":        {[]step{{all(watching), 0}, {all(watching, v1alpha1.ProbeReport{Node: "x", Probe: id, Sent: sent(2, "").Sent}), late}}, outcome{Outcome: "CannotSend", Reason: "ProbeSenderSilent"}},
	} {
		t.Run(name, func(t *testing.T) {
			p := Begin(asked(rule(ingress, tcp, nodeAddr+"/32", "", to(1, 1))))
			for _, s := range c.steps {
				p, _ = Advance(p, s.reports, noon.Add(s.after))
			}
			got := outcome{Active: p.Active(), Sends: p.Active() && p.SendingAt != nil, Outcome: p.Results[0].Outcome, Reason: p.Results[0].Reason}
			if p.Results[0].LatencyMicroseconds != nil {
				got.Latency = (time.Duration(*p.Results[0].LatencyMicroseconds) * time.Microsecond).String()
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s\n%+v", diff, p)
			}
		})
	}
}

func TestAProbeEndsThatMayNotGoOnAndSaysWhy(t *testing.T) {
	for reason, c := range map[string]struct{ suspended, allowed bool }{
		"": {false, true}, v1alpha1.ReasonProbeSuspended: {true, true}, v1alpha1.ReasonProbeNotAllowed: {false, false},
	} {
		p := Begin(asked(rule(ingress, tcp, nodeAddr+"/32", "", to(1, 1))))
		stopped := Stop(p, c.suspended, c.allowed, noon.Add(time.Second))
		if r := stopped.Results[0]; stopped.Active() != (reason == "") || (r.Outcome == v1alpha1.ProbeCannotSend) != (reason != "") || r.Reason != reason || !p.Active() {
			t.Errorf("suspended %v, allowed %v: it is %+v", c.suspended, c.allowed, stopped)
		}
	}
}
