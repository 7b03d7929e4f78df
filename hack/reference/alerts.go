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
outputs are those of the worlds of ` + "`make demo-up` and `make lab-up`" + `. Written by ` + "`make generate`" + `
from the rules and the first sentence of each runbook.

| alert | severity | after | what it means |
| --- | --- | --- | --- |
`

// alertsFoot says what several runbooks need.
const alertsFoot = `
## Reading metrics

The runbooks have the API server read the metrics of the manager that leads, as nothing but kubectl is needed for it:

` + "```" + `
LEADER=$(kubectl get lease -n vpcmirror-system vpcmirror-manager -o jsonpath='{.spec.holderIdentity}' | cut -d_ -f1)
kubectl get --raw /api/v1/namespaces/vpcmirror-system/pods/$LEADER:8080/proxy/metrics
` + "```" + `

- *forbidden*: you need the right to get ` + "`pods/proxy`" + ` in vpcmirror-system.
- A time-out: the API server does not reach the pod, which a NetworkPolicy (` + "`networkPolicy.metricsFrom`" + ` of the chart) or the network's
  layout may do. ` + "`kubectl port-forward -n vpcmirror-system $LEADER 8080`" + ` goes another way: leave it running, and open
  http://127.0.0.1:8080/metrics.
- With ` + "`monitoring.secure`" + ` the metrics are served by TLS, and to whom they know alone: ` + "`pods/https:$LEADER:8080/proxy/metrics`" + ` reaches them,
  but the API server passes no token on, and the answer is Unauthorized. Ask Prometheus for the same series.

A manager outside the cluster, as ` + "`make demo-up`" + ` starts it, is no pod: its own address has the metrics.
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
	page.WriteString(alertsFoot)
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
