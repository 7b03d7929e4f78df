package prometheus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// Sample is a value that a query gives.
type Sample struct {
	Labels map[string]string
	Value  float64
}

// Alert is one that Prometheus knows of.
type Alert struct {
	Labels      map[string]string `json:"labels"`
	Annotations map[string]string `json:"annotations"`
	// State is pending or firing.
	State string `json:"state"`
}

// Firing is the State of an alert of which somebody would be told.
const Firing = "firing"

// Target is something that is scraped.
type Target struct {
	Labels    map[string]string `json:"labels"`
	ScrapeURL string            `json:"scrapeUrl"`
	// Health is up, down or unknown.
	Health    string `json:"health"`
	LastError string `json:"lastError"`
}

// Query gives the samples of an instant query, now.
func (s *Server) Query(ctx context.Context, expression string) ([]Sample, error) {
	var answer struct {
		ResultType string          `json:"resultType"`
		Result     json.RawMessage `json:"result"`
	}
	if err := s.get(ctx, "/api/v1/query?query="+url.QueryEscape(expression), &answer); err != nil {
		return nil, fmt.Errorf("ask Prometheus %s: %w", expression, err)
	}
	if answer.ResultType != "vector" {
		return nil, fmt.Errorf("ask Prometheus %s: it gives a %s and no vector", expression, answer.ResultType)
	}
	var series []struct {
		Metric map[string]string  `json:"metric"`
		Value  [2]json.RawMessage `json:"value"`
	}
	if err := json.Unmarshal(answer.Result, &series); err != nil {
		return nil, fmt.Errorf("read what Prometheus answers to %s: %w", expression, err)
	}
	samples := make([]Sample, 0, len(series))
	for _, one := range series {
		var text string
		if err := json.Unmarshal(one.Value[1], &text); err != nil {
			return nil, fmt.Errorf("read what Prometheus answers to %s: %w", expression, err)
		}
		value, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return nil, fmt.Errorf("read what Prometheus answers to %s: %w", expression, err)
		}
		samples = append(samples, Sample{Labels: one.Metric, Value: value})
	}
	return samples, nil
}

// Alerts are all that are pending or firing.
func (s *Server) Alerts(ctx context.Context) ([]Alert, error) {
	var answer struct {
		Alerts []Alert `json:"alerts"`
	}
	if err := s.get(ctx, "/api/v1/alerts", &answer); err != nil {
		return nil, fmt.Errorf("ask Prometheus for its alerts: %w", err)
	}
	return answer.Alerts, nil
}

// Targets are all that are scraped.
func (s *Server) Targets(ctx context.Context) ([]Target, error) {
	var answer struct {
		Targets []Target `json:"activeTargets"`
	}
	if err := s.get(ctx, "/api/v1/targets?state=active", &answer); err != nil {
		return nil, fmt.Errorf("ask Prometheus for its targets: %w", err)
	}
	return answer.Targets, nil
}

// AwaitTargets waits until so many are scraped, and all of them answer.
func (s *Server) AwaitTargets(ctx context.Context, n int) error {
	return poll(ctx, fmt.Sprintf("%d targets that are up", n), func() error {
		targets, err := s.Targets(ctx)
		if err != nil {
			return err
		}
		var said []string
		up := 0
		for _, t := range targets {
			said = append(said, strings.TrimSpace(t.ScrapeURL+" is "+t.Health+" "+t.LastError))
			if t.Health == "up" {
				up++
			}
		}
		if up != n || len(targets) != n {
			return fmt.Errorf("there are %d: %s", len(targets), strings.Join(said, "; "))
		}
		return nil
	})
}

// AwaitFiring waits until an alert of that name fires whose labels have these values, and returns it.
func (s *Server) AwaitFiring(ctx context.Context, name string, labels map[string]string) (found Alert, err error) {
	err = poll(ctx, fmt.Sprintf("the alert %s%v", name, labels), func() error {
		alerts, err := s.Alerts(ctx)
		if err != nil {
			return err
		}
		for _, a := range alerts {
			if a.State == Firing && a.is(name, labels) {
				found = a
				return nil
			}
		}
		return errors.New("there are: " + describe(alerts))
	})
	return found, err
}

// AwaitEnd waits until no alert of that name with these labels is pending or fires any more.
func (s *Server) AwaitEnd(ctx context.Context, name string, labels map[string]string) error {
	return poll(ctx, fmt.Sprintf("the end of the alert %s%v", name, labels), func() error {
		alerts, err := s.Alerts(ctx)
		if err != nil {
			return err
		}
		for _, a := range alerts {
			if a.is(name, labels) {
				return errors.New("there are: " + describe(alerts))
			}
		}
		return nil
	})
}

func (a Alert) is(name string, labels map[string]string) bool {
	if a.Labels["alertname"] != name {
		return false
	}
	for label, value := range labels {
		if a.Labels[label] != value {
			return false
		}
	}
	return true
}

func describe(alerts []Alert) string {
	var all []string
	for _, a := range alerts {
		var labels []string
		for _, name := range slices.Sorted(maps.Keys(a.Labels)) {
			if name != "alertname" {
				labels = append(labels, name+"="+a.Labels[name])
			}
		}
		all = append(all, fmt.Sprintf("%s %s{%s}", a.State, a.Labels["alertname"], strings.Join(labels, ",")))
	}
	if len(all) == 0 {
		return "none"
	}
	return strings.Join(all, "; ")
}

func (s *Server) get(ctx context.Context, path string, into any) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.URL+path, nil)
	if err != nil {
		return err
	}
	answer, err := s.client.Do(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	var body struct {
		Status string          `json:"status"`
		Error  string          `json:"error"`
		Data   json.RawMessage `json:"data"`
	}
	if err := json.NewDecoder(answer.Body).Decode(&body); err != nil {
		return fmt.Errorf("%s: %w", answer.Status, err)
	}
	if body.Status != "success" {
		return errors.New(body.Error)
	}
	return json.Unmarshal(body.Data, into)
}
