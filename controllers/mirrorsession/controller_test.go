package mirrorsession

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/event"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/cloud"
	"vpcmirror.io/operator/controllers/lifecycle"
	"vpcmirror.io/operator/controllers/plan"
)

// allFields lets values be compared whose fields nobody else sees.
var allFields = cmp.AllowUnexported(needs{})

func same[T any](t *testing.T, what string, want, got T, options ...cmp.Option) {
	t.Helper()
	if diff := cmp.Diff(want, got, options...); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

// session is one of generation 2 that edits have changed.
func session(edits ...func(*v1alpha1.MirrorSession)) *v1alpha1.MirrorSession {
	s := &v1alpha1.MirrorSession{ObjectMeta: metav1.ObjectMeta{Namespace: "n", Name: "s", UID: "u", Generation: 2}}
	for _, edit := range edits {
		edit(s)
	}
	return s
}

func inCloud(priority int32) func(*v1alpha1.MirrorSession) {
	return func(s *v1alpha1.MirrorSession) {
		s.Status.Sessions = []v1alpha1.CloudSession{{ID: "c", Priority: priority}}
	}
}

func notReady(reason string) func(*v1alpha1.MirrorSession) {
	return func(s *v1alpha1.MirrorSession) {
		s.Status.Conditions = []metav1.Condition{{Type: v1alpha1.ConditionReady, Status: metav1.ConditionFalse, Reason: reason, ObservedGeneration: s.Generation}}
	}
}

func TestOthersAreWokenOnlyByWhatCanFreeANumber(t *testing.T) {
	for name, c := range map[string]struct {
		before, after *v1alpha1.MirrorSession
		want          bool
	}{
		"a priority that is given up":            {session(inCloud(1)), session(inCloud(2)), true},
		"a session that goes from the cloud":     {session(inCloud(1)), session(), true},
		"a session that begins to wait":          {session(), session(notReady(v1alpha1.ReasonPriorityTaken)), true},
		"a session that goes on waiting":         {session(notReady(v1alpha1.ReasonPriorityTaken)), session(notReady(v1alpha1.ReasonPriorityTaken)), false},
		"a session that is made":                 {session(), session(inCloud(1)), false},
		"a session that waits for its filter":    {session(), session(notReady(v1alpha1.ReasonFilterNotFound)), false},
		"a verifier's entry, and nothing beside": {session(inCloud(1)), session(inCloud(1), func(s *v1alpha1.MirrorSession) { s.Status.Verification = []v1alpha1.Verification{{Node: "a"}} }), false},
	} {
		t.Run(name, func(t *testing.T) {
			same(t, "woken", c.want, givesRoom().Update(event.UpdateEvent{ObjectOld: c.before, ObjectNew: c.after}))
		})
	}
}

func TestAPriorityThatIsTakenNamesItsHolderAndWhatIsWaitedFor(t *testing.T) {
	holder := &cloud.Session{ID: "h", SessionSpec: cloud.SessionSpec{Name: "theirs"}}
	for name, c := range map[string]struct {
		numbers plan.Numbers
		has     int
		want    string
		shared  bool
	}{
		"a foreign one in an account that others share": {
			plan.Numbers{Holder: holder}, 9,
			"priority 5 is already used by another session of the account; a priority is unique in account and region: choose another in spec.priority, or leave it out",
			true,
		},
		"one there that is to get another": {
			plan.Numbers{Holder: holder, HolderWants: 7}, 9,
			"priority 5 is already used by another session of the account; which is to get another one: this one waits for that and has priority 9 until then",
			true,
		},
		"a foreign one": {
			plan.Numbers{Holder: holder}, 9,
			"priority 5 is already used by the cloud's session h (theirs); a priority is unique in account and region: choose another in spec.priority, or leave it out",
			false,
		},
		"one that is to get another": {
			plan.Numbers{Holder: holder, HolderWants: 7}, 9,
			"priority 5 is already used by the cloud's session h (theirs); which is to get priority 7: this one waits for that and has priority 9 until then",
			false,
		},
		"the same, and this one is not made yet": {
			plan.Numbers{Holder: holder, HolderWants: 7}, 0,
			"priority 5 is already used by the cloud's session h (theirs); which is to get priority 7: this one waits for that",
			false,
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := session(func(s *v1alpha1.MirrorSession) { s.Spec.Priority = new(int32(5)) }, inCloud(5))
			if !c.shared {
				s.Spec.CredentialsRef = &v1alpha1.SecretReference{Name: "mine"}
			}
			err := (&scope{session: s}).priorityTaken(c.numbers, c.has)
			want := &lifecycle.Problem{Reason: v1alpha1.ReasonPriorityTaken, Message: c.want, After: lifecycle.AbsentProbe}
			same(t, "the problem", want, lifecycle.Diagnose(err))
		})
	}
}

func TestTheMessageOfReadySaysWhatTheCloudCopiesFromWhereToWhere(t *testing.T) {
	s := session(func(s *v1alpha1.MirrorSession) {
		s.Status.VNI = new(int32(7))
		s.Status.Sources = []v1alpha1.ResolvedInterface{{InterfaceID: "i", Addresses: []string{"10.0.0.1", "10.0.0.9"}}, {InterfaceID: "j"}}
		s.Status.Target = &v1alpha1.ResolvedTarget{ResolvedInterface: v1alpha1.ResolvedInterface{Addresses: []string{"10.0.0.3"}}}
	})
	same(t, "the message", "the cloud copies from 10.0.0.1, j to 10.0.0.3 with VNI 7", (&scope{session: s}).Synced())
	s.Spec.Enabled = new(bool)
	same(t, "of one that is off", "the cloud has the session; it is switched off by spec.enabled", (&scope{session: s}).Synced())
}

// nothing is an account without a session.
type nothing struct{}

// nobody are no other MirrorSessions.
type nobody struct{}

func (nobody) hasPriority(int) bool               { return false }
func (nobody) hasVNI(vniAt) bool                  { return false }
func (nobody) named() []*v1alpha1.MirrorSession   { return nil }
func (nobody) waiting() []*v1alpha1.MirrorSession { return nil }

func (nothing) Marked(string) []cloud.Session       { return nil }
func (nothing) From(string) []cloud.Session         { return nil }
func (nothing) WithPriority(int) []cloud.Session    { return nil }
func (nothing) WithVNI(string, int) []cloud.Session { return nil }

// Two that choose from the same list of the cloud, which shows neither, get different numbers.
func TestNumbersThatWereChosenAreReservedUntilTheCloudCanShowThem(t *testing.T) {
	var r reservations
	now := time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)
	choose := func(uid, account string) plan.Numbers {
		s := session(func(s *v1alpha1.MirrorSession) { s.UID = types.UID(uid) })
		n, err := r.choose(plan.NumbersInput{Part: 1, Session: s, TargetID: "t", InCloud: nothing{}, Account: cloud.Account{ProjectID: account}}, nobody{}, now, now)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	same(t, "the first", plan.Numbers{VNI: 1, Priority: 10000}, choose("a", "p"))
	same(t, "the second", plan.Numbers{VNI: 2, Priority: 10001}, choose("b", "p"))
	same(t, "the first again", plan.Numbers{VNI: 1, Priority: 10000}, choose("a", "p"))
	same(t, "one of another account", plan.Numbers{VNI: 1, Priority: 10000}, choose("c", "q"))
	now = now.Add(reservedFor + 1)
	same(t, "one that comes when lists show what was made", plan.Numbers{VNI: 1, Priority: 10000}, choose("d", "p"))
	same(t, "the accounts of which something is reserved", 1, len(r.byAccount))
}
