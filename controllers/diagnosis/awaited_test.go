package diagnosis_test

import (
	"testing"
	"time"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/diagnosis"
)

func TestCopiesAreAwaitedOfAllSourcesAndOfEachThatCanBeToldApart(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*world)
		want   []diagnosis.Awaited
	}{
		"while they come": {func(w *world) { w.from(1, 1) }, []diagnosis.Awaited{
			{Since: noon, Within: 30 * time.Second},
			{Source: "id-a", Since: noon, Within: 30 * time.Second},
			{Source: "id-b", Since: noon, Within: 30 * time.Second},
		}},
		"before the first of an epoch, which is reported at once": {func(*world) {}, []diagnosis.Awaited{
			{Since: noon, Within: 20 * time.Second},
			{Source: "id-a", Since: noon, Within: 30 * time.Second},
			{Source: "id-b", Since: noon, Within: 30 * time.Second},
		}},
		"of a single source": {func(w *world) {
			w.from(1, 0)
			w.session.Status.Sources = w.session.Status.Sources[:1]
		}, []diagnosis.Awaited{{Since: noon, Within: 30 * time.Second}}},
		"by a verifier that does not tell sources apart": {func(w *world) { w.counts(v1alpha1.Counts{Packets: 1}) },
			[]diagnosis.Awaited{{Since: noon, Within: 30 * time.Second}}},
		"of a source that shares its address": {func(w *world) {
			w.from(1, 1)
			w.session.Status.Sources[1].Addresses = w.session.Status.Sources[0].Addresses
		}, []diagnosis.Awaited{{Since: noon, Within: 30 * time.Second}}},
		"while the spec switches the session off": {func(w *world) { w.session.Spec.Enabled = new(false) }, nil},
		"while the spec suspends it":              {func(w *world) { w.session.Spec.Suspend = true }, nil},
		"before it is in the cloud":               {func(w *world) { w.session.Status.Sessions = nil }, nil},
		"while nobody counts":                     {func(w *world) { w.session.Status.Verification = nil }, nil},
		"while the only verifier can't":           {func(w *world) { w.entry().Message = "no capability" }, nil},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld()
			w.delay = 30 * time.Second
			c.change(w)
			w.look(0)
			same(t, "what is awaited", c.want, diagnosis.Await(w.known))
		})
	}
}

func TestWhatIsAwaitedGoesByWhenItsCountMoved(t *testing.T) {
	w := newWorld()
	w.delay = 30 * time.Second
	w.from(1, 1)
	w.look(0)
	w.from(2, 1)
	w.look(10 * time.Second)
	same(t, "what is awaited", []diagnosis.Awaited{
		{Since: noon.Add(10 * time.Second), Within: 30 * time.Second},
		{Source: "id-a", Since: noon.Add(10 * time.Second), Within: 30 * time.Second},
		{Source: "id-b", Since: noon, Within: 30 * time.Second},
	}, diagnosis.Await(w.known))
}
