package credentials

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/runenames"
)

// stranger describes the first character in a value that none of ours can have, and says
// where it is; it is empty when there is none. Line breaks and blanks around the value, which
// tools add that write files, are not counted. What else is not seen, such as a byte order
// mark or a blank of no width, nobody would find without being told its place.
func stranger(value string) string {
	lead := utf8.RuneCountInString(value) - utf8.RuneCountInString(strings.TrimLeftFunc(value, unicode.IsSpace))
	trimmed := strings.TrimSpace(value)
	place := lead
	for i, r := range trimmed {
		place++
		if r > ' ' && r <= '~' {
			continue
		}
		if _, size := utf8.DecodeRuneInString(trimmed[i:]); r == utf8.RuneError && size == 1 {
			return fmt.Sprintf("the byte 0x%02X, which is no UTF-8, as character %d", trimmed[i], place)
		}
		return fmt.Sprintf("%U %s as character %d", r, nameOf(r), place)
	}
	return ""
}

// nameOf is the Unicode name of a character.
func nameOf(r rune) string {
	switch name := runenames.Name(r); {
	case r == '\ufeff': // the name that people know
		return "BYTE ORDER MARK"
	case name == "" || strings.HasPrefix(name, "<"): // such as <control>
		return "(a character without a name)"
	default:
		return name
	}
}
