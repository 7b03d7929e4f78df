package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"unicode"
)

// document is a Markdown file, as far as the checks read it.
type document struct {
	path    string          // from the project's folder
	text    string          // all of it
	prose   string          // text with the fenced blocks blanked out, line for line
	anchors map[string]bool // what a link can lead to
	blocks  []snippet       // lines of fenced blocks
	spans   []snippet       // code in the prose
	links   []snippet       // where links lead
}

// snippet is a part of a document.
type snippet struct {
	line     int
	text     string
	language string // of the block that it is in
}

// readDocuments reads every Markdown file of the project.
func readDocuments(root string) (map[string]*document, error) {
	paths, err := sources(root, ".md")
	if err != nil {
		return nil, err
	}
	documents := map[string]*document{}
	for _, path := range paths {
		content, err := os.ReadFile(path)
		if err != nil {
			return nil, fmt.Errorf("reading a document: %w", err)
		}
		name, err := filepath.Rel(root, path)
		if err != nil {
			return nil, fmt.Errorf("reading a document: %w", err)
		}
		documents[name] = parseDocument(name, string(content))
	}
	return documents, nil
}

var (
	fence     = regexp.MustCompile("^\\s*(```+|~~~+)\\s*([\\w-]*)")
	span      = regexp.MustCompile("(`+)([^`]+)`+")
	inline    = regexp.MustCompile(`\]\(\s*<?([^)\s>]+)`)
	reference = regexp.MustCompile(`(?m)^\s*\[[^\]]+\]:\s*<?(\S+?)>?\s*$`)
	heading   = regexp.MustCompile(`(?m)^#{1,6}\s+(.+?)\s*#*$`)
	anchor    = regexp.MustCompile(`<a (?:id|name)="([^"]+)"`)
	linkText  = regexp.MustCompile(`\[([^\]]*)\]\([^)]*\)`)
)

func parseDocument(path, text string) *document {
	d := &document{path: path, text: text, anchors: map[string]bool{}}
	d.readBlocks()
	for _, found := range span.FindAllStringSubmatchIndex(d.prose, -1) {
		d.spans = append(d.spans, snippet{line: lineOf(d.prose, found[4]), text: strings.Join(strings.Fields(d.prose[found[4]:found[5]]), " ")})
	}
	// What code shows is no link and no anchor.
	plain := span.ReplaceAllStringFunc(d.prose, func(code string) string { return blank(code) })
	for _, form := range []*regexp.Regexp{inline, reference} {
		for _, found := range form.FindAllStringSubmatchIndex(plain, -1) {
			d.links = append(d.links, snippet{line: lineOf(plain, found[2]), text: plain[found[2]:found[3]]})
		}
	}
	for _, found := range anchor.FindAllStringSubmatch(plain, -1) {
		d.anchors[found[1]] = true
	}
	for _, found := range heading.FindAllStringSubmatch(d.prose, -1) {
		d.addHeading(found[1])
	}
	return d
}

// readBlocks takes the fenced blocks out of the text.
func (d *document) readBlocks() {
	var prose []string
	open, language := "", ""
	for i, line := range strings.Split(d.text, "\n") {
		found := fence.FindStringSubmatch(line)
		switch {
		case open == "" && found != nil:
			open, language = found[1], found[2]
			line = ""
		case open != "" && found != nil && strings.HasPrefix(found[1], open) && found[2] == "":
			open = ""
			line = ""
		case open != "":
			d.addLine(snippet{line: i + 1, text: line, language: language})
			line = ""
		}
		prose = append(prose, line)
	}
	d.prose = strings.Join(prose, "\n")
}

// addLine adds a line of a block; one that goes on in the next is one.
func (d *document) addLine(s snippet) {
	if last := len(d.blocks) - 1; last >= 0 {
		if text, goesOn := strings.CutSuffix(d.blocks[last].text, "\\"); goesOn {
			d.blocks[last].text = text + s.text
			return
		}
	}
	d.blocks = append(d.blocks, s)
}

// addHeading notes the anchor that GitHub gives a heading.
func (d *document) addHeading(text string) {
	text = linkText.ReplaceAllString(text, "$1")
	slug := strings.Map(func(r rune) rune {
		switch {
		case r == ' ':
			return '-'
		case r == '-' || r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r):
			return unicode.ToLower(r)
		default:
			return -1
		}
	}, text)
	name := slug
	for n := 1; d.anchors[name]; n++ {
		name = fmt.Sprintf("%s-%d", slug, n)
	}
	d.anchors[name] = true
}

// blank keeps the lines of a text and nothing else.
func blank(text string) string {
	return strings.Map(func(r rune) rune {
		if r == '\n' {
			return r
		}
		return ' '
	}, text)
}

func lineOf(text string, offset int) int { return 1 + strings.Count(text[:offset], "\n") }
