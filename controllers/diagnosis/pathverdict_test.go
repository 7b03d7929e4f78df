package diagnosis_test

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/cloud"
	"vpcmirror.io/operator/controllers/diagnosis"
)

func TestPathClearSaysTheWorstThatWasFoundElseWhatIsMissing(t *testing.T) {
	for name, c := range map[string]struct {
		edit func(*way)
		want said
	}{
		"true when nothing is in the way": {func(*way) {}, said{"True", "Clear", nothingFound}},
		"false by the worst, and how many more there are": {
			func(w *way) { w.Sources[0].DeviceID = ""; w.rules(groupOfTarget) },
			said{"False", "InterfaceDetached", "the source 10.0.0.11 is attached to no server (and 1 more, see status.findings)"},
		},
		"false of a part of the sources": {
			func(w *way) {
				w.Sources[0].DeviceID = ""
				w.Sources[0].SecurityGroups = nil
				w.rules(groupOfTarget, allow("1", "", 0, "10.0.0.12/32"))
			},
			said{"False", "InterfaceDetached", "1 of 2 sources: the source 10.0.0.11 is attached to no server (and 1 more, see status.findings)"},
		},
		"false, whatever is missing": {
			func(w *way) { w.Sources[0].DeviceID = ""; w.Groups = refused[map[string]cloud.SecurityGroup]("x") },
			said{"False", "InterfaceDetached", "1 of 2 sources: the source 10.0.0.11 is attached to no server"},
		},
		"unknown by all that is missing, a right before the rest": {
			func(w *way) {
				w.Servers = diagnosis.Answer[[]cloud.Server]{Missing: &diagnosis.Missing{Says: "no such call"}}
				w.Groups = refused[map[string]cloud.SecurityGroup]("vpc:securityGroups:list")
			},
			said{"Unknown", "NotPermitted", "the account may not read security groups and their rules: grant it vpc:securityGroups:list; " +
				"servers could not be read: no such call"},
		},
		"judged for what would be made, where there is no session yet": {
			func(w *way) { w.Session.ID, w.known.Session.Status.Sessions = "", nil; w.rules(groupOfTarget) },
			said{"False", "TargetGroupDenies", noRule[0].message},
		},
		"unknown while it is suspended": {
			func(w *way) { w.known.Session.Spec.Suspend = true; w.rules(groupOfTarget) },
			said{"Unknown", "Suspended", "spec.suspend is true: what the cloud copies now is not known"},
		},
		"unknown while it is switched off": {
			func(w *way) { w.known.Session.Spec.Enabled = new(false); w.rules(groupOfTarget) },
			said{"Unknown", "Disabled", "spec.enabled is false: the cloud makes no copies"},
		},
		"unknown without sources": {
			func(w *way) { w.known.Session.Spec.Sources = nil },
			said{"Unknown", "Disabled", "spec.sources is empty: no copies are to be made"},
		},
		"unknown without sources in the cloud": {
			func(w *way) { w.Session.Sources, w.Sources = nil, nil },
			said{"Unknown", "Disabled", "no source of the spec is in the cloud: there is nothing to copy from"},
		},
		"unknown before anybody looked": {
			func(w *way) { w.known.Path = nil },
			said{"Unknown", "NotJudged", "the cloud was not asked about the way yet"},
		},
		"as it was, while nobody looked": {
			func(w *way) {
				w.known.Path = nil
				w.known.Reported.Conditions = []metav1.Condition{{Type: "PathClear", Status: "False", Reason: "NoRoute", Message: "no route"}}
			}, said{"False", "NoRoute", "no route"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWay()
			c.edit(w)
			same(t, "PathClear", c.want, w.verdict(), cmpSaid)
		})
	}
}

func TestWhatWasFoundOnTheWayStaysWhileNobodyLooks(t *testing.T) {
	w := newWay()
	w.rules(groupOfTarget)
	w.known.Reported.Findings = diagnosis.Findings(w.known)
	w.known.Path, w.known.Now = nil, noon.Add(time.Hour)
	same(t, "the findings", noRule, w.found(), cmpFinding)
	if since := diagnosis.Findings(w.known)[0].Since; !since.Time.Equal(noon) {
		t.Errorf("found since %v, and not since %v", since, noon)
	}
	w.known.Session.Spec.Suspend = true
	same(t, "the findings of one that is suspended", nil, w.found(), cmpFinding)
}

// moved lets the verifier count a copy of each of the sources, so much later.
func (w *way) moved(later time.Duration, sources ...string) {
	w.known.Now = w.known.Now.Add(later)
	e := &w.known.Session.Status.Verification[0]
	of := e.InEpoch.Plus(v1alpha1.Counts{Packets: int64(len(sources))})
	e.InEpoch, e.Counts = &of, e.Counts.Plus(v1alpha1.Counts{Packets: int64(len(sources))})
	for _, id := range sources {
		i := 0
		for i < len(e.Sources) && e.Sources[i].InterfaceID != id {
			i++
		}
		if i == len(e.Sources) {
			e.Sources = append(e.Sources, v1alpha1.SourceCounts{InterfaceID: id})
		}
		e.Sources[i].Packets++
	}
	w.known.Movement = w.known.Movement.Next(w.known)
}

func TestCopiesThatComeWinOverWhatWasRead(t *testing.T) {
	kept := func() *way {
		w := newWay()
		w.rules(groupOfTarget)
		return w
	}
	onlyB := []finding{{"Warning", "TargetGroupDenies", "source 10.0.0.12",
		`security group "target" of 10.0.0.1 has no rule that allows UDP 4789 from 10.0.0.12`, `allow UDP 4789 from 10.0.0.12/32 in security group "target"`}}

	t.Run("nothing is said of a source whose copies come, and of the others it is", func(t *testing.T) {
		w := kept()
		w.moved(time.Minute, "id-a")
		same(t, "the findings", onlyB, w.found(), cmpFinding)
	})
	t.Run("it is said again once the count has stood still", func(t *testing.T) {
		w := kept()
		w.moved(time.Minute, "id-a")
		same(t, "when to look again", 30*time.Second, diagnosis.Next(w.known))
		w.moved(30 * time.Second)
		same(t, "the findings", noRule, w.found(), cmpFinding)
	})
	t.Run("what is read is true where copies of all come, and both are said", func(t *testing.T) {
		w := kept()
		w.moved(time.Minute, "id-a", "id-b")
		same(t, "PathClear", said{"True", "Clear", nothingFound + "; copies come, although " + noRule[0].message}, w.verdict(), cmpSaid)
		same(t, "the findings", nil, w.found(), cmpFinding)
	})
	t.Run("what was counted before this manager looked proves nothing of now", func(t *testing.T) {
		w := kept()
		w.known.Session.Status.Verification[0].InEpoch = &v1alpha1.Counts{Packets: 9}
		w.known.Movement = diagnosis.Movement{}.Next(w.known)
		same(t, "the findings", noRule, w.found(), cmpFinding)
	})
	t.Run("what was counted in another epoch proves nothing of now", func(t *testing.T) {
		w := kept()
		w.moved(time.Minute, "id-a", "id-b")
		w.known.Session.Status.Epoch = 4
		w.known.Movement = w.known.Movement.Next(w.known)
		same(t, "the findings", noRule, w.found(), cmpFinding)
	})
	t.Run("with one source, or a verifier that does not tell them apart, any copy is one of its", func(t *testing.T) {
		for _, edit := range []func(*way){(*way).one, func(*way) {}} {
			w := kept()
			edit(w)
			w.moved(time.Minute, "id-a")
			w.known.Session.Status.Verification[0].Sources = nil
			w.known.Movement = diagnosis.Movement{}.Next(w.known)
			w.known.Session.Status.Verification[0].InEpoch.Packets++
			w.known.Movement = w.known.Movement.Next(w.known)
			same(t, "the findings", nil, w.found(), cmpFinding)
		}
	})
	t.Run("copies of any source are some to the target", func(t *testing.T) {
		w := newWay()
		w.gone("id-t")
		w.moved(time.Minute, "id-a")
		same(t, "the findings", nil, w.found(), cmpFinding)
	})
	t.Run("a session that is switched off is named all the same", func(t *testing.T) {
		w := newWay()
		w.Session.Enabled = false
		w.moved(time.Minute, "id-a", "id-b")
		same(t, "the findings", 1, len(w.found()))
	})
}
