package main

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// table renders the rows for people.
func table(rows []row) string {
	var cells [][]string
	for _, r := range rows {
		mark := "ok"
		if !r.OK {
			mark = "WRONG"
		}
		cells = append(cells, []string{
			r.Sent, fmt.Sprint(r.SourceKernel), fmt.Sprint(r.ExpectedCopies), fmt.Sprint(r.TargetKernel), fmt.Sprint(r.Verifier), mark,
		})
	}
	return grid([][]string{
		{"what was sent", "kernel of", "had to be", "kernel of", "verifier", ""},
		{"", "ecs-source", "copied", "ecs-target", "counted", ""},
	}, cells)
}

// grid puts cells below their heads: the first column is text, the last one a mark, those
// between are numbers.
func grid(heads, cells [][]string) string {
	widths := make([]int, len(heads[0]))
	for _, line := range append(heads[:len(heads):len(heads)], cells...) {
		for i, cell := range line {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	var b strings.Builder
	write := func(line []string) {
		var text strings.Builder
		for i, cell := range line {
			space := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell))
			switch i {
			case 0:
				text.WriteString(cell + space)
			case len(line) - 1:
				text.WriteString("  " + cell)
			default:
				text.WriteString("   " + space + cell)
			}
		}
		b.WriteString(strings.TrimRight(text.String(), " ") + "\n")
	}
	for _, line := range heads {
		write(line)
	}
	total := 3 * (len(widths) - 2)
	for _, w := range widths[:len(widths)-1] {
		total += w
	}
	b.WriteString(strings.Repeat("-", total) + "\n")
	for _, line := range cells {
		write(line)
	}
	return strings.TrimRight(b.String(), "\n")
}
