package live

import (
	"context"
	"fmt"
	"io"
	"math"
	"slices"

	"vpcmirror.io/operator/test/bench/result"
)

// cell is what is measured of one reader at one rate.
type cell struct {
	rate   int
	reader reader
	rounds []round  // those that stand
	voids  []string // why others don't
	wrong  string   // why all of it is void, whatever else was measured

	frames, inBooks uint64 // of all rounds
}

// mostVoids is how many rounds in a row may be void before a cell is given up.
const mostVoids = 2

// fill adds a round to the cell. One that was disturbed, or could not be played, is played once
// more. An error is that of the context.
func (c *cell) fill(ctx context.Context, measure func(context.Context, int, reader) (round, error), out io.Writer) error {
	for range mostVoids {
		if c.wrong != "" || len(c.rounds) == 0 && len(c.voids) >= mostVoids {
			return nil
		}
		r, err := measure(ctx, c.rate, c.reader)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil:
			fmt.Fprintf(out, "%-10s %-24s void: %v\n", rateName(c.rate), c.reader, err)
			c.voids = append(c.voids, err.Error())
			continue
		}
		fmt.Fprintln(out, r.String())
		if c.take(&r) {
			return nil
		}
	}
	return nil
}

// take judges a round and reports whether it stands.
func (c *cell) take(r *round) bool {
	if r.reader.readsFrames() {
		c.frames += r.arrived
		c.inBooks += r.books.Counted + r.books.Drops
	}
	if c.wrong = r.unbalanced(); c.wrong != "" {
		return false
	}
	if why := r.disturbed(); why != "" {
		c.voids = append(c.voids, why)
		return false
	}
	c.rounds = append(c.rounds, *r)
	return true
}

// void says why the cell's figures mean nothing, empty where they do: most rounds have to stand.
func (c *cell) void(runs int) string {
	switch {
	case c.wrong != "":
		return c.wrong
	case 2*len(c.rounds) > runs:
		return ""
	case len(c.voids) == 0:
		return "it was not measured"
	}
	return c.voids[len(c.voids)-1]
}

// median of a figure of the rounds that stand, not a number without any.
func (c *cell) median(of func(*round) float64) float64 {
	if len(c.rounds) == 0 {
		return math.NaN()
	}
	all := make([]float64, len(c.rounds))
	for i := range c.rounds {
		all[i] = of(&c.rounds[i])
	}
	slices.Sort(all)
	if n := len(all); n%2 == 0 {
		return (all[n/2-1] + all[n/2]) / 2
	}
	return all[len(all)/2]
}

// cells are all cells, by rate and then in the order of readers.
type cells []*cell

func newCells(rates []int) cells {
	var all cells
	for _, rate := range rates {
		for _, r := range readers {
			all = append(all, &cell{rate: rate, reader: r})
		}
	}
	return all
}

func (all cells) at(rate int, who reader) *cell {
	return all[slices.IndexFunc(all, func(c *cell) bool { return c.rate == rate && c.reader == who })]
}

// Goals, us of the verifier's CPU for a frame.
const (
	mostAtFull    = 0.06
	mostBelow     = 0.12 // at 50 kpps, where waking up costs most, and above
	mostToTcpdump = 1.0  // times tcpdump -w at full speed
)

func rateName(rate int) string {
	if rate == full {
		return "full speed"
	}
	return fmt.Sprintf("%d kpps", rate/1000)
}

// rows makes the table.
func (all cells) rows(runs int) []result.Row {
	var frames, inBooks uint64
	wrong := ""
	for _, c := range all {
		if c.reader == counting {
			frames, inBooks, wrong = frames+c.frames, inBooks+c.inBooks, first(wrong, c.wrong)
		}
	}
	least := float64(frames)
	if frames == 0 {
		wrong, least = first(wrong, "no frame was read"), 1
	}
	rows := []result.Row{{
		What: "live, frames in the verifier's books", Value: float64(inBooks), Unit: fmt.Sprintf("of %d", frames),
		AtLeast: least, AtMost: float64(frames), Count: true, Void: wrong,
	}}
	var rates []int
	for _, c := range all {
		if !slices.Contains(rates, c.rate) {
			rates = append(rates, c.rate)
		}
	}
	for _, rate := range rates {
		rows = append(rows, all.rowsAt(rate, runs)...)
	}
	return rows
}

func (all cells) rowsAt(rate, runs int) []result.Row {
	name := "live, " + rateName(rate) + ", "
	var rows []result.Row
	for _, who := range []reader{counting, unread, writing, printing} {
		c := all.at(rate, who)
		row := result.Row{What: name + string(who), Value: c.median((*round).perFrame), Unit: "us/packet", Void: c.void(runs)}
		switch {
		case who == counting && rate == full:
			row.AtMost = mostAtFull
		case who == counting:
			row.AtMost = mostBelow
		}
		rows = append(rows, row)
	}
	own, other := all.at(rate, counting), all.at(rate, writing)
	ratio := result.Row{What: name + "verifier against tcpdump -w", Unit: "x tcpdump -w", Void: first(own.void(runs), other.void(runs))}
	if rate == full {
		ratio.AtMost = mostToTcpdump
	}
	ratio.Value = own.median((*round).perFrame) / other.median((*round).perFrame)
	rows = append(rows, ratio)
	alone := all.at(rate, nobody)
	for _, who := range []reader{refusing, unread, counting, writing, printing} {
		c := all.at(rate, who)
		rows = append(rows, result.Row{
			What: name + "sender's extra, " + string(who), Value: c.median((*round).perSent) - alone.median((*round).perSent), Unit: "us/packet",
			Void: first(c.void(runs), alone.void(runs)),
		})
	}
	if rate == full {
		rows = append(rows, all.rowsOfRates(runs)...)
	}
	return rows
}

// rowsOfRates are how fast the sender was at full speed, and what was lost then.
func (all cells) rowsOfRates(runs int) []result.Row {
	var rows []result.Row
	for _, who := range readers {
		c := all.at(full, who)
		rows = append(rows, result.Row{What: "live, full speed, rate with " + string(who), Value: c.median((*round).reached) / 1000, Unit: "kpps", Void: c.void(runs)})
	}
	for _, who := range []reader{counting, writing, printing} {
		c := all.at(full, who)
		rows = append(rows, result.Row{What: "live, full speed, lost by " + string(who), Value: c.median((*round).lost), Unit: "% of the frames", Void: c.void(runs)})
	}
	return rows
}

func first(texts ...string) string {
	for _, text := range texts {
		if text != "" {
			return text
		}
	}
	return ""
}

// String is the round in one line.
func (r *round) String() string {
	line := fmt.Sprintf("%-10s %-24s sent %8d in %.2f s, sender %.3f us", rateName(r.rate), r.reader, r.sent.Frames, r.sent.Time.Seconds(), r.perSent())
	if r.reader.readsFrames() {
		line += fmt.Sprintf(", reader %.4f us, counted %d, dropped %d", r.perFrame(), r.books.Counted, r.books.Drops)
	}
	if why := first(r.unbalanced(), r.disturbed()); why != "" {
		line += "; void: " + why
	}
	return line
}
