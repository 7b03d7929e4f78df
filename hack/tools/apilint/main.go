// Command apilint holds the types of our API to the conventions of Kubernetes' APIs: it runs the
// analyzers of the Kubernetes API linter (KAL), all but those that the configuration switches off,
// each with a reason. It builds in seconds, as the linter inside golangci-lint would not.
//
// It may import nothing of ours.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/tools/go/analysis/checker"
	"golang.org/x/tools/go/packages"
	kal "sigs.k8s.io/kube-api-linter/pkg/analysis/registry"
	kalconfig "sigs.k8s.io/kube-api-linter/pkg/config"
	_ "sigs.k8s.io/kube-api-linter/pkg/registration" // every linter registers itself
	"sigs.k8s.io/yaml"
)

// configuration is what config.yaml says.
type configuration struct {
	// Disabled are linters that don't run, each with the reason.
	Disabled map[string]string `json:"disabled"`
	// Settings of linters, by their names, as KAL documents them.
	Settings kalconfig.LintersConfig `json:"settings"`
	// Files that hold no type of the API, each with the reason.
	Files map[string]string `json:"files"`
	// Except are findings that are right and stay.
	Except []exception `json:"except"`
}

// exception is a finding that stays.
type exception struct {
	Linter string `json:"linter"`
	// Says is what the finding's text begins with.
	Says   string `json:"says"`
	Reason string `json:"reason"`

	used bool
}

func main() {
	config := flag.String("config", "hack/tools/apilint/config.yaml", "which linters are off, and why")
	flag.Parse()
	found, err := run(*config, flag.Args(), os.Stdout)
	switch {
	case err != nil:
		fmt.Fprintln(os.Stderr, "apilint:", err)
		os.Exit(2)
	case found > 0:
		fmt.Fprintf(os.Stderr, "apilint: %d findings: mend them, or say in %s why not\n", found, *config)
		os.Exit(1)
	}
}

func read(path string) (configuration, error) {
	var c configuration
	content, err := os.ReadFile(path)
	if err != nil {
		return c, fmt.Errorf("reading the configuration: %w", err)
	}
	if err := yaml.UnmarshalStrict(content, &c); err != nil {
		return c, fmt.Errorf("reading %s: %w", path, err)
	}
	for name, reason := range c.Disabled {
		if reason == "" {
			return c, fmt.Errorf("%s: disabled.%s has no reason", path, name)
		}
	}
	for _, e := range c.Except {
		if e.Linter == "" || e.Says == "" || e.Reason == "" {
			return c, fmt.Errorf("%s: an exception needs linter, says and reason: %+v", path, e)
		}
	}
	return c, nil
}

// run writes what is found, and returns how much.
func run(path string, patterns []string, out io.Writer) (int, error) {
	c, err := read(path)
	if err != nil {
		return 0, err
	}
	linters := kalconfig.Linters{Enable: []string{kalconfig.Wildcard}, Disable: slices.Sorted(maps.Keys(c.Disabled))}
	analyzers, err := kal.DefaultRegistry().InitializeLinters(linters, c.Settings)
	if err != nil {
		return 0, fmt.Errorf("setting the linters up: %w", err)
	}
	loaded, err := packages.Load(&packages.Config{Mode: packages.LoadAllSyntax}, patterns...)
	if err != nil {
		return 0, fmt.Errorf("loading the packages: %w", err)
	}
	if packages.PrintErrors(loaded) > 0 || len(loaded) == 0 {
		return 0, errors.New("the packages can't be loaded")
	}
	graph, err := checker.Analyze(analyzers, loaded, nil)
	if err != nil {
		return 0, fmt.Errorf("analyzing: %w", err)
	}
	lines, err := c.lines(graph)
	if err != nil {
		return 0, err
	}
	for _, line := range lines {
		fmt.Fprintln(out, line)
	}
	return len(lines), nil
}

// lines are the findings that nothing excepts, and the exceptions that nothing needs.
func (c *configuration) lines(graph *checker.Graph) ([]string, error) {
	var lines []string
	for _, action := range graph.Roots {
		if action.Err != nil {
			return nil, fmt.Errorf("running %s: %w", action.Analyzer.Name, action.Err)
		}
		for _, d := range action.Diagnostics {
			position := action.Package.Fset.Position(d.Pos)
			if _, skipped := c.Files[filepath.Base(position.Filename)]; skipped || c.excepted(action.Analyzer.Name, d.Message) {
				continue
			}
			lines = append(lines, fmt.Sprintf("%s: %s (%s)", position, d.Message, action.Analyzer.Name))
		}
	}
	slices.Sort(lines)
	for _, e := range c.Except {
		if !e.used {
			lines = append(lines, fmt.Sprintf("the exception of %s for %q is needed by nothing: remove it", e.Linter, e.Says))
		}
	}
	return lines, nil
}

func (c *configuration) excepted(linter, message string) bool {
	for i := range c.Except {
		if e := &c.Except[i]; e.Linter == linter && strings.HasPrefix(message, e.Says) {
			e.used = true
			return true
		}
	}
	return false
}
