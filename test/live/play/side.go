// Package play puts the cases to one account: it fills in what a case leaves open, keeps the ledger around each create, waits
// where a case waits, deletes what a case made before the next one, and cleans up by ledger and by mark.
//
// It may import test/live/account, test/live/cases, test/live/compare and test/live/ledger.
package play

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"vpcmirror.io/operator/test/live/account"
	"vpcmirror.io/operator/test/live/cases"
	"vpcmirror.io/operator/test/live/compare"
	"vpcmirror.io/operator/test/live/ledger"
)

// Side is one account that is asked.
type Side struct {
	// Name is its column in the report.
	Name   string
	Client *account.Client
	Ledger *ledger.File
	// Vars are the values that every case begins with: project, region, mark, source, source2, target, priorities, and IDs
	// of nothing.
	Vars cases.Vars
	// Patience is how long a step waits for what it waits for (10 s when 0), and Interval how often it looks (200 ms).
	Patience, Interval time.Duration
	// Times are those of all calls.
	Times Times
	// Throttled counts the answers 429.
	Throttled int

	// behind is how long reads have been seen to lag behind writes, and wrote that there was a write since the last wait for
	// that.
	behind time.Duration
	wrote  bool
}

// Result is what one side answered in a case.
type Result struct {
	Case  string
	Steps []compare.Step
	// Left says what could not be deleted after it.
	Left error
}

// Skip is why a case can't be asked; empty where it can.
func (s *Side) Skip(c cases.Case) string {
	for _, name := range c.Needs {
		if s.Vars[name] == "" {
			return fmt.Sprintf("not asked: no %s was given", name)
		}
	}
	return ""
}

// Play puts a case, and deletes what it made. An error means that the run can't go on: it was interrupted, the budget is used
// up, the ledger can't be written, or a write was refused by the guard. The result has the steps so far then.
func (s *Side) Play(ctx context.Context, c cases.Case) (Result, error) {
	result := Result{Case: c.Name}
	vars := maps.Clone(s.Vars)
	var failed error
	for _, step := range c.Steps {
		if ctx.Err() != nil {
			failed = fmt.Errorf("interrupted: %w", context.Cause(ctx))
			break
		}
		var answered compare.Step
		if answered, failed = s.step(ctx, c, step, vars); failed != nil {
			break
		}
		result.Steps = append(result.Steps, answered)
	}
	if failed != nil {
		return result, fmt.Errorf("play %s: %w", c.Name, failed)
	}
	result.Left = s.deleteOpen(ctx, c.Name)
	return result, nil
}

// step makes one call, again and again where it waits for something.
func (s *Side) step(ctx context.Context, c cases.Case, step cases.Step, vars cases.Vars) (compare.Step, error) {
	out := compare.Step{Name: step.Name}
	request, err := s.request(c, step, vars)
	text := ""
	if err == nil {
		text, err = vars.Text(step.Text)
	}
	var unknown *cases.UnknownError
	if errors.As(err, &unknown) {
		out.Skipped = "not asked: " + unknown.Error()
		return out, nil
	}
	if err != nil {
		return out, err
	}
	if err := s.settle(ctx, step); err != nil {
		return out, err
	}
	began, looks := time.Now(), ""
	var answer account.Answer
	for n := 1; ; n++ {
		if answer, err = s.call(ctx, request); err != nil {
			return out, err
		}
		if step.Until == "" {
			break
		}
		if looks = s.looked(answer, step.Until, text, n, time.Since(began)); looks != "" {
			s.waited(step.Name, time.Since(began), looks)
			break
		}
		if err := account.Pause(ctx, s.interval()); err != nil {
			return out, err
		}
	}
	vars.Save(step, answer.Body)
	out.Observation = compare.Observe(compare.Answer{
		Status: answer.Status, Header: answer.Header, Body: answer.Body, Failure: failureOf(answer),
	}, step.View, names(vars, step.View))
	out.Observation.Looks = looks
	return out, nil
}

// mostBehind bounds for how long a read is put off.
const mostBehind = 5 * time.Second

func (s *Side) waited(name string, d time.Duration, looks string) {
	s.Times.Waited(name, d, looks)
	if looks != "at once" {
		s.behind = min(max(s.behind, 2*d), mostBehind)
	}
}

// settle puts a read after a write off where reads lag behind: how long that takes is asked by cases of its own, and the others
// would all differ by it.
func (s *Side) settle(ctx context.Context, step cases.Step) error {
	if step.Method != http.MethodGet || step.Until != "" || !s.wrote || s.behind == 0 {
		return nil
	}
	s.wrote = false
	return account.Pause(ctx, s.behind)
}

func (s *Side) request(c cases.Case, step cases.Step, vars cases.Vars) (account.Request, error) {
	path, query, body, err := vars.Of(step)
	if err != nil {
		return account.Request{}, err
	}
	service := account.VPC
	if step.IAM {
		service = account.IAM
	}
	return account.Request{Service: service, Method: step.Method, Path: path, Query: query, Body: body, Case: c.Name, Step: step.Name}, nil
}

// looked says whether what a step waits for is there: at once, later, or never; empty where it should look again.
func (s *Side) looked(answer account.Answer, until cases.Until, text string, n int, waited time.Duration) string {
	shown := answer.Status == http.StatusOK && bytes.Contains(answer.Body, []byte(text))
	gone := answer.Status == http.StatusNotFound || answer.Status == http.StatusOK && !shown
	switch {
	case until == cases.Shown && shown, until == cases.Gone && gone:
		if n == 1 {
			return "at once"
		}
		return "later"
	case waited >= s.patience():
		return "never"
	}
	return ""
}

func (s *Side) patience() time.Duration {
	if s.Patience == 0 {
		return 10 * time.Second
	}
	return s.Patience
}

func (s *Side) interval() time.Duration {
	if s.Interval == 0 {
		return 200 * time.Millisecond
	}
	return s.Interval
}

func failureOf(a account.Answer) string {
	if a.Err == nil {
		return ""
	}
	return a.Err.Error()
}

// names are the placeholders of a case: the values of its variables. IDs are random, so what a page of several objects shows
// can't go by which of them was made first: there they are numbered by their IDs.
func names(vars cases.Vars, view compare.View) compare.Names {
	out := compare.Names{}
	for _, name := range slices.Sorted(maps.Keys(vars)) {
		if value := vars[name]; value != "" && out[value] == "" && !strings.HasPrefix(name, "page") {
			out[value] = name
		}
	}
	if view != compare.Page {
		return out
	}
	numbers := map[string]int{}
	for _, id := range slices.Sorted(maps.Keys(out)) {
		noun := strings.TrimRight(out[id], "0123456789")
		if slices.Contains([]string{"filter", "rule", "session"}, noun) {
			numbers[noun]++
			out[id] = fmt.Sprintf("%s %d by ID", noun, numbers[noun])
		}
	}
	return out
}

// call sends a request, with the ledger kept around a create and a delete.
func (s *Side) call(ctx context.Context, r account.Request) (account.Answer, error) {
	s.wrote = s.wrote || r.Method != http.MethodGet
	if r.Method == http.MethodPost {
		return s.create(ctx, r)
	}
	answer, err := s.send(ctx, r)
	if err != nil {
		return answer, err
	}
	if kind, id := objectOf(r.Path); r.Method == http.MethodDelete && gone(answer) && s.Ledger.Owns(id) {
		return answer, s.Ledger.Deleted(kind, id)
	}
	return answer, nil
}

func (s *Side) send(ctx context.Context, r account.Request) (account.Answer, error) {
	answer, err := s.Client.Do(ctx, r)
	if err != nil {
		return answer, err
	}
	s.Throttled += answer.Throttled
	if answer.Status != 0 {
		s.Times.Took(r.Method, r.Path, answer.Took)
	}
	return answer, nil
}

// create sends a create once the ledger says that it will.
func (s *Side) create(ctx context.Context, r account.Request) (account.Answer, error) {
	kind := kindOf(r.Path)
	number, err := s.Ledger.Creating(kind)
	if err != nil {
		return account.Answer{}, err
	}
	answer, err := s.send(ctx, r)
	if err != nil {
		return answer, errors.Join(err, s.Ledger.Refused(number, kind, "nothing was sent"))
	}
	ids := idsOf(answer.Body)
	switch {
	case answer.Status >= 400 && answer.Status < 500:
		return answer, s.Ledger.Refused(number, kind, fmt.Sprintf("status %d", answer.Status))
	case answer.Status >= 200 && answer.Status < 300 && len(ids) > 0:
		if err := s.Ledger.Created(number, kind, ids[0]); err != nil {
			return answer, err
		}
		for _, id := range ids[1:] {
			further, err := s.Ledger.Creating(kind)
			if err == nil {
				err = s.Ledger.Created(further, kind, id)
			}
			if err != nil {
				return answer, err
			}
		}
		return answer, nil
	}
	return answer, s.Ledger.Unknown(number, kind, fmt.Sprintf("status %d %s", answer.Status, failureOf(answer)))
}

// kindOf tells which kind a create makes, by the last part of its path that names one.
func kindOf(path string) ledger.Kind {
	for _, part := range slices.Backward(strings.Split(path, "/")) {
		for _, kind := range ledger.Kinds() {
			if part == string(kind) {
				return kind
			}
		}
	}
	return ""
}

// objectOf tells which object a path names.
func objectOf(path string) (ledger.Kind, string) {
	parts := strings.Split(path, "/")
	return kindOf(path), parts[len(parts)-1]
}

// idsOf finds the IDs of what an answer to a create has: one object, or a list of them.
func idsOf(body []byte) []string {
	var fields map[string]json.RawMessage
	if json.Unmarshal(body, &fields) != nil {
		return nil
	}
	var out []string
	for _, key := range slices.Sorted(maps.Keys(fields)) {
		var one object
		var several []object
		if json.Unmarshal(fields[key], &one) == nil && one.ID != "" {
			several = []object{one}
		} else if json.Unmarshal(fields[key], &several) != nil {
			continue
		}
		for _, o := range several {
			if o.ID != "" {
				out = append(out, o.ID)
			}
		}
	}
	return out
}

// object is what is read of each object.
type object struct {
	ID          string `json:"id"`
	Name        string `json:"name"`
	Description string `json:"description"`
	Priority    int    `json:"priority"`
}

// gone reports whether the answer to a delete says that the object does not exist. A gateway's 404 says only that there is no
// such call.
func gone(a account.Answer) bool {
	if a.Status == http.StatusNotFound {
		code, _ := compare.ErrorOf(a.Body)
		return !strings.HasPrefix(code, "APIGW.") && !strings.HasPrefix(code, "APIG.")
	}
	return a.Status >= 200 && a.Status < 300
}
