// Package why turns a session, and what else is known of it, into an answer to the question
// whether its copies arrive, and if not, why: first into a structure, then into text. It has no
// clock and asks nobody: the same facts give the same answer. What the objects say is arranged
// here and not judged anew, except for what only a client can tell: how old it is.
//
// It may import api.
package why

import (
	"cmp"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"vpcmirror.io/operator/api/v1alpha1"
)

// Facts are what is known of one session.
type Facts struct {
	Session *v1alpha1.MirrorSession
	// Filter is the session's, nil where there is none or it could not be read.
	Filter *v1alpha1.MirrorFilter
	// Lease is what the manager's says, nil where none could be read.
	Lease *Lease
	// Waited is for how long the manager did not answer a request to reconcile, 0 where it did
	// or was not asked.
	Waited time.Duration
	// Probe is what a probe has told that was asked for together with the answer, nil for none.
	Probe *v1alpha1.Probe
	// Now is the time, by the API server's clock where that is known.
	Now time.Time
}

// Lease is what the manager's lease says.
type Lease struct {
	Namespace string
	// Held is false once the manager has given the lease up, as it does when it ends.
	Held bool
	// RenewedAt is when it was renewed last, by the API server's clock where that is known.
	RenewedAt time.Time
	// Duration is for how long the lease is held without being renewed.
	Duration time.Duration
}

// State is what is said of the copies in a word.
type State string

// States.
const (
	// CopiesArrive: copies that the filter accepts are counted at the target.
	CopiesArrive State = "CopiesArrive"
	// NotAllArrive: copies are counted, but those of some sources or packets don't come.
	NotAllArrive State = "NotAllArrive"
	// NobodyTakesThem: copies arrive, but nothing on the target's node can get them.
	NobodyTakesThem State = "NobodyTakesThem"
	// NoCopiesArrive: none has come since the last change, and something stands in the way.
	NoCopiesArrive State = "NoCopiesArrive"
	// Silent: copies came, and have stopped.
	Silent State = "Silent"
	// Quiet: no copies come, and nothing stands in the way: there may be no traffic.
	Quiet State = "Quiet"
	// Off: no copies are to be made.
	Off State = "Off"
	// NotReady: the cloud does not match the spec yet.
	NotReady State = "NotReady"
	// Unknown: nobody can tell.
	Unknown State = "Unknown"
)

// Verdict is the answer in the form that a script needs.
type Verdict string

// Verdicts.
const (
	// Flowing: copies arrive, and nothing was found that needs a person.
	Flowing Verdict = "Flowing"
	// CauseFound: something was found that needs a person, or the spec switches the copies off.
	CauseFound Verdict = "CauseFound"
	// Undecided: neither is known.
	Undecided Verdict = "Undecided"
)

// ExitCode is what the program ends with.
func (v Verdict) ExitCode() int {
	switch v {
	case Flowing:
		return 0
	case CauseFound:
		return 1
	default:
		return 2
	}
}

// Mark is how a row of an answer stands.
type Mark string

// Marks.
const (
	// OK: nothing stands in the way here.
	OK Mark = "ok"
	// Fail: something does, and needs a person.
	Fail Mark = "FAIL"
	// Open: that is not known, or goes on by itself.
	Open Mark = "?"
	// None: there is nothing to be said.
	None Mark = "-"
	// Seen: a change that was seen.
	Seen Mark = "seen"
)

// Row is one stage on the way of the copies.
type Row struct {
	// Name of the stage: cloud, source, order, path, target, consumer or traffic; or probe.
	Name string `json:"name"`
	// Mark is ok, FAIL, ? or -.
	Mark Mark `json:"mark"`
	// Says is what is known of the stage, in sentences.
	Says []string `json:"says,omitempty"`
}

// Copies is what was counted.
type Copies struct {
	// SinceChange are the copies that the filter accepts since the last change in the cloud.
	SinceChange int64 `json:"sinceChange"`
	// Total are all that were ever counted.
	Total int64 `json:"total"`
	// ChangedAt is when sources, target, VNI, enabled or filter last changed in the cloud.
	ChangedAt *metav1.Time `json:"changedAt,omitempty"`
	// LastAt is when the last one came.
	LastAt *metav1.Time `json:"lastAt,omitempty"`
	// SecondsApart is how many seconds lay between two of them, on average since the last
	// change; absent with less than three.
	SecondsApart float64 `json:"secondsApart,omitempty"`
}

// Answer is what is said of one session. As JSON and YAML its fields keep their names and
// meaning.
type Answer struct {
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
	// Verdict is Flowing, CauseFound or Undecided.
	Verdict Verdict `json:"verdict"`
	State   State   `json:"state"`
	// Before is the state that was known last, where State is Unknown because the status may be
	// of before.
	Before State `json:"before,omitempty"`
	// Headline says the state, and what belongs to it, in a line.
	Headline string `json:"headline"`
	// ObservedAt is when the manager last wrote the status, or later if a request was answered.
	ObservedAt *metav1.Time `json:"observedAt,omitempty"`
	// Notes say why the status may be of before.
	Notes  []string `json:"notes,omitempty"`
	Copies Copies   `json:"copies"`
	Rows   []Row    `json:"rows"`
	// Probe is status.probe, where one was asked for with the answer.
	Probe *v1alpha1.Probe `json:"probe,omitempty"`
	// Changes are those of status.changes from shortly before the copies stopped on, the oldest
	// first.
	Changes []v1alpha1.Change `json:"changes,omitempty"`
	// Causes are the findings, the worst first, those that only repeat the state left out.
	Causes []v1alpha1.Finding `json:"causes,omitempty"`
	// Try is what to do next where no cause is known.
	Try string `json:"try,omitempty"`
	// Now is when the answer was given.
	Now metav1.Time `json:"now"`
}

// AnswerList is what several sessions get.
type AnswerList struct {
	// Items are sorted: the worst first, then by namespace and name.
	Items []Answer `json:"items"`
}

// Of answers why the copies of a session do or don't arrive.
func Of(f Facts) Answer {
	k := knowledge{Facts: f}
	k.count()
	state := k.state()
	a := Answer{
		Namespace: f.Session.Namespace, Name: f.Session.Name, State: state, Copies: k.copies, Now: metav1.NewTime(f.Now),
		ObservedAt: k.observedAt(), Notes: k.notes(), Causes: k.causes(), Probe: f.Probe,
	}
	a.Headline = k.headline(state)
	a.Rows, a.Changes = append(k.rows(state), probeRows(f.Probe)...), k.changes(state)
	if len(a.Notes) > 0 && state != Unknown {
		a.State, a.Before, a.Headline = Unknown, state, words[Unknown]+", before it was "+a.Headline
	}
	a.Verdict = verdictOf(a)
	if a.State == Quiet || lostProbe(a.Probe) && len(a.Causes) == 0 {
		a.Try = try(a)
	}
	return a
}

func verdictOf(a Answer) Verdict {
	switch {
	case len(a.Notes) > 0:
		return Undecided
	case slices.ContainsFunc(a.Causes, needsPerson), a.State == Off, lostProbe(a.Probe):
		return CauseFound
	case a.State == CopiesArrive && a.Rows[0].Mark == OK: // what the cloud copies is what the spec says
		return Flowing
	default:
		return Undecided
	}
}

// needsPerson reports whether somebody has to do something about a finding.
func needsPerson(f v1alpha1.Finding) bool {
	return f.Severity == v1alpha1.SeverityError || f.Severity == v1alpha1.SeverityWarning
}

// Worst is the verdict of several answers together: one cause outweighs all that is undecided.
// Without any answer nothing is decided.
func Worst(answers []Answer) Verdict {
	if len(answers) == 0 {
		return Undecided
	}
	return slices.MinFunc(answers, func(a, b Answer) int { return a.Verdict.rank() - b.Verdict.rank() }).Verdict
}

// rank is 0 for the worst.
func (v Verdict) rank() int { return slices.Index([]Verdict{CauseFound, Undecided, Flowing}, v) }

// Sort brings the worst answers to the front: those with a cause first, of these the ones with
// the more severe, then by namespace and name.
func Sort(answers []Answer) {
	severity := func(a Answer) int {
		if len(a.Causes) == 0 {
			return len(severities)
		}
		return slices.Index(severities, a.Causes[0].Severity)
	}
	slices.SortStableFunc(answers, func(a, b Answer) int {
		return cmp.Or(a.Verdict.rank()-b.Verdict.rank(), severity(a)-severity(b), cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
	})
}

var severities = []v1alpha1.Severity{v1alpha1.SeverityError, v1alpha1.SeverityWarning, v1alpha1.SeverityInfo}
