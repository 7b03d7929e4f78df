package play

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"vpcmirror.io/operator/test/live/account"
	"vpcmirror.io/operator/test/live/compare"
	"vpcmirror.io/operator/test/live/ledger"
)

// deleteOpen deletes what the ledger says is there.
func (s *Side) deleteOpen(ctx context.Context, name string) error {
	var left []error
	for _, made := range s.Ledger.Open() {
		if made.ID == "" {
			continue // the search by mark finds it
		}
		if err := s.delete(ctx, made.Kind, made.ID, name); err != nil {
			left = append(left, err)
		}
	}
	return errors.Join(left...)
}

func (s *Side) delete(ctx context.Context, kind ledger.Kind, id, name string) error {
	answer, err := s.call(ctx, account.Request{
		Service: account.VPC, Method: http.MethodDelete, Path: s.path(kind) + "/" + id, Case: name, Step: "clean up",
	})
	switch {
	case err != nil:
		return fmt.Errorf("delete %s %s: %w", kind, id, err)
	case !gone(answer):
		code, message := compare.ErrorOf(answer.Body)
		return fmt.Errorf("delete %s %s: status %d %s %s %s", kind, id, answer.Status, code, message, failureOf(answer))
	}
	return nil
}

func (s *Side) path(kind ledger.Kind) string {
	return "/v3/" + s.Vars["project"] + "/vpc/" + string(kind)
}

// Clean deletes all that the ledger and the mark say is there, and returns what is left. Where the ledger has creates of which
// nothing is known, their effect may come later than their answer would have: it looks once more after lag.
func (s *Side) Clean(ctx context.Context, lag time.Duration) error {
	failed := s.deleteOpen(ctx, "")
	if err := s.deleteMarked(ctx); err != nil {
		return errors.Join(failed, err)
	}
	if slices.ContainsFunc(s.Ledger.Open(), func(m ledger.Made) bool { return m.ID == "" }) {
		if err := account.Pause(ctx, lag); err != nil {
			return fmt.Errorf("wait for creates that were not answered: %w", err)
		}
		if err := s.deleteMarked(ctx); err != nil {
			return err
		}
	}
	left, err := s.leftMarked(ctx)
	switch {
	case err != nil:
		return errors.Join(failed, err)
	case len(left) > 0:
		return errors.Join(failed, fmt.Errorf("left in the account: %s", describe(left)))
	}
	// What the ledger has and the lists do not show is asked for by its ID: a text may have lost its mark.
	if err := s.deleteOpen(ctx, ""); err != nil {
		return fmt.Errorf("left in the account: %w", err)
	}
	return s.Ledger.Searched()
}

// leftMarked lists what still bears the mark, once lists had time to show that the rest is gone.
func (s *Side) leftMarked(ctx context.Context) ([]found, error) {
	began := time.Now()
	for {
		left, err := s.marked(ctx)
		if err != nil || len(left) == 0 || time.Since(began) >= s.patience() {
			return left, err
		}
		if err := account.Pause(ctx, max(s.interval(), s.patience()/10)); err != nil {
			return nil, err
		}
	}
}

// found is an object that bears the mark.
type found struct {
	Kind ledger.Kind
	object
}

func describe(objects []found) string {
	var out []string
	for _, o := range objects {
		out = append(out, string(o.Kind)+" "+o.ID)
	}
	return strings.Join(out, ", ")
}

// deleteMarked deletes what bears the mark. One that can't be deleted does not keep the others from it, and marked finds it
// again.
func (s *Side) deleteMarked(ctx context.Context) error {
	objects, err := s.marked(ctx)
	if err != nil {
		return err
	}
	for _, o := range objects {
		if !s.Ledger.Owns(o.ID) {
			number, err := s.Ledger.Creating(o.Kind)
			if err == nil {
				err = s.Ledger.Created(number, o.Kind, o.ID)
			}
			if err != nil {
				return err
			}
		}
		if err := s.delete(ctx, o.Kind, o.ID, ""); errors.Is(err, account.ErrBudget) || ctx.Err() != nil {
			return err
		}
	}
	return nil
}

// marked lists the objects that bear the mark, in the order in which they have to be deleted.
func (s *Side) marked(ctx context.Context) ([]found, error) {
	mark := s.Ledger.Run().Mark
	if !strings.HasPrefix(mark, account.MarkPrefix) || len(mark) <= len(account.MarkPrefix) {
		return nil, fmt.Errorf("%q is no mark of a run", mark)
	}
	var out []found
	for _, kind := range ledger.Kinds() {
		objects, err := s.list(ctx, kind)
		if err != nil {
			return nil, err
		}
		for _, o := range objects {
			if strings.Contains(o.Name, mark) || strings.Contains(o.Description, mark) {
				out = append(out, found{kind, o})
			}
		}
	}
	return out, nil
}

// maxPages bounds a list: 2000 objects a page.
const maxPages = 50

// list reads all pages of a list. A list that can't be read whole is an error.
func (s *Side) list(ctx context.Context, kind ledger.Kind) ([]object, error) {
	var out []object
	query := url.Values{"limit": {"2000"}}
	for range maxPages {
		answer, err := s.send(ctx, account.Request{
			Service: account.VPC, Method: http.MethodGet, Path: s.path(kind), Query: query, Step: "search by the mark",
		})
		if err != nil {
			return nil, fmt.Errorf("list %s: %w", kind, err)
		}
		if answer.Status != http.StatusOK {
			code, message := compare.ErrorOf(answer.Body)
			return nil, fmt.Errorf("list %s: status %d %s %s %s", kind, answer.Status, code, message, failureOf(answer))
		}
		objects, next, err := page(answer.Body)
		if err != nil {
			return nil, fmt.Errorf("list %s: %w", kind, err)
		}
		out = append(out, objects...)
		if next == "" || next == query.Get("marker") {
			return out, nil
		}
		query.Set("marker", next)
	}
	return nil, fmt.Errorf("list %s: it has more than %d pages", kind, maxPages)
}

// page reads one page of a list: its one array of objects. One foreign object of odd types does not hide the others.
func page(body []byte) (objects []object, next string, err error) {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(body, &fields); err != nil {
		return nil, "", fmt.Errorf("read the page: %w", err)
	}
	var info struct {
		Next string `json:"next_marker"`
	}
	arrays := 0
	for key, value := range fields {
		var items []json.RawMessage
		switch {
		case key == "page_info":
			if err := json.Unmarshal(value, &info); err != nil {
				return nil, "", fmt.Errorf("read page_info: %w", err)
			}
		case json.Unmarshal(value, &items) == nil && string(value) != "null":
			arrays++
			for _, item := range items {
				var o object
				_ = json.Unmarshal(item, &o) // what can be read of it is enough
				objects = append(objects, o)
			}
		}
	}
	if arrays != 1 {
		return nil, "", fmt.Errorf("the page has %d lists where one was expected", arrays)
	}
	return objects, info.Next, nil
}

// Priorities returns so many priorities that no session of the account has, the largest first: a session with one of these
// comes after every other.
func (s *Side) Priorities(ctx context.Context, wanted int) ([]int, error) {
	objects, err := s.list(ctx, ledger.Session)
	if err != nil {
		return nil, err
	}
	taken := map[int]bool{}
	for _, o := range objects {
		taken[o.Priority] = true
	}
	var out []int
	for p := 32766; p > 0 && len(out) < wanted; p-- {
		if !taken[p] {
			out = append(out, p)
		}
	}
	if len(out) < wanted {
		return nil, fmt.Errorf("the account has only %d free priorities of sessions, and %d are needed", len(out), wanted)
	}
	return out, nil
}
