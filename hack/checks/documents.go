package main

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"
)

// The README is one page.
const (
	readme         = "README.md"
	maxReadmeWords = 900
	maxReadmeLine  = 160 // characters
)

// checkDocuments looks in every Markdown file for links that lead nowhere, for targets,
// flags, files, metrics and tests that do not exist, and at the length of the README. That the API
// server takes the YAML in them is tested in test/install.
func checkDocuments(ctx context.Context, root string) ([]string, error) {
	documents, err := readDocuments(root)
	if err != nil {
		return nil, err
	}
	packages, err := goList(ctx, root, "-json=ImportPath,Imports", "./...")
	if err != nil {
		return nil, err
	}
	v, err := readVocabulary(root, packages)
	if err != nil {
		return nil, err
	}
	var findings []string
	for _, name := range slices.Sorted(maps.Keys(documents)) {
		d := documents[name]
		findings = append(findings, d.deadLinks(root, documents)...)
		findings = append(findings, d.deadCommands(root, v)...)
		if name == readme {
			findings = append(findings, d.tooLong()...)
		}
	}
	return findings, nil
}

// deadLinks finds links into the project that lead nowhere. Links to other sites are not
// followed.
func (d *document) deadLinks(root string, documents map[string]*document) []string {
	var findings []string
	for _, link := range d.links {
		if strings.Contains(link.text, "://") || strings.HasPrefix(link.text, "mailto:") {
			continue
		}
		file, fragment, _ := strings.Cut(link.text, "#")
		name := d.path
		if file != "" {
			name = path.Join(path.Dir(d.path), file)
		}
		other, isDocument := documents[name]
		switch {
		case !exists(root, name):
			findings = append(findings, fmt.Sprintf("%s:%d: the link to %s leads nowhere: there is no %s", d.path, link.line, link.text, name))
		case fragment != "" && isDocument && !other.anchors[fragment]:
			findings = append(findings, fmt.Sprintf("%s:%d: the link to %s leads nowhere: %s has no heading or anchor %q", d.path, link.line, link.text, name, fragment))
		}
	}
	return findings
}

// deadCommands finds what the code of a document names and does not exist.
func (d *document) deadCommands(root string, v vocabulary) []string {
	var findings []string
	for _, code := range slices.Concat(d.spans, d.blocks) {
		if code.language == "yaml" {
			continue
		}
		for _, problem := range v.problems(root, code.text) {
			findings = append(findings, fmt.Sprintf("%s:%d: %s", d.path, code.line, problem))
		}
	}
	return findings
}

// tooLong holds a document to the length of one page.
func (d *document) tooLong() []string {
	var findings []string
	if words := len(strings.Fields(d.text)); words > maxReadmeWords {
		findings = append(findings, fmt.Sprintf("%s: %d words; %d are the limit: move what is about one part into the README of its folder", d.path, words, maxReadmeWords))
	}
	for i, line := range strings.Split(d.text, "\n") {
		if length := utf8.RuneCountInString(line); length > maxReadmeLine {
			findings = append(findings, fmt.Sprintf("%s:%d: %d characters; %d are the limit", d.path, i+1, length, maxReadmeLine))
		}
	}
	return findings
}

// The table of imports stands in this document, between two lines.
const (
	tableDocument = "controllers/ARCHITECTURE.md"
	tableBegins   = "<!-- The table of imports: written by make generate from hack/checks/layers.go. -->"
	tableEnds     = "<!-- The end of the table. -->"
)

// checkTable finds a document that shows another table than the one in force.
func checkTable(_ context.Context, root string) ([]string, error) {
	now, wanted, err := tableIn(root)
	switch {
	case err != nil:
		return nil, err
	case now != wanted:
		return []string{tableDocument + ": its table is not that of hack/checks/layers.go: run make generate"}, nil
	default:
		return nil, nil
	}
}

// writeTable writes the table into the document that shows it, and reports whether that
// showed another.
func writeTable(root string) (wrote bool, err error) {
	now, wanted, err := tableIn(root)
	if err != nil || now == wanted {
		return false, err
	}
	if err := os.WriteFile(filepath.Join(root, tableDocument), []byte(wanted), 0o644); err != nil {
		return false, fmt.Errorf("writing the table of imports: %w", err)
	}
	return true, nil
}

// tableIn returns the document that shows the table as it is, and as it should be.
func tableIn(root string) (now, wanted string, err error) {
	content, err := os.ReadFile(filepath.Join(root, tableDocument))
	if err != nil {
		return "", "", fmt.Errorf("reading the table of imports: %w", err)
	}
	before, rest, begins := strings.Cut(string(content), tableBegins+"\n")
	_, after, ends := strings.Cut(rest, tableEnds)
	if !begins || !ends {
		return "", "", fmt.Errorf("%s has no place for the table of imports: the lines %q and %q", tableDocument, tableBegins, tableEnds)
	}
	return string(content), before + tableBegins + "\n\n" + table() + "\n" + tableEnds + after, nil
}

// table is the table of imports as a document shows it.
func table() string {
	var b strings.Builder
	b.WriteString("| folder | what is decided or done there | may import of ours |\n| --- | --- | --- |\n")
	for _, l := range layers {
		may := "nothing"
		if len(l.may) > 0 {
			var names []string
			for _, entry := range slices.Sorted(slices.Values(l.may)) {
				if entry == everything {
					names = append(names, "everything")
				} else {
					names = append(names, "`"+strings.TrimPrefix(entry, "controllers/")+"`")
				}
			}
			may = strings.Join(names, ", ")
		}
		fmt.Fprintf(&b, "| [`%s`](../%s) | %s | %s |\n", l.name, l.name, l.does, may)
	}
	return b.String()
}
