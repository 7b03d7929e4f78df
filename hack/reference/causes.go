package main

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// causesSuffix ends the names of the variables of the catalogue's package that hold rows.
const causesSuffix = "Causes"

// chapter is a variable with rows of the catalogue of causes.
type chapter struct {
	title string
	rows  []row
}

// row is a cause and what is said of it.
type row struct {
	id, name, by string
	// reasons are the names of the constants that it may be told by, none where the operator
	// mends it.
	reasons []string
	// minute is whether it takes up to a minute and not half of one.
	minute bool
}

// catalogue reads the rows from the Go source of a package.
type catalogue struct {
	functions map[string]*ast.FuncDecl
	chapters  []chapter
}

// writeCauses writes the page about the causes: the rows of the catalogue, and each reason that
// they have.
func writeCauses(out io.Writer, catalogueFolder, pkg string) error {
	constants, err := readConstants(pkg)
	if err != nil {
		return err
	}
	c, err := readCatalogue(catalogueFolder)
	if err != nil {
		return err
	}
	text, err := c.page(constants)
	if err != nil {
		return err
	}
	if _, err := io.WriteString(out, text); err != nil {
		return fmt.Errorf("write the page of causes: %w", err)
	}
	return nil
}

func readCatalogue(folder string) (*catalogue, error) {
	names, err := filepath.Glob(filepath.Join(folder, "*.go"))
	if err != nil {
		return nil, fmt.Errorf("look for the catalogue: %w", err)
	}
	c := &catalogue{functions: map[string]*ast.FuncDecl{}}
	var files []*ast.File
	set := token.NewFileSet()
	for _, name := range names {
		file, err := parser.ParseFile(set, name, nil, parser.ParseComments)
		if err != nil {
			return nil, fmt.Errorf("read the catalogue: %w", err)
		}
		files = append(files, file)
		for _, d := range file.Decls {
			if f, is := d.(*ast.FuncDecl); is && f.Recv == nil {
				c.functions[f.Name.Name] = f
			}
		}
	}
	for _, file := range files {
		for _, d := range file.Decls {
			if g, is := d.(*ast.GenDecl); is && g.Tok == token.VAR {
				c.read(g)
			}
		}
	}
	if len(c.chapters) == 0 {
		return nil, fmt.Errorf("%s has no variable whose name ends with %s", folder, causesSuffix)
	}
	return c, nil
}

// read takes the rows of a declaration.
func (c *catalogue) read(g *ast.GenDecl) {
	for _, s := range g.Specs {
		spec, is := s.(*ast.ValueSpec)
		if !is || len(spec.Names) != 1 || len(spec.Values) != 1 || !strings.HasSuffix(spec.Names[0].Name, causesSuffix) {
			continue
		}
		list, is := spec.Values[0].(*ast.CompositeLit)
		if !is {
			continue
		}
		title := strings.TrimPrefix(oneLine(g.Doc.Text()), spec.Names[0].Name+": ")
		ch := chapter{title: upper(strings.TrimSuffix(title, "."))}
		for _, element := range list.Elts {
			ch.rows = append(ch.rows, c.row(element))
		}
		c.chapters = append(c.chapters, ch)
	}
}

// row reads one row: the fields of a literal, or a call of a function of the package whose
// first two arguments are the row's ID and name.
func (c *catalogue) row(e ast.Expr) row {
	switch e := e.(type) {
	case *ast.CompositeLit:
		return c.literal(e)
	case *ast.CallExpr:
		for _, argument := range e.Args {
			if inner, is := argument.(*ast.CallExpr); is {
				return c.row(inner) // which changes a row
			}
		}
		var r row
		if f := c.functions[called(e)]; f != nil {
			ast.Inspect(f.Body, func(n ast.Node) bool {
				if literal, is := n.(*ast.CompositeLit); is && r.by == "" {
					r = c.literal(literal)
				}
				return true
			})
		}
		if len(e.Args) > 1 {
			r.id, r.name = text(e.Args[0]), text(e.Args[1])
		}
		return r
	}
	return row{}
}

func (c *catalogue) literal(l *ast.CompositeLit) row {
	var r row
	for _, element := range l.Elts {
		field, is := element.(*ast.KeyValueExpr)
		if !is {
			continue
		}
		switch key, _ := field.Key.(*ast.Ident); key.Name {
		case "id":
			r.id = text(field.Value)
		case "name":
			r.name = text(field.Value)
		case "by":
			r.by = text(field.Value)
		case "within":
			r.minute = true
		case "want":
			r.reasons = c.reasons(field.Value)
		}
	}
	return r
}

// reasons are the constants of reasons that an expression names; where it names none, those that
// the function names which it calls.
func (c *catalogue) reasons(e ast.Node) []string {
	var found []string
	ast.Inspect(e, func(n ast.Node) bool {
		if s, is := n.(*ast.SelectorExpr); is && strings.HasPrefix(s.Sel.Name, "Reason") && !slices.Contains(found, s.Sel.Name) {
			found = append(found, s.Sel.Name)
		}
		return true
	})
	if call, is := e.(*ast.CallExpr); is && len(found) == 0 {
		if f := c.functions[called(call)]; f != nil {
			return c.reasons(f.Body)
		}
	}
	return found
}

func called(e *ast.CallExpr) string {
	if name, is := e.Fun.(*ast.Ident); is {
		return name.Name
	}
	return ""
}

// text is the value of a string literal.
func text(e ast.Expr) string {
	if literal, is := e.(*ast.BasicLit); is && literal.Kind == token.STRING {
		if value, err := strconv.Unquote(literal.Value); err == nil {
			return value
		}
	}
	return ""
}

// ways are how the rows say by what a cause is told.
var ways = map[string]string{
	"read": "what the cloud says", "count": "the verifiers' counts", "node": "the target's host", "spec": "the spec",
	"client": "the manager's lease",
}

const causesHead = `# Why no copies come

<!-- Written by make generate: the rows from test/diagnosis, the reasons from api/v1alpha1/conditions.go. Change them there. -->

A session says by itself why its copies don't come: ` + "`kubectl mirror why NAME`" + ` prints it, ` + "`kubectl get mirs`" + ` shows the reason of
the worst finding below WHY, and ` + "`status.findings`" + ` has each with its subject and its remedy. It is told within about 30 seconds,
of one source of several within 40, and within 60 where a lease has to run out.

[test/diagnosis](../../test/diagnosis) plays every cause below on real packets, looks at what the session says, and gives 2 points for the
true reason with its subject and remedy, 1 where something of that is missing, and 0 else. How each is decided is in the comments of this
folder, one function for each.

## Causes
`

// page is the whole page.
func (c *catalogue) page(constants *constants) (string, error) {
	var b strings.Builder
	b.WriteString(causesHead)
	known, problems := map[string]bool{}, []error(nil)
	for _, ch := range c.chapters {
		fmt.Fprintf(&b, "\n### %s\n\n| cause | told by | what is said |\n| --- | --- | --- |\n", ch.title)
		for _, r := range ch.rows {
			if r.id == "" || r.name == "" || ways[r.by] == "" {
				problems = append(problems, fmt.Errorf("a row of %q has no id, name or known way to be told: %+v", ch.title, r))
			}
			var said []string
			for _, reason := range r.reasons {
				known[reason] = true
				value := strings.TrimPrefix(reason, "Reason")
				said = append(said, fmt.Sprintf("[`%s`](#%s)", value, strings.ToLower(value)))
			}
			text := strings.Join(said, " or ")
			switch {
			case r.by == "client":
				text = "`kubectl mirror why` says that the status may be of before"
			case text == "":
				text = "`status.changes` names it, and the operator undoes it"
			}
			if r.minute {
				text += ", within 60 seconds"
			}
			fmt.Fprintf(&b, "| %s | %s | %s |\n", upper(r.name), ways[r.by], text)
		}
	}
	b.WriteString("\n## Reasons\n")
	for _, g := range constants.groups {
		for _, member := range g.members {
			if !known[member.name] {
				continue
			}
			delete(known, member.name)
			meaning, remedy := member.explain()
			fmt.Fprintf(&b, "\n### %s\n\n- What it means: %s\n- How to see it: `kubectl mirror why NAME`; it is one of the %s.\n- How to mend it: %s\n",
				member.value, prose(meaning), lower(strings.TrimSuffix(g.title, ".")), prose(remedy))
		}
	}
	for reason := range known {
		problems = append(problems, fmt.Errorf("the catalogue names %s, which is no reason", reason))
	}
	return b.String(), errors.Join(problems...)
}

// lower begins a text with a small letter.
func lower(text string) string {
	if text == "" {
		return ""
	}
	return strings.ToLower(text[:1]) + text[1:]
}
