package prometheus

import (
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// Metric is a family of series in the list of metrics.
type Metric struct {
	Name, Type string
	Labels     []string
	// ServedBy is manager, verifier or both.
	ServedBy string
	Help     string
}

// row is one of the list's first table.
var row = regexp.MustCompile("(?m)^\\| `(vpcmirror_[a-z_]+)` \\| (\\w+) \\| ([^|]*) \\| (\\w+) \\| (.*) \\|$")

// Metrics are those of config/prometheus/METRICS.md, by name.
func Metrics() (map[string]Metric, error) {
	content, err := read(filepath.Join("config", "prometheus", "METRICS.md"))
	if err != nil {
		return nil, err
	}
	all := map[string]Metric{}
	for _, found := range row.FindAllStringSubmatch(string(content), -1) {
		m := Metric{Name: found[1], Type: found[2], ServedBy: found[4], Help: found[5]}
		for label := range strings.SplitSeq(found[3], ",") {
			if label = strings.Trim(label, "` "); label != "" {
				m.Labels = append(m.Labels, label)
			}
		}
		all[m.Name] = m
	}
	return all, nil
}

// Of gives the metric of a series: that of a histogram has another name than its series.
func Of(metrics map[string]Metric, series string) (Metric, bool) {
	if m, is := metrics[series]; is {
		return m, true
	}
	for _, suffix := range []string{"_bucket", "_sum", "_count"} {
		if m, is := metrics[strings.TrimSuffix(series, suffix)]; is && m.Type == "histogram" {
			if suffix == "_bucket" {
				m.Labels = append(slices.Clone(m.Labels), "le")
			}
			return m, true
		}
	}
	return Metric{}, false
}

// Selector is a series that a query names, with the labels that it asks for.
type Selector struct {
	Metric string
	// Labels have the values that are asked for, those of an alternative one by one.
	Labels map[string][]string
}

var (
	selector = regexp.MustCompile(`\b(vpcmirror_[a-z_]+)(?:\{([^}]*)\})?`)
	matcher  = regexp.MustCompile(`(\w+)\s*(?:=~|!~|!=|=)\s*"([^"]*)"`)
	grouping = regexp.MustCompile(`\b(?:by|without|on|ignoring)\s*\(([^)]*)\)`)
)

// Selectors are the series that a query names.
func Selectors(query string) (all []Selector) {
	for _, found := range selector.FindAllStringSubmatch(query, -1) {
		s := Selector{Metric: found[1], Labels: map[string][]string{}}
		for _, m := range matcher.FindAllStringSubmatch(found[2], -1) {
			s.Labels[m[1]] = append(s.Labels[m[1]], strings.Split(m[2], "|")...)
		}
		all = append(all, s)
	}
	return all
}

// Groupings are the labels by which a query groups.
func Groupings(query string) (all []string) {
	for _, found := range grouping.FindAllStringSubmatch(query, -1) {
		for label := range strings.SplitSeq(found[1], ",") {
			if label = strings.TrimSpace(label); label != "" {
				all = append(all, label)
			}
		}
	}
	return all
}

// targetLabels are those that the monitors give to all series of a target.
var targetLabels = []string{"node", "instance", "pod", "job"}

// Unknown finds what a query names and no metric has: series, labels that are asked for, labels by which it groups.
func Unknown(metrics map[string]Metric, query string) (problems []string) {
	known := slices.Clone(targetLabels)
	for _, s := range Selectors(query) {
		m, is := Of(metrics, s.Metric)
		if !is {
			problems = append(problems, "there is no metric "+s.Metric)
			continue
		}
		known = append(known, m.Labels...)
		for label := range s.Labels {
			if !slices.Contains(m.Labels, label) && !slices.Contains(targetLabels, label) {
				problems = append(problems, fmt.Sprintf("%s has no label %s", s.Metric, label))
			}
		}
	}
	for _, label := range Groupings(query) {
		if !slices.Contains(known, label) {
			problems = append(problems, "it groups by "+label+", which no series of it has")
		}
	}
	return problems
}
