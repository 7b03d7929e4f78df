package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/sys/unix"
)

// screen prints the story. Colours only where a person looks at a terminal and has not
// asked for none (NO_COLOR).
type screen struct {
	out     io.Writer
	colours bool
	number  int
	title   string
	lines   []string
}

func newScreen(out io.Writer) *screen {
	s := &screen{out: out}
	if file, ok := out.(*os.File); ok && os.Getenv("NO_COLOR") == "" {
		_, err := unix.IoctlGetTermios(int(file.Fd()), unix.TCGETS)
		s.colours = err == nil
	}
	return s
}

const (
	bold  = "1"
	dim   = "2"
	red   = "31"
	green = "32"
)

func (s *screen) paint(colour, text string) string {
	if !s.colours {
		return text
	}
	return "\x1b[" + colour + "m" + text + "\x1b[0m"
}

func (s *screen) line(format string, args ...any) { fmt.Fprintf(s.out, format+"\n", args...) }

func (s *screen) headline(text string) { s.line("%s\n", s.paint(bold, text)) }

func (s *screen) verdict(good bool, text string) {
	colour := green
	if !good {
		colour = red
	}
	s.line("\n%s", s.paint(colour, text))
}

// titleWidth is where the time of a step begins.
const titleWidth = 64

// begin prints the title of a step and leaves the line open: a slow step is seen to be
// under way.
func (s *screen) begin(title string) {
	s.number++
	s.title, s.lines = fmt.Sprintf("%2d. %s", s.number, title), nil
	fmt.Fprint(s.out, s.paint(bold, s.title))
}

// end adds the time to the title, and below it what the step showed.
func (s *screen) end(took time.Duration, err error) {
	dots := strings.Repeat(".", max(3, titleWidth-utf8.RuneCountInString(s.title)))
	how := s.paint(green, "ok")
	switch {
	case errors.Is(err, errInterrupted):
		how, err = "interrupted", nil
	case err != nil:
		how = s.paint(red, "FAILED")
	}
	s.line(" %s %5.1f s  %s", s.paint(dim, dots), took.Seconds(), how)
	for _, text := range s.lines {
		s.line("%s", text)
	}
	if err != nil {
		s.line("%s", indent(s.paint(red, err.Error())))
	}
	s.title = ""
}

// say adds a line to the step.
func (s *screen) say(text string) { s.lines = append(s.lines, indent("- "+text)) }

// block adds lines that are shown as they are: to the step, or at once where no step is
// under way.
func (s *screen) block(text string) {
	if s.title == "" {
		s.line("%s", indent(text))
		return
	}
	s.lines = append(s.lines, indent(text))
}

// indent moves every line below the title's text.
func indent(text string) string {
	return "    " + strings.ReplaceAll(strings.TrimRight(text, "\n"), "\n", "\n    ")
}
