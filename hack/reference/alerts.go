package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"sigs.k8s.io/yaml"
)

// alert is one of a rules file of Prometheus.
type alert struct {
	Alert  string            `json:"alert"`
	For    string            `json:"for"`
	Labels map[string]string `json:"labels"`
}

const alertsHead = `# Runbooks

One for each [alert](../rules.yaml), under its name: what it means, who is hurt, where to look, what mends it, when to call somebody, and what
heals by itself. Whoever can use ` + "`kubectl`" + ` can follow them; the plugin ` + "`kubectl mirror`" + ` is only ever another way. Names, addresses and
outputs are those of the worlds of ` + "`make demo-up` and `make lab-up`" + `. Where ` + "`monitoring.secure`" + ` is set, metrics are read with
` + "`curl -sk -H \"Authorization: Bearer TOKEN\" https://127.0.0.1:8080/metrics`" + ` and a token of somebody who may. Written by ` + "`make generate`" + ` from the rules and the first sentence of
each runbook.

| alert | severity | after | what it means |
| --- | --- | --- | --- |
`

// writeAlerts writes the list of alerts: severity and time from the rules, the meaning from the runbooks.
func writeAlerts(out io.Writer, rules, runbooks string) error {
	content, err := os.ReadFile(rules)
	if err != nil {
		return fmt.Errorf("read the alerts: %w", err)
	}
	var file struct {
		Groups []struct {
			Rules []alert `json:"rules"`
		} `json:"groups"`
	}
	if err := yaml.Unmarshal(content, &file); err != nil {
		return fmt.Errorf("read the alerts in %s: %w", rules, err)
	}
	var page strings.Builder
	page.WriteString(alertsHead)
	var problems []error
	for _, group := range file.Groups {
		for _, a := range group.Rules {
			meaning, err := firstSentence(filepath.Join(runbooks, a.Alert+".md"), a.Alert)
			problems = append(problems, err)
			fmt.Fprintf(&page, "| [%s](%s.md) | %s | %s | %s |\n", a.Alert, a.Alert, a.Labels["severity"], a.For, meaning)
		}
	}
	if err := errors.Join(problems...); err != nil {
		return err
	}
	if _, err := io.WriteString(out, page.String()); err != nil {
		return fmt.Errorf("write the list of alerts: %w", err)
	}
	return nil
}

// firstSentence is that of a runbook, below the heading with its name.
func firstSentence(file, name string) (string, error) {
	content, err := os.ReadFile(file)
	if err != nil {
		return "", fmt.Errorf("read the runbook of %s: %w", name, err)
	}
	text, is := strings.CutPrefix(string(content), "# "+name+"\n\n")
	if !is {
		return "", fmt.Errorf("%s does not begin with the heading %q and an empty line", file, "# "+name)
	}
	paragraph, _, _ := strings.Cut(text, "\n\n")
	sentence, _, _ := strings.Cut(oneLine(paragraph), ". ")
	return strings.TrimSuffix(sentence, ".") + ".", nil
}
