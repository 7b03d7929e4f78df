package v1alpha1

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Fit returns a text as a field of at most limit characters takes it, whatever it holds:
// what can't be printed is escaped as in Go ("\u202e"), line breaks apart, and of what is
// too long the end says how many characters were left out. What fits is returned as it is,
// so fitting twice changes nothing.
func Fit(text string, limit int) string {
	return fit(text, limit, "… (+%d)", func(r rune) bool { return r == '\n' || unicode.IsPrint(r) })
}

// FitASCII is Fit for what a node writes, of which the API server takes printable ASCII
// alone.
func FitASCII(text string, limit int) string {
	return fit(text, limit, "... (+%d)", func(r rune) bool { return ' ' <= r && r <= '~' })
}

// fit escapes the characters that may not stand, and puts a note in place of the end.
func fit(text string, limit int, note string, stands func(rune) bool) string {
	if strings.ContainsFunc(text, func(r rune) bool { return !stands(r) }) || !utf8.ValidString(text) {
		var b strings.Builder
		for _, r := range text {
			if stands(r) {
				b.WriteRune(r)
				continue
			}
			quoted := strconv.QuoteRuneToASCII(r)
			b.WriteString(quoted[1 : len(quoted)-1])
		}
		text = b.String()
	}
	length := utf8.RuneCountInString(text)
	if length <= limit {
		return text
	}
	kept := limit
	for range 3 { // the longer the note, the more is left out
		kept = max(limit-utf8.RuneCountInString(fmt.Sprintf(note, length-kept)), 0)
	}
	end := []rune(fmt.Sprintf(note, length-kept))
	return string([]rune(text)[:kept]) + string(end[:min(len(end), limit-kept)])
}
