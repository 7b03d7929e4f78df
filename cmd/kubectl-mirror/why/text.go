package why

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"unicode"
	"unicode/utf8"

	"vpcmirror.io/operator/api/v1alpha1"
)

// Style is how text is written.
type Style struct {
	// Width is after how many characters lines are broken, or cut in a table; 0 for never.
	Width int
	// Colour marks what is good and bad.
	Colour bool
}

// Colours of a terminal.
const (
	bold   = "1"
	red    = "31"
	green  = "32"
	yellow = "33"
)

func (s Style) paint(colour, text string) string {
	if !s.Colour || colour == "" {
		return text
	}
	return "\x1b[" + colour + "m" + text + "\x1b[0m"
}

var colourOfVerdict = map[Verdict]string{Flowing: green, CauseFound: red, Undecided: yellow}

var colourOfMark = map[Mark]string{OK: green, Fail: red, Open: yellow, Seen: bold}

const (
	// columnOfText is where the text of a row begins: behind its mark and its name.
	columnOfText = 19
	// columnOfAdvice is where that of the last lines begins.
	columnOfAdvice = 7
)

// Text writes the answer for a person.
func (a Answer) Text(s Style) string {
	var b strings.Builder
	k := knowledge{Facts: Facts{Now: a.Now.Time}}
	headline := a.Headline
	if a.ObservedAt != nil {
		observed := fmt.Sprintf("looked at %s, %s ago)", k.moment(a.ObservedAt.Time), span(a.Now.Sub(a.ObservedAt.Time)))
		if said, hasDetail := strings.CutSuffix(headline, ")"); hasDetail {
			headline = said + "; " + observed
		} else {
			headline += " (" + observed
		}
	}
	title := s.lines("", 4, fmt.Sprintf("MirrorSession %s/%s: %s", a.Namespace, a.Name, headline))
	state, _, _ := strings.Cut(a.Headline, " (")
	b.WriteString(strings.Replace(strings.TrimPrefix(title, "    "), state, s.paint(colourOfVerdict[a.Verdict], state), 1))
	for _, note := range a.Notes {
		b.WriteString(s.lines("Note:", columnOfAdvice, note))
	}
	for _, row := range a.Rows {
		if len(row.Says) == 0 {
			row.Says = []string{""}
		}
		head := fmt.Sprintf("  %-4s  %s", row.Mark, row.Name)
		for _, says := range row.Says {
			b.WriteString(s.marked(row.Mark, s.lines(head, columnOfText, says)))
			head = ""
		}
	}
	for _, c := range a.Changes {
		b.WriteString(s.marked(Seen, s.lines(fmt.Sprintf("  %-4s  change", Seen), columnOfText,
			fmt.Sprintf("%s %s (%s)", k.moment(c.At.Time), c.What, authors[c.By]))))
	}
	b.WriteString(a.advice(s))
	return b.String()
}

// authors say who made a change.
var authors = map[v1alpha1.ChangedBy]string{
	v1alpha1.ChangedBySpec: "an edit of the spec", v1alpha1.ChangedByOperator: "by vpcmirror", v1alpha1.ChangedByCloud: "not by vpcmirror",
}

// advice writes the causes, each with what to do. What needs nobody is written only where
// nothing else explains that no copies arrive.
func (a Answer) advice(s Style) string {
	var b strings.Builder
	k := knowledge{Facts: Facts{Now: a.Now.Time}}
	for i, f := range a.Causes {
		if !needsPerson(f) && (i > 0 || a.Verdict == Flowing || a.State == Quiet) {
			break
		}
		cause := f.Reason
		if f.Subject != "" {
			cause += " (" + f.Subject + ")"
		}
		label := "Cause:"
		if i > 0 {
			label = "Also:"
		}
		b.WriteString(s.lines(label, columnOfAdvice, cause+", since about "+k.moment(f.Since.Time)))
		if f.Remedy != "" {
			b.WriteString(s.lines("Do:", columnOfAdvice, f.Remedy))
		}
	}
	if a.Try != "" {
		b.WriteString(s.lines("Try:", columnOfAdvice, a.Try))
	}
	return b.String()
}

// marked paints the mark at the beginning of a row.
func (s Style) marked(m Mark, row string) string {
	return strings.Replace(row, "  "+string(m)+" ", "  "+s.paint(colourOfMark[m], string(m))+" ", 1)
}

// lines writes a text behind a head, in lines that are not longer than the width; those from
// the second on begin at the same column.
func (s Style) lines(head string, column int, text string) string {
	var b strings.Builder
	line := head + strings.Repeat(" ", max(0, column-utf8.RuneCountInString(head)))
	empty := true
	for _, word := range strings.Fields(printable(text)) {
		if !empty && s.Width > 0 && utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word) > s.Width {
			b.WriteString(line + "\n")
			line, empty = strings.Repeat(" ", column), true
		}
		if !empty {
			line += " "
		}
		line, empty = line+word, false
	}
	b.WriteString(strings.TrimRight(line, " ") + "\n")
	return b.String()
}

// printable takes from a text what a terminal would obey: a status has names that others chose.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case !unicode.IsPrint(r):
			return utf8.RuneError
		default:
			return r
		}
	}, text)
}

// Table writes a line for each answer, in their order. Lines are cut to the width.
func Table(answers []Answer, s Style) string {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 8, 3, ' ', 0)
	line := func(cells ...string) {
		for i, c := range cells {
			cells[i] = printable(c)
		}
		fmt.Fprintln(w, strings.Join(cells, "\t"))
	}
	line("NAMESPACE", "NAME", "STATE", "SINCE", "WHY", "SUBJECT", "MESSAGE")
	for _, a := range answers {
		since, reason, subject, message := "", "", "", ""
		if len(a.Causes) > 0 && (a.Verdict != Flowing || needsPerson(a.Causes[0])) {
			worst := a.Causes[0]
			since, reason, subject, message = span(a.Now.Sub(worst.Since.Time)), worst.Reason, worst.Subject, worst.Message
		}
		if len(a.Notes) > 0 {
			message = sentence(a.Notes[0], message)
		}
		line(a.Namespace, a.Name, words[a.State], since, reason, subject, message)
	}
	if err := w.Flush(); err != nil { // a strings.Builder takes everything
		return err.Error()
	}
	return s.cut(b.String(), answers)
}

// cut shortens each line to the width, takes the spaces off its end, and paints the state.
func (s Style) cut(table string, answers []Answer) string {
	var b strings.Builder
	for i, line := range strings.Split(strings.TrimSuffix(table, "\n"), "\n") {
		line = strings.TrimRight(line, " ")
		if runes := []rune(line); s.Width > 1 && len(runes) > s.Width {
			line = string(runes[:s.Width-1]) + "…"
		}
		if i > 0 {
			state := words[answers[i-1].State]
			line = strings.Replace(line, " "+state, " "+s.paint(colourOfVerdict[answers[i-1].Verdict], state), 1)
		}
		_, _ = io.WriteString(&b, line+"\n")
	}
	return b.String()
}
