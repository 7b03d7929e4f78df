// Package report writes what a run found: one table for people, one file of JSON for programs.
//
// It may import test/live/compare and test/live/play.
package report

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
	"unicode/utf8"

	"vpcmirror.io/operator/test/live/compare"
	"vpcmirror.io/operator/test/live/play"
)

// Report is a run. Values have placeholders, so that it names no account, ID or address; what Stopped and Remains say of an
// error may.
type Report struct {
	Began time.Time     `json:"began"`
	Took  time.Duration `json:"took_ns"`
	// Mark is that of the run, which the left side and the right side share.
	Mark  string `json:"mark"`
	Left  Side   `json:"left"`
	Right Side   `json:"right"`
	// Cases are all of the table that were selected.
	Cases []Case `json:"cases"`
	// Differences are joined over the cases that show the same.
	Differences []compare.Difference `json:"differences"`
	// Stopped says why the run ended before its end; empty otherwise.
	Stopped string `json:"stopped,omitempty"`
	// Remains says what could not be deleted; empty when all is gone.
	Remains string `json:"remains,omitempty"`
}

// Side is one of the two.
type Side struct {
	Name      string         `json:"name"`
	Calls     int            `json:"calls"`
	Throttled int            `json:"throttled"`
	Latencies []play.Latency `json:"latencies"`
	Waits     []play.Wait    `json:"waits"`
}

// Case is one question and what both sides answered.
type Case struct {
	Name    string `json:"name"`
	Asks    string `json:"asks"`
	Skipped string `json:"skipped,omitempty"`
	// Differs counts the deciding differences.
	Differs int            `json:"differs"`
	Left    []compare.Step `json:"left,omitempty"`
	Right   []compare.Step `json:"right,omitempty"`
}

// JSON writes the whole report.
func (r *Report) JSON(out io.Writer) error {
	encoder := json.NewEncoder(out)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	return encoder.Encode(r)
}

// Text writes what a person reads.
func (r *Report) Text(out io.Writer) error {
	w := &writer{out: out}
	r.differences(w)
	r.skipped(w)
	r.latencies(w)
	r.summary(w)
	return w.err
}

// writer keeps the first error.
type writer struct {
	out io.Writer
	err error
}

func (w *writer) printf(format string, args ...any) {
	if w.err == nil {
		_, w.err = fmt.Fprintf(w.out, format, args...)
	}
}

// table writes rows whose cells are joined by tabs.
func (w *writer) table(rows []string) {
	tabs := tabwriter.NewWriter(w.out, 0, 0, 2, ' ', 0)
	for _, row := range rows {
		if w.err == nil {
			_, w.err = fmt.Fprintln(tabs, row)
		}
	}
	if w.err == nil {
		w.err = tabs.Flush()
	}
}

// Bounds of a cell, in characters.
const (
	maxName  = 78
	maxValue = 60
)

func (r *Report) differences(w *writer) {
	deciding := slices.DeleteFunc(slices.Clone(r.Differences), func(d compare.Difference) bool { return !d.Kind.Decides() })
	words := slices.DeleteFunc(slices.Clone(r.Differences), func(d compare.Difference) bool { return d.Kind.Decides() })
	if len(deciding) > 0 {
		rows := []string{strings.Join([]string{"DIFFERENCE", strings.ToUpper(r.Left.Name), strings.ToUpper(r.Right.Name), "CASES", "WHAT IT IS"}, "\t")}
		for _, d := range deciding {
			rows = append(rows, strings.Join([]string{cut(d.Name(), maxName), cut(d.Left, maxValue), cut(d.Right, maxValue), fmt.Sprint(len(d.Cases)), is(d)}, "\t"))
		}
		w.table(rows)
		w.printf("\n")
	}
	if len(words) > 0 {
		w.printf("Messages with other words, which decide nothing:\n")
		for _, d := range words {
			w.printf("  %s (%s)\n    %-10s %s\n    %-10s %s\n", d.Name(), plural(len(d.Cases), "case"), r.Left.Name, d.Left, r.Right.Name, d.Right)
		}
		w.printf("\n")
	}
}

// is says what becomes of a difference.
func is(d compare.Difference) string {
	if len(d.Explained) > 0 {
		return "known: " + strings.Join(d.Explained, ", ")
	}
	return "new"
}

// cut bounds a cell.
func cut(text string, most int) string {
	if utf8.RuneCountInString(text) <= most {
		return text
	}
	runes := []rune(text)
	return string(runes[:most-10]) + "..." + string(runes[len(runes)-7:])
}

func (r *Report) skipped(w *writer) {
	why := map[string][]string{}
	var order []string
	for _, c := range r.Cases {
		if c.Skipped == "" {
			continue
		}
		if why[c.Skipped] == nil {
			order = append(order, c.Skipped)
		}
		why[c.Skipped] = append(why[c.Skipped], c.Name)
	}
	for _, reason := range order {
		w.printf("%s, %s: %s\n", plural(len(why[reason]), "case"), reason, strings.Join(why[reason], ", "))
	}
	if len(order) > 0 {
		w.printf("\n")
	}
}

// latencies are told and never judged.
func (r *Report) latencies(w *writer) {
	left := map[string]play.Latency{}
	for _, l := range r.Left.Latencies {
		left[l.Call] = l
	}
	rows := []string{strings.Join([]string{"CALL", "COUNT", strings.ToUpper(r.Left.Name) + " MEDIAN", "P95", strings.ToUpper(r.Right.Name) + " MEDIAN", "P95", "MAX"}, "\t")}
	for _, l := range r.Right.Latencies {
		other := left[l.Call]
		rows = append(rows, strings.Join([]string{l.Call, fmt.Sprint(l.Count), round(other.Median), round(other.P95), round(l.Median), round(l.P95), round(l.Max)}, "\t"))
	}
	for _, wait := range r.Right.Waits {
		if wait.Looks != "at once" {
			rows = append(rows, strings.Join([]string{wait.Step + " " + wait.Looks, "", "", "", "", "", round(wait.After)}, "\t"))
		}
	}
	if len(rows) > 1 {
		w.table(rows)
		w.printf("\n")
	}
}

func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

func round(d time.Duration) string { return d.Round(100 * time.Microsecond).String() }

func (r *Report) summary(w *writer) {
	asked, differ := 0, 0
	for _, c := range r.Cases {
		if c.Skipped == "" {
			asked++
		}
		if c.Differs > 0 {
			differ++
		}
	}
	known := 0
	for _, d := range r.Differences {
		if d.Kind.Decides() && len(d.Explained) > 0 {
			known++
		}
	}
	deciding := compare.Deciding(r.Differences)
	w.printf("%s asked of %s and %s, %d not asked; %d answered differently: %s, %d of them known, %d new; %d of words alone.\n",
		plural(asked, "case"), r.Left.Name, r.Right.Name, len(r.Cases)-asked, differ, plural(deciding, "difference"), known, deciding-known, len(r.Differences)-deciding)
	for _, s := range []Side{r.Left, r.Right} {
		w.printf("%s: %s, %d of them throttled.\n", s.Name, plural(s.Calls, "call"), s.Throttled)
	}
	if r.Stopped != "" {
		w.printf("STOPPED before the end: %s\n", r.Stopped)
	}
	if r.Remains != "" {
		w.printf("NOT CLEAN: %s\n", r.Remains)
	} else {
		w.printf("Nothing with the mark %s is left.\n", r.Mark)
	}
}
