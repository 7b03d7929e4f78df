package main

import (
	"cmp"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// metric is a family of series as its declaration has it.
type metric struct {
	name, kind, help string
	labels           []string
	// folder is where it is declared.
	folder string
}

// label is what a label of the metrics means, and what bounds how many values it has.
type label struct{ name, means, bound string }

// metricLabels explains each label. One that is not here may not be used: its values must be bounded by what
// the cluster or the account has, and never by what somebody sends.
var metricLabels = []label{
	{"account", "region and project of the cloud, `region/project`; `unproven` for keys that the cloud never took", "accounts in use; of more than 256 those go that were not used for longest"},
	{"address", "the first address of a source's interface", "one for each source"},
	{"by", "who made a change: `Spec`, `Operator`, `Cloud`", "3"},
	{"class", "what a frame is", "11: `attributed`, `foreign-source`, `foreign-vni`, `unknown-stream`, `not-vxlan`, `outer-fragment`, `bad-header`, `gpe`, `malformed`, `cut`, `other-host`"},
	{"detail", "which sessions have series of their own", "`all`, `troubled` or `off`: one at a time"},
	{"filter", "name of a MirrorFilter", "filters of the cluster"},
	{"goversion", "version of Go that built the program", "one for each program"},
	{"interface", "network interface of a node", "interfaces with the address of a target"},
	{"issuer", "what issues temporary keys of the operator's own credentials: `agency`, `metadata`, `podIdentity` or `workloadIdentity`", "4"},
	{"kind", "`MirrorFilter` and `MirrorSession`, or `filter` and `session` in the cloud", "2"},
	{"namespace", "namespace of the object", "namespaces with objects of ours"},
	{"node", "name of the target's node, empty where it is none of this cluster", "one for each session"},
	{"op", "operation of the cloud's API, as the SDK calls it", "those that the manager uses, about 40"},
	{"outcome", "of frames `delivered` and `dropped`; of writes `stored`, `gone` and `failed`", "2 or 3"},
	{"program", "`manager` or `verifier`", "2"},
	{"ready", "status of the condition Ready: `True`, `False`, `Unknown`", "3"},
	{"reason", "reason of a condition or a finding, see [the reference](../../api/v1alpha1/README.md#reasons)", "one at a time for a condition; for findings at most 32 in a session"},
	{"resource", "what a quota is of: `session`", "1"},
	{"result", "`OK`; the class of the error: `NotFound`, `Throttled`, `Server`, `Authentication`, `Permission` and so on; or `NotSent`: held back by the manager itself, because its own limit was used up, the cloud had asked to wait, or nobody waited for it any more", "about 13"},
	{"rule", "direction and priority of a rule of the session's filter, such as `Egress 1`", "rules of a filter, at most 20"},
	{"session", "name of a MirrorSession", "sessions of the cluster; see --session-metrics"},
	{"severity", "of a finding: `Error`, `Warning`, `Info`", "3"},
	{"source", "interface ID of a source", "sources of a session, at most 10"},
	{"status", "status of a condition: `True`, `False`, `Unknown`", "one at a time"},
	{"target", "interface ID of the target", "one for each session"},
	{"type", "type of a condition: `Ready`, `PathClear`, `TrafficObserved`, `ConsumerReady`, and `Reconciling` or `Stalled` while that is True", "at most 6"},
	{"verdict", "what the session's filter says of a packet", "8: `accepted`, `unexpected`, `undecidable`, `not-ip`, `malformed`, `direction-unknown`; of a whole session `foreign-source` and `unreadable` too"},
	{"version", "version of the program", "one for each program"},
	{"vni", "VNI of the session", "one for each session"},
}

var ourMetric = regexp.MustCompile(`^vpcmirror_[a-z_]+$`)

// readMetrics reads the metrics that the Go sources in the folders declare.
func readMetrics(folders ...string) ([]metric, error) {
	var all []metric
	for _, folder := range folders {
		err := filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
			switch {
			case err != nil:
				return err
			case !entry.IsDir():
				return nil
			}
			found, err := metricsIn(path)
			all = append(all, found...)
			return err
		})
		if err != nil {
			return nil, fmt.Errorf("read the metrics of %s: %w", folder, err)
		}
	}
	slices.SortFunc(all, func(a, b metric) int { return cmp.Compare(a.name, b.name) })
	return all, checkMetrics(all)
}

func checkMetrics(all []metric) error {
	var problems []error
	for i, m := range all {
		if i > 0 && all[i-1].name == m.name {
			problems = append(problems, fmt.Errorf("%s is declared twice, in %s and in %s", m.name, all[i-1].folder, m.folder))
		}
		if m.help == "" {
			problems = append(problems, fmt.Errorf("%s has no help that could be read from %s: write it there as a text", m.name, m.folder))
		}
		for _, name := range m.labels {
			if !slices.ContainsFunc(metricLabels, func(l label) bool { return l.name == name }) {
				problems = append(problems, fmt.Errorf("%s has the label %s: say in metricLabels of hack/reference what it means and what bounds its values", m.name, name))
			}
		}
	}
	return errors.Join(problems...)
}

// metricsIn reads the package in a folder, if there is one.
func metricsIn(folder string) ([]metric, error) {
	names, err := filepath.Glob(filepath.Join(folder, "*.go"))
	if err != nil {
		return nil, err
	}
	s := source{lists: map[string][]string{}, folder: folder}
	var files []*ast.File
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		if err != nil {
			return nil, err
		}
		files = append(files, file)
		ast.Inspect(file, s.noteLists)
	}
	for _, file := range files {
		ast.Inspect(file, s.noteMetrics)
	}
	return s.found, nil
}

// source is a package being read.
type source struct {
	folder string
	// lists are its variables that are lists of texts.
	lists map[string][]string
	found []metric
}

func (s *source) noteLists(n ast.Node) bool {
	if spec, is := n.(*ast.ValueSpec); is && len(spec.Names) == len(spec.Values) {
		for i, value := range spec.Values {
			if list, is := s.texts(value); is {
				s.lists[spec.Names[i].Name] = list
			}
		}
	}
	return true
}

// noteMetrics finds calls with a metric's name, its help and its labels as arguments, whatever is called; and
// the options of client_golang's own metrics, with the labels behind them.
func (s *source) noteMetrics(n ast.Node) bool {
	call, is := n.(*ast.CallExpr)
	if !is || len(call.Args) < 2 {
		return true
	}
	if name, is := literalText(call.Args[0]); is && ourMetric.MatchString(name) {
		m := metric{name: name, kind: "gauge", folder: s.folder}
		if strings.HasSuffix(name, "_total") {
			m.kind = "counter"
		}
		m.help, _ = literalText(call.Args[1])
		m.labels = s.labels(call.Args[2:])
		s.found = append(s.found, m)
	}
	if m, is := options(call.Args[0]); is {
		m.folder = s.folder
		m.labels = append(m.labels, s.labels(call.Args[1:])...)
		s.found = append(s.found, m)
	}
	return true
}

// labels are those that arguments name: as texts, as lists, or by a variable that is one.
func (s *source) labels(arguments []ast.Expr) (all []string) {
	for _, a := range arguments {
		if one, is := literalText(a); is {
			all = append(all, one)
			continue
		}
		list, _ := s.texts(a)
		all = append(all, list...)
	}
	return all
}

func (s *source) texts(e ast.Expr) (all []string, is bool) {
	if name, is := e.(*ast.Ident); is {
		list, known := s.lists[name.Name]
		return list, known
	}
	literal, is := e.(*ast.CompositeLit)
	if !is {
		return nil, false
	}
	if _, is := literal.Type.(*ast.ArrayType); !is {
		return nil, false
	}
	for _, element := range literal.Elts {
		one, is := literalText(element)
		if !is {
			return nil, false
		}
		all = append(all, one)
	}
	return all, true
}

// options reads prometheus.CounterOpts and the like.
func options(e ast.Expr) (m metric, is bool) {
	literal, is := e.(*ast.CompositeLit)
	if !is {
		return m, false
	}
	of, is := literal.Type.(*ast.SelectorExpr)
	if !is || !strings.HasSuffix(of.Sel.Name, "Opts") {
		return m, false
	}
	m.kind = strings.ToLower(strings.TrimSuffix(of.Sel.Name, "Opts"))
	for _, element := range literal.Elts {
		pair, is := element.(*ast.KeyValueExpr)
		if !is {
			continue
		}
		key, is := pair.Key.(*ast.Ident)
		if !is {
			continue
		}
		switch key.Name {
		case "Name":
			m.name, _ = literalText(pair.Value)
		case "Help":
			m.help, _ = literalText(pair.Value)
		case "ConstLabels":
			m.labels = keys(pair.Value)
		}
	}
	return m, ourMetric.MatchString(m.name)
}

func keys(e ast.Expr) (all []string) {
	literal, is := e.(*ast.CompositeLit)
	if !is {
		return nil
	}
	for _, element := range literal.Elts {
		if pair, is := element.(*ast.KeyValueExpr); is {
			if key, is := literalText(pair.Key); is {
				all = append(all, key)
			}
		}
	}
	return all
}

// literalText is a literal, or several that are added up.
func literalText(e ast.Expr) (value string, is bool) {
	switch e := e.(type) {
	case *ast.BasicLit:
		if e.Kind != token.STRING {
			return "", false
		}
		value, err := strconv.Unquote(e.Value)
		return value, err == nil
	case *ast.BinaryExpr:
		left, is := literalText(e.X)
		right, too := literalText(e.Y)
		return left + right, is && too && e.Op == token.ADD
	default:
		return "", false
	}
}

// served says by which program a metric is served.
func (m metric) served() string {
	switch {
	case strings.Contains(m.folder, "internal"):
		return "both"
	case strings.Contains(m.folder, "verifier"):
		return "verifier"
	default:
		return "manager"
	}
}

const metricsHead = `# Metrics

Written by ` + "`make generate`" + ` from the declarations in the Go sources; the labels are explained in hack/reference/metrics.go. A test
compares it with what manager and verifier serve.

The manager serves them on port 8080. Only the one that leads tells of sessions and filters, from its cache at the time of the scrape: nothing
is told of what is gone, and counts are those of the status, so they survive pods. The verifier's are on 127.0.0.1:14789 of each node
(` + "`verifier.metrics.exposed`" + ` or ` + "`monitoring.podMonitor.enabled`" + ` of the chart open them) and begin at 0 with each run.

How many series that is: about 20 for each session, 1 more for each rule of its filter, and 3 for each source where it has several; in the verifier 11 for each session
whose target is on the node and 7 for each of its sources, and 16 for each interface; in the manager about 100 for each account. Above 2,000
sessions, or filters, only those in trouble have series, the first 2,000 of them by namespace and name (` + "`--session-metrics=auto`" + `; all, troubled and
off say otherwise): a condition is False or Stalled, nobody can know it because something is broken, or a finding is Warning or Error.
vpcmirror_session_metrics_left_out counts those that the bound leaves out, vpcmirror_objects all. So it is with filters that are not ready, and vpcmirror_filter_metrics_left_out. "Three resync intervals" are 10 minutes at least. The manager also serves what controller-runtime has (` + "`controller_runtime_*`" + `,
` + "`workqueue_*`" + `, ` + "`rest_client_*`" + `) and Go's runtime; the verifier has these with ` + "`--runtime-metrics`" + ` alone.

## The metrics

| metric | type | labels | served by | what it is |
| --- | --- | --- | --- | --- |
`

const labelsHead = `
## The labels

| label | what it is | how many values |
| --- | --- | --- |
`

// writeMetrics writes the list of metrics.
func writeMetrics(out io.Writer, folders ...string) error {
	all, err := readMetrics(folders...)
	if err != nil {
		return err
	}
	var page strings.Builder
	page.WriteString(metricsHead)
	used := map[string]bool{}
	for _, m := range all {
		var labels []string
		for _, l := range m.labels {
			used[l] = true
			labels = append(labels, "`"+l+"`")
		}
		fmt.Fprintf(&page, "| `%s` | %s | %s | %s | %s |\n", m.name, m.kind, strings.Join(labels, ", "), m.served(), m.help)
	}
	page.WriteString(labelsHead)
	for _, l := range metricLabels {
		if !used[l.name] {
			return fmt.Errorf("no metric has the label %s any more: take it out of metricLabels of hack/reference", l.name)
		}
		fmt.Fprintf(&page, "| `%s` | %s | %s |\n", l.name, l.means, l.bound)
	}
	if _, err := io.WriteString(out, page.String()); err != nil {
		return fmt.Errorf("write the list of metrics: %w", err)
	}
	return nil
}
