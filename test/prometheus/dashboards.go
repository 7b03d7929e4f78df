package prometheus

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"vpcmirror.io/operator/test/env/checkout"
)

// Dashboard is one for Grafana, as far as tests look at it.
type Dashboard struct {
	// File is its name in config/chart/prometheus/dashboards.
	File          string     `json:"-"`
	UID           string     `json:"uid"`
	Title         string     `json:"title"`
	SchemaVersion int        `json:"schemaVersion"`
	Panels        []Panel    `json:"panels"`
	Templating    Templating `json:"templating"`
}

// Templating has the variables of a dashboard.
type Templating struct {
	List []Variable `json:"list"`
}

// Variable is what a reader of a dashboard can choose.
type Variable struct {
	Name       string      `json:"name"`
	Type       string      `json:"type"`
	Query      any         `json:"query"`
	Datasource *Datasource `json:"datasource"`
}

// Panel is a part of a dashboard.
type Panel struct {
	ID          int         `json:"id"`
	Type        string      `json:"type"`
	Title       string      `json:"title"`
	Description string      `json:"description"`
	Datasource  *Datasource `json:"datasource"`
	Targets     []struct {
		RefID        string      `json:"refId"`
		Expr         string      `json:"expr"`
		LegendFormat string      `json:"legendFormat"`
		Datasource   *Datasource `json:"datasource"`
	} `json:"targets"`
	// Panels are those of a row that is closed.
	Panels []Panel `json:"panels"`
}

// Datasource is where a panel asks.
type Datasource struct {
	Type string `json:"type"`
	UID  string `json:"uid"`
}

// Query is one of a dashboard.
type Query struct {
	// Dashboard, Panel and RefID are where it stands.
	Dashboard, Panel, RefID string
	// Expr is the query with its variables.
	Expr string
	// EmptyWhenWell says that it gives nothing while nothing is wrong: the panel's description says so.
	EmptyWhenWell bool
}

// String says where the query stands.
func (q Query) String() string {
	return fmt.Sprintf("%s, panel %q, query %s", q.Dashboard, q.Panel, q.RefID)
}

// Marker is the sentence in the description of a panel that has nothing to show while all is well.
const Marker = "Empty while all is well."

// zero makes a count of nothing 0, where a manager tells of mirrors. A query with it gives data then, whatever else it says.
const zero = ` or 0 * max(vpcmirror_session_metrics{detail!="off"})`

// Fill puts values in the place of the variables, and of those that Grafana has itself. What would make 0 of
// nothing is left out: else a misspelt metric would go unnoticed.
func (q Query) Fill(variables map[string]string) string {
	expr := strings.TrimSuffix(q.Expr, zero)
	for name, value := range variables {
		expr = strings.NewReplacer("${"+name+"}", value, "$"+name, value).Replace(expr)
	}
	return intervals.Replace(expr)
}

var intervals = strings.NewReplacer("$__rate_interval", "30s", "$__interval", "30s", "$__range", "1h")

// Dashboards are all of the project's.
func Dashboards() ([]Dashboard, error) {
	root, err := checkout.Root()
	if err != nil {
		return nil, err
	}
	files, err := filepath.Glob(filepath.Join(root, "config", "chart", "prometheus", "dashboards", "*.json"))
	if err != nil {
		return nil, fmt.Errorf("find the dashboards: %w", err)
	}
	var all []Dashboard
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("read a dashboard: %w", err)
		}
		d := Dashboard{File: filepath.Base(file)}
		if err := json.Unmarshal(content, &d); err != nil {
			return nil, fmt.Errorf("read the dashboard %s: %w", d.File, err)
		}
		all = append(all, d)
	}
	return all, nil
}

// AllPanels are those of the dashboard, with those of its rows.
func (d Dashboard) AllPanels() (all []Panel) {
	for _, p := range d.Panels {
		all = append(append(all, p), p.Panels...)
	}
	return all
}

// labelValues is a variable's query for the values of a label.
var labelValues = regexp.MustCompile(`^label_values\((.*),\s*(\w+)\)$`)

// Queries are all that a dashboard asks Prometheus: those of its panels, and of its variables.
func (d Dashboard) Queries() (all []Query) {
	for _, p := range d.AllPanels() {
		for _, t := range p.Targets {
			all = append(all, Query{
				Dashboard: d.File, Panel: p.Title, RefID: t.RefID, Expr: t.Expr,
				EmptyWhenWell: strings.Contains(p.Description, Marker) || strings.HasSuffix(t.Expr, zero),
			})
		}
	}
	for _, v := range d.Templating.List {
		text, is := v.Query.(string)
		if query, isObject := v.Query.(map[string]any); isObject {
			text, is = query["query"].(string)
		}
		if found := labelValues.FindStringSubmatch(text); is && found != nil {
			all = append(all, Query{
				Dashboard: d.File, Panel: "variable " + v.Name, RefID: "A", Expr: fmt.Sprintf("group by (%s) (%s)", found[2], found[1]),
			})
		}
	}
	return all
}

// Queries are those of all dashboards.
func Queries() ([]Query, error) {
	dashboards, err := Dashboards()
	if err != nil {
		return nil, err
	}
	var all []Query
	for _, d := range dashboards {
		all = append(all, d.Queries()...)
	}
	return slices.Clip(all), nil
}
