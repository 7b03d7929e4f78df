package main

import (
	"fmt"
	"go/parser"
	"go/token"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// packageComments returns, by folder, the comment of each package. One file of it
// carries the comment; where there are only tests, one of them.
func packageComments(root string) (map[string]string, error) {
	files, err := goFiles(root)
	if err != nil {
		return nil, err
	}
	comments, ofTests := map[string]string{}, map[string]string{}
	for _, path := range files {
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ParseComments|parser.PackageClauseOnly)
		if err != nil {
			return nil, fmt.Errorf("reading %s: %w", path, err)
		}
		folder, err := filepath.Rel(root, filepath.Dir(path))
		if err != nil {
			return nil, fmt.Errorf("reading %s: %w", path, err)
		}
		into := comments
		if strings.HasSuffix(path, "_test.go") {
			into = ofTests
		}
		into[folder] += file.Doc.Text()
	}
	for folder, comment := range ofTests {
		if _, ok := comments[folder]; !ok {
			comments[folder] = comment
		}
	}
	return comments, nil
}

var (
	// Each sentence ends where a dot does not belong to a name, or at a colon.
	sentence      = regexp.MustCompile(`\bIt may import ((?:[^.:]|\.\w)+)[.:](?:\s|$)`)
	testsSentence = regexp.MustCompile(`\bIts tests may import ((?:[^.:]|\.\w)+)[.:](?:\s|$)`)
)

// sentencesOf holds what a package's comment says about imports against the table and
// against the imports themselves, so that a reader may believe it. A package that is a
// layer of its own says all that its layer may; a part of a layer may say less, and is
// then held to that.
func sentencesOf(p goPackage, comment string) []string {
	folder := within(p.ImportPath)
	home := layerOf(folder)
	if home == nil {
		return nil // importsOf says so
	}
	comment = strings.Join(strings.Fields(comment), " ")
	if comment == "" {
		return []string{folder + ": the package has no doc comment"}
	}
	var findings []string
	imported := ours(p.Imports)
	remedy := fmt.Sprintf("write %q", "It may import "+list(home.sentence(folder, imported))+".")
	if found := sentence.FindStringSubmatch(comment); found == nil {
		findings = append(findings, folder+": its doc comment doesn't say what of ours it may import: "+remedy)
	} else if what := home.contradiction(folder, entriesOf(found[1]), home.may, imported); what != "" {
		findings = append(findings, folder+": its doc comment "+what+": "+remedy)
	}
	if found := testsSentence.FindStringSubmatch(comment); found != nil {
		allowed, imported := slices.Concat(home.may, home.tests), ours(slices.Concat(p.TestImports, p.XTestImports))
		if what := home.contradiction(folder, entriesOf(found[1]), allowed, imported); what != "" {
			findings = append(findings, folder+": its doc comment, about tests, "+what)
		}
	}
	return findings
}

// contradiction compares the entries that a comment names with those of the table and
// with what is imported; it is empty when they agree.
func (l *layer) contradiction(folder string, said, allowed, imported []string) string {
	for _, entry := range said {
		if !isEntry(entry) || !slices.Contains(allowed, everything) && !slices.Contains(allowed, entry) && !l.allows(entry, allowed) {
			return fmt.Sprintf("names %q, which the table in hack/checks/layers.go does not", noun(entry))
		}
	}
	for _, name := range imported {
		if name != folder && !slices.ContainsFunc(said, func(entry string) bool { return covers(entry, name) }) {
			return "leaves out " + name + ", which is imported"
		}
	}
	if folder == l.name && !slices.Contains(allowed, everything) {
		for _, entry := range allowed {
			if !slices.Contains(said, entry) {
				return "leaves out " + noun(entry)
			}
		}
	}
	return ""
}

// isEntry reports whether a text of a comment is a folder in a layer, or a pattern.
func isEntry(text string) bool { return strings.HasSuffix(text, everything) || layerOf(text) != nil }

// sentence returns the entries that a package's comment best names: all of the layer's
// for its own package, else what it imports, layers by their names.
func (l *layer) sentence(folder string, imported []string) []string {
	var entries []string
	if folder == l.name {
		entries = append(entries, l.may...)
	}
	for _, name := range imported {
		entry := name
		if other := layerOf(name); other != nil && other != l {
			entry = other.name
		}
		if !slices.ContainsFunc(entries, func(known string) bool { return covers(known, name) }) {
			entries = append(entries, entry)
		}
	}
	return entries
}

// covers reports whether an entry of a sentence names a package: by its layer, by itself,
// or by a folder that it is in.
func covers(entry, name string) bool {
	folder, isPattern := strings.CutSuffix(entry, everything)
	switch l := layerOf(name); {
	case isPattern:
		return below(name, strings.TrimSuffix(folder, "/"))
	case entry == name:
		return true
	default:
		return l != nil && l.name == entry
	}
}

// entriesOf reads the list of a sentence; it is the inverse of list.
func entriesOf(text string) []string {
	text = strings.TrimSuffix(strings.ReplaceAll(text, " and ", ", "), " of ours")
	var entries []string
	for item := range strings.SplitSeq(text, ",") {
		switch item = strings.TrimSpace(item); {
		case item == "" || item == "nothing":
		case item == "everything":
			entries = append(entries, everything)
		case strings.HasPrefix(item, "everything below "):
			entries = append(entries, strings.TrimPrefix(item, "everything below ")+"/"+everything)
		default:
			entries = append(entries, item)
		}
	}
	return entries
}
