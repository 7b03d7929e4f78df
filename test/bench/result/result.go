// Package result is the table that a benchmark prints: each row is one figure beside its goal. It
// may import nothing of ours.
package result

import (
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"text/tabwriter"
)

// Row is one figure.
type Row struct {
	// What was measured, in a few words that don't change from run to run.
	What string
	// Value in Unit, such as "us/packet", "x tcpdump -w", "calls", "% of a core", "MiB"; not a
	// number (NaN) where nothing was measured.
	Value float64
	Unit  string
	// AtMost and AtLeast are the goal; 0 for none of that side. A row without either is shown for
	// comparison only.
	AtMost, AtLeast float64
	// Count is true for what does not depend on the machine's speed: calls, reads, writes. Such a
	// goal is held in CI too.
	Count bool
	// Void says why the figure means nothing, as when the books don't balance to the packet; empty
	// where it does. A void row with a goal counts as missed.
	Void string
}

// Missed reports whether the row has a goal and misses it.
func (r Row) Missed() bool {
	hasGoal := r.AtMost != 0 || r.AtLeast != 0
	return hasGoal && r.Void != "" || r.AtMost != 0 && r.Value > r.AtMost || r.AtLeast != 0 && r.Value < r.AtLeast
}

func (r Row) goal() string {
	switch {
	case r.AtMost != 0 && r.AtMost == r.AtLeast:
		return "exactly " + figure(r.AtMost)
	case r.AtMost != 0:
		return "at most " + figure(r.AtMost)
	case r.AtLeast != 0:
		return "at least " + figure(r.AtLeast)
	default:
		return "-"
	}
}

func (r Row) verdict() string {
	switch {
	case r.Void != "":
		return "void: " + r.Void
	case r.AtMost == 0 && r.AtLeast == 0:
		return ""
	case r.Missed():
		return "MISSED"
	default:
		return "ok"
	}
}

// figure writes a number with four digits at most, or whole where it is large.
func figure(v float64) string {
	switch {
	case math.IsNaN(v):
		return "-"
	case math.Abs(v) >= 1000:
		return strconv.FormatFloat(v, 'f', 0, 64)
	}
	return strconv.FormatFloat(v, 'g', 4, 64)
}

// Print writes the table.
func Print(w io.Writer, rows []Row) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "what\tvalue\tunit\tgoal\t")
	for _, r := range rows {
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\n", r.What, figure(r.Value), r.Unit, r.goal(), r.verdict())
	}
	if err := table.Flush(); err != nil {
		return fmt.Errorf("print the table: %w", err)
	}
	return nil
}

// Err names the rows that are missed, nil when none is. With countsAlone the others are left out:
// what depends on the machine's speed decides nothing in CI.
func Err(rows []Row, countsAlone bool) error {
	var errs []error
	for _, r := range rows {
		switch {
		case !r.Missed() || countsAlone && !r.Count:
		case r.Void != "":
			errs = append(errs, fmt.Errorf("%s: void: %s", r.What, r.Void))
		default:
			errs = append(errs, fmt.Errorf("%s: %s %s, the goal is %s", r.What, figure(r.Value), r.Unit, r.goal()))
		}
	}
	return errors.Join(errs...)
}
