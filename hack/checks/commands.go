package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// program is one of ours whose flags documents name.
type program struct {
	names  []string // as documents call it, without its folder
	folder string
	more   []string // flags that no call in our own sources declares
}

var programs = []program{
	{names: []string{"manager"}, folder: "cmd/manager", more: []string{"kubeconfig"}}, // controller-runtime declares it
	{names: []string{"verifier"}, folder: "cmd/verifier", more: []string{"version"}},
	{names: []string{"kubectl-mirror"}, folder: "cmd/kubectl-mirror", more: ofKubectl},
	{names: []string{"cloudsim"}, folder: "test/cloudsim"},
	{names: []string{"demo-play"}, folder: "test/demo"},
	{names: []string{"lab", "lab-program"}, folder: "test/e2e/cmd/lab"},
	{names: []string{"bench"}, folder: "test/bench"},
	{names: []string{"live", "live-program"}, folder: "test/live"},
}

// ofKubectl are flags of kubectl that its plugin has from a library.
var ofKubectl = []string{"namespace", "context", "kubeconfig", "as", "request-timeout"}

// vocabulary is what a command in a document can name.
type vocabulary struct {
	targets []string            // of the Makefile
	flags   map[string][]string // by program
	metrics []string
	tests   []string
}

// readVocabulary reads the Makefile, and the flags from the sources of each program.
func readVocabulary(root string, packages []goPackage) (vocabulary, error) {
	v := vocabulary{flags: map[string][]string{}}
	makefile, err := os.ReadFile(filepath.Join(root, "Makefile"))
	if err != nil {
		return v, fmt.Errorf("reading the targets: %w", err)
	}
	v.targets = targetsOf(string(makefile))
	for _, p := range programs {
		known := append([]string{"help"}, p.more...)
		for _, folder := range linked(packages, p.folder) {
			declared, err := declaredFlags(filepath.Join(root, folder))
			if err != nil {
				return v, err
			}
			known = append(known, declared...)
		}
		for _, name := range p.names {
			v.flags[name] = known
		}
	}
	v.metrics, v.tests, err = namesIn(root)
	return v, err
}

var (
	metric   = regexp.MustCompile(`\bvpcmirror_[a-z_]*[a-z]`)
	test     = regexp.MustCompile(`\b(?:Test|Fuzz)[A-Z]\w+`)
	declared = regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)[A-Z]\w+)\(`)
)

// namesIn are the names of metrics and of tests in our sources.
func namesIn(root string) (metrics, tests []string, err error) {
	files, err := goFiles(root)
	if err != nil {
		return nil, nil, err
	}
	for _, name := range files {
		source, err := os.ReadFile(name)
		if err != nil {
			return nil, nil, fmt.Errorf("reading the names of metrics and tests: %w", err)
		}
		if !strings.HasSuffix(name, "_test.go") {
			metrics = append(metrics, metric.FindAllString(string(source), -1)...)
			continue
		}
		for _, found := range declared.FindAllStringSubmatch(string(source), -1) {
			tests = append(tests, found[1])
		}
	}
	return metrics, tests, nil
}

var target = regexp.MustCompile(`(?m)^([A-Za-z][\w-]*)\s*:(?:[^=]|$)`)

func targetsOf(makefile string) []string {
	var names []string
	for _, found := range target.FindAllStringSubmatch(makefile, -1) {
		names = append(names, found[1])
	}
	return names
}

// linked are the packages of ours that are in a program.
func linked(packages []goPackage, folder string) []string {
	found := []string{folder}
	for i := 0; i < len(found); i++ {
		for _, p := range packages {
			if within(p.ImportPath) != found[i] {
				continue
			}
			for _, imported := range ours(p.Imports) {
				if !slices.Contains(found, imported) {
					found = append(found, imported)
				}
			}
		}
	}
	return found
}

// declares fits the methods of flag and pflag sets that declare a flag.
var declares = regexp.MustCompile(`^(String|StringArray|StringSlice|Bool|Int|Int32|Int64|Uint|Uint16|Uint32|Uint64|Float64|Duration|Func|BoolFunc|Text)?(Var)?P?$`)

// declaredFlags are the flags that the sources of a folder declare: the first text in the
// arguments of a call is the name.
func declaredFlags(folder string) ([]string, error) {
	files, err := filepath.Glob(filepath.Join(folder, "*.go"))
	if err != nil {
		return nil, fmt.Errorf("looking for sources: %w", err)
	}
	var names []string
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		if err != nil {
			return nil, fmt.Errorf("reading flags: %w", err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			if call, ok := n.(*ast.CallExpr); ok {
				names = append(names, flagOf(call)...)
			}
			return true
		})
	}
	return names, nil
}

// flagOf returns the flag that a call declares, if it declares one.
func flagOf(call *ast.CallExpr) []string {
	method, ok := call.Fun.(*ast.SelectorExpr)
	if !ok || !declares.MatchString(method.Sel.Name) {
		return nil
	}
	for _, arg := range call.Args {
		if literal, ok := arg.(*ast.BasicLit); ok && literal.Kind == token.STRING {
			if name, err := strconv.Unquote(literal.Value); err == nil {
				return []string{name}
			}
			return nil
		}
	}
	return nil
}

var (
	assignment = regexp.MustCompile(`^[A-Za-z_]\w*=`)
	ofMake     = regexp.MustCompile(`^[a-z][a-z0-9-]*$`)
	longFlag   = regexp.MustCompile(`^--([a-z][a-z0-9-]*)`)
	ofProject  = regexp.MustCompile(`^(?:\./)?((?:api|controllers|config|cmd|hack|test|\.ci)/[\w./-]*)$`)
)

// problems returns what a command names that does not exist. Several commands can be in
// one line.
func (v vocabulary) problems(root, line string) []string {
	line, _, _ = strings.Cut(strings.TrimPrefix(strings.TrimSpace(line), "$ "), " #")
	var found, words []string
	for word := range strings.FieldsSeq(line + " ;") {
		if end := strings.Trim(word, "&|;"); end != "" {
			words = append(words, end)
		}
		if strings.Trim(word, "&|;") != word {
			found = append(found, v.ofCommand(words)...)
			words = nil
		}
	}
	for word := range strings.FieldsSeq(line) {
		if m := ofProject.FindStringSubmatch(word); m != nil && !strings.Contains(word, everything) && !exists(root, m[1]) {
			found = append(found, m[1]+" does not exist")
		}
	}
	for _, name := range metric.FindAllString(line, -1) {
		if !slices.Contains(v.metrics, name) {
			found = append(found, "there is no metric "+name)
		}
	}
	for _, name := range test.FindAllString(line, -1) {
		if !slices.Contains(v.tests, name) {
			found = append(found, "there is no test "+name)
		}
	}
	return found
}

// ofProgram leaves out what stands before the program of a command. What kubectl runs as a
// plugin is a program of its own.
func ofProgram(words []string) []string {
	for len(words) > 0 && (words[0] == "sudo" || words[0] == "env" || assignment.MatchString(words[0]) || strings.HasPrefix(words[0], `"`)) {
		words = words[1:]
	}
	if len(words) > 1 && words[0] == "kubectl" && words[1] == "mirror" {
		return append([]string{"kubectl-mirror"}, words[2:]...)
	}
	return words
}

// ofCommand looks at one command. A flag alone can be of any program.
func (v vocabulary) ofCommand(words []string) []string {
	words = ofProgram(words)
	if len(words) == 0 {
		return nil
	}
	name := path.Base(words[0])
	known, isOurs := v.flags[name]
	switch {
	case words[0] == "make":
		return v.ofMake(words[1:])
	case longFlag.MatchString(words[0]):
		name = "no program of ours"
		for _, flags := range v.flags {
			known = append(known, flags...)
		}
	case !isOurs:
		return nil
	}
	var found []string
	for _, word := range words {
		if m := longFlag.FindStringSubmatch(word); m != nil && !slices.Contains(known, m[1]) {
			if isOurs {
				found = append(found, fmt.Sprintf("%s has no flag --%s", name, m[1]))
			} else {
				found = append(found, fmt.Sprintf("%s has a flag --%s", name, m[1]))
			}
		}
	}
	return found
}

func (v vocabulary) ofMake(words []string) []string {
	var found []string
	for _, word := range words {
		if assignment.MatchString(word) {
			continue
		}
		if !ofMake.MatchString(word) {
			break
		}
		if !slices.Contains(v.targets, word) {
			found = append(found, "the Makefile has no target "+word)
		}
	}
	return found
}
