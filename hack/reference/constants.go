package main

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// constant is a text of the Go package that people meet in objects.
type constant struct {
	name    string
	value   string
	comment string
}

// constants are those of a package: in groups, by the comment above each.
type constants struct {
	groups []group
	// names are annotations and finalizers.
	names []constant
}

type group struct {
	title   string
	members []constant
}

// The groups that the reference shows begin with these words.
const (
	typesTitle   = "Types of conditions"
	reasonsTitle = "Reasons of "
	// ourDomain begins what we write on objects of others, and on our own.
	ourDomain = "vpcmirror.io/"
)

// readConstants reads the constants of a folder's sources.
func readConstants(folder string) (*constants, error) {
	files, err := filepath.Glob(filepath.Join(folder, "*.go"))
	if err != nil {
		return nil, fmt.Errorf("look for the API's package: %w", err)
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("%s has no Go package", folder)
	}
	found := &constants{}
	for _, name := range files {
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ParseComments)
		if err != nil {
			return nil, fmt.Errorf("read the API's package: %w", err)
		}
		for _, declaration := range file.Decls {
			if g, ok := declaration.(*ast.GenDecl); ok && g.Tok == token.CONST {
				found.add(g)
			}
		}
	}
	return found, nil
}

func (c *constants) add(declaration *ast.GenDecl) {
	var g group
	if declaration.Lparen.IsValid() {
		g.title = strings.TrimSuffix(oneLine(declaration.Doc.Text()), ".")
	}
	for _, s := range declaration.Specs {
		spec, ok := s.(*ast.ValueSpec)
		if !ok {
			continue
		}
		comment := spec.Doc
		if comment == nil && !declaration.Lparen.IsValid() {
			comment = declaration.Doc
		}
		for i, name := range spec.Names {
			if i >= len(spec.Values) {
				continue
			}
			literal, ok := spec.Values[i].(*ast.BasicLit)
			if !ok || literal.Kind != token.STRING {
				continue
			}
			value, err := strconv.Unquote(literal.Value)
			if err != nil {
				continue
			}
			member := constant{name: name.Name, value: value, comment: oneLine(comment.Text())}
			g.members = append(g.members, member)
			if name.IsExported() && strings.HasPrefix(value, ourDomain) {
				c.names = append(c.names, member)
			}
		}
	}
	c.groups = append(c.groups, g)
}

func oneLine(text string) string { return strings.Join(strings.Fields(text), " ") }

// check finds reasons that the reference could not explain.
func (c *constants) check() error {
	var problems []error
	first := map[string]string{}
	for _, g := range c.groups {
		for _, member := range g.members {
			if !strings.HasPrefix(member.name, "Reason") {
				continue
			}
			if !strings.HasPrefix(g.title, reasonsTitle) {
				problems = append(problems, fmt.Errorf("%s is in no group of constants whose comment begins with %q", member.name, reasonsTitle))
			}
			if meaning, remedy := member.explain(); meaning == "" || remedy == "" {
				problems = append(problems, fmt.Errorf("the comment of %s is not of the form \"%s: meaning. Remedy: what to do.\"", member.name, member.name))
			}
			if other, known := first[strings.ToLower(member.value)]; known {
				problems = append(problems, fmt.Errorf("%s and %s have one name, and so one anchor", other, member.name))
			}
			first[strings.ToLower(member.value)] = member.name
		}
	}
	return errors.Join(problems...)
}

// explain takes the comment of a reason apart.
func (c constant) explain() (meaning, remedy string) {
	text, found := strings.CutPrefix(c.comment, c.name+": ")
	if !found {
		return "", ""
	}
	meaning, remedy, _ = strings.Cut(text, " Remedy: ")
	return meaning, remedy
}

// write writes the chapters about conditions, reasons and names.
func (c *constants) write(b *strings.Builder) {
	b.WriteString("\n## Conditions\n\n")
	for _, g := range c.groups {
		if g.title != typesTitle {
			continue
		}
		for _, member := range g.members {
			fmt.Fprintf(b, "- <a id=\"condition-%s\"></a>%s\n", strings.ToLower(member.value), member.sentence())
		}
	}
	b.WriteString("\n## Reasons\n\nThe message of a condition names the field, the value and the remedy in the case at hand. " +
		"Each row here has an\nanchor for links: `#reason-` and the reason in lower case.\n")
	for _, g := range c.groups {
		if !strings.HasPrefix(g.title, reasonsTitle) {
			continue
		}
		fmt.Fprintf(b, "\n### %s\n\n| reason | what it means | what to do |\n| --- | --- | --- |\n", g.title)
		for _, member := range g.members {
			meaning, remedy := member.explain()
			fmt.Fprintf(b, "| <a id=\"reason-%s\"></a>`%s` | %s | %s |\n", strings.ToLower(member.value), member.value, upper(prose(meaning)), upper(prose(remedy)))
		}
	}
	b.WriteString("\n## Names on objects\n\n")
	slices.SortFunc(c.names, func(a, b constant) int { return strings.Compare(a.value, b.value) })
	for _, name := range c.names {
		fmt.Fprintf(b, "- %s\n", name.sentence())
	}
}

// sentence is the comment with the value in place of the name.
func (c constant) sentence() string {
	text := prose(strings.TrimPrefix(c.comment, c.name))
	if !strings.HasPrefix(text, ",") {
		text = " " + text
	}
	return "`" + c.value + "`" + text
}

// upper begins a text with a capital.
func upper(text string) string {
	if text == "" {
		return ""
	}
	return strings.ToUpper(text[:1]) + text[1:]
}
