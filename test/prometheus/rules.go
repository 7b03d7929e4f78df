package prometheus

import (
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/prometheus/common/model"
	"sigs.k8s.io/yaml"
)

// RuleFile is a rules file of Prometheus.
type RuleFile struct {
	Groups []RuleGroup `json:"groups"`
}

// RuleGroup are rules that are judged together.
type RuleGroup struct {
	Name     string `json:"name"`
	Interval string `json:"interval,omitempty"`
	Rules    []Rule `json:"rules"`
}

// Rule is an alert.
type Rule struct {
	Alert       string            `json:"alert"`
	Expr        string            `json:"expr"`
	For         string            `json:"for,omitempty"`
	Labels      map[string]string `json:"labels,omitempty"`
	Annotations map[string]string `json:"annotations,omitempty"`
}

// Alerts are the project's, in the order of the file.
func Alerts() ([]Rule, error) {
	file, err := readRules()
	if err != nil {
		return nil, err
	}
	var all []Rule
	for _, group := range file.Groups {
		all = append(all, group.Rules...)
	}
	return all, nil
}

// Rules is the content of the project's rules file, changed.
func Rules(change ...func(*Rule)) ([]byte, error) {
	file, err := readRules()
	if err != nil {
		return nil, err
	}
	for g := range file.Groups {
		for r := range file.Groups[g].Rules {
			for _, c := range change {
				c(&file.Groups[g].Rules[r])
			}
		}
	}
	content, err := yaml.Marshal(file)
	if err != nil {
		return nil, fmt.Errorf("write the alerts: %w", err)
	}
	return content, nil
}

func readRules() (file RuleFile, err error) {
	content, err := read(filepath.Join("config", "prometheus", "rules.yaml"))
	if err != nil {
		return file, err
	}
	if err := yaml.UnmarshalStrict(content, &file); err != nil {
		return file, fmt.Errorf("read the alerts: %w", err)
	}
	return file, nil
}

// window is a range of time in a query, with the step where it is one of a query.
var window = regexp.MustCompile(`\[([0-9a-z]+)(?::([0-9a-z]+))?\]`)

// shortest is the least range over which a rate of something that is scraped each second can be told.
const shortest = 10 * time.Second

// Hasten divides how long an alert waits, and the ranges of time that it looks at with their steps, though not below
// ten seconds: a test does not wait for a quarter of an hour. What the alert is about stays as it is.
func Hasten(by int) func(*Rule) {
	divided := func(text string, least time.Duration) string {
		d, err := model.ParseDuration(text)
		if err != nil {
			return text // Prometheus says what is wrong with it
		}
		return model.Duration(max(time.Duration(d)/time.Duration(by), least)).String()
	}
	return func(r *Rule) {
		if r.For != "" {
			r.For = divided(r.For, 0)
		}
		r.Expr = window.ReplaceAllStringFunc(r.Expr, func(found string) string {
			long, step, has := strings.Cut(found[1:len(found)-1], ":")
			if has {
				step = ":" + divided(step, time.Millisecond)
			}
			return "[" + divided(long, shortest) + step + "]"
		})
	}
}
