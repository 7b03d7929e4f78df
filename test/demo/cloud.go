package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"vpcmirror.io/operator/test/cloudsim/scenario"
	"vpcmirror.io/operator/test/cloudsim/sign"
)

// cloud calls the simulated cloud's API with signed requests, as any client would.
type cloud struct {
	endpoint string
	client   *http.Client
}

func newCloud(endpoint string) *cloud {
	return &cloud{endpoint: endpoint, client: &http.Client{Timeout: 5 * time.Second}}
}

// call sends a request and reads the answer into out, which may be nil. {project_id} in
// the path stands for the walkthrough's project.
func (c *cloud) call(ctx context.Context, method, path string, body, out any) error {
	if err := c.try(ctx, method, path, body, out); err != nil {
		return fmt.Errorf("calling the cloud: %s %s: %w", method, path, err)
	}
	return nil
}

func (c *cloud) try(ctx context.Context, method, path string, body, out any) error {
	var content []byte
	if body != nil {
		var err error
		if content, err = json.Marshal(body); err != nil {
			return err
		}
	}
	url := c.endpoint + strings.ReplaceAll(path, "{project_id}", scenario.WalkthroughProject)
	request, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader(content))
	if err != nil {
		return err
	}
	if body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	credentials := sign.Credentials{
		AccessKey: scenario.WalkthroughAccessKey, SecretKey: scenario.WalkthroughSecretKey, ProjectID: scenario.WalkthroughProject,
	}
	if err := sign.Sign(request, credentials, content, time.Now()); err != nil {
		return err
	}
	answer, err := c.client.Do(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	data, err := io.ReadAll(answer.Body)
	if err != nil {
		return err
	}
	if answer.StatusCode >= http.StatusBadRequest {
		return fmt.Errorf("%s: %s", answer.Status, bytes.TrimSpace(data))
	}
	if out == nil {
		return nil
	}
	return json.Unmarshal(data, out)
}

// healthy reports whether the cloud that runs as this process answers a signed request. Of two
// that were given the same port, one answers and the other is about to end.
func (c *cloud) healthy(ctx context.Context, process int) error {
	var health struct {
		Process int `json:"process"`
	}
	if err := c.try(ctx, http.MethodGet, "/_sim/health", nil, &health); err != nil {
		return err
	}
	if health.Process != process {
		return fmt.Errorf("at %s answers process %d and not the simulated cloud %d that was started: another program has the port", c.endpoint, health.Process, process)
	}
	_, err := c.sessions(ctx)
	return err
}

// cloudRule, cloudFilter and cloudSession are what the demo looks at of the cloud's own
// objects.
type cloudRule struct {
	Direction   string `json:"direction"`
	Protocol    string `json:"protocol"`
	Action      string `json:"action"`
	Priority    int    `json:"priority"`
	Source      string `json:"source_cidr_block"`
	Destination string `json:"destination_cidr_block"`
	Ports       string `json:"destination_port_range"`
}

type cloudFilter struct {
	ID      string      `json:"id"`
	Name    string      `json:"name"`
	Ingress []cloudRule `json:"ingress_rules"`
	Egress  []cloudRule `json:"egress_rules"`
}

type cloudSession struct {
	ID           string   `json:"id"`
	Name         string   `json:"name"`
	FilterID     string   `json:"traffic_mirror_filter_id"`
	Sources      []string `json:"traffic_mirror_sources"`
	Target       string   `json:"traffic_mirror_target_id"`
	VNI          int      `json:"virtual_network_id"`
	PacketLength int      `json:"packet_length"`
	Priority     int      `json:"priority"`
	Enabled      bool     `json:"enabled"`
}

const mirrorPath = "/v3/{project_id}/vpc/traffic-mirror-"

func (c *cloud) filters(ctx context.Context) ([]cloudFilter, error) {
	var out struct {
		List []cloudFilter `json:"traffic_mirror_filters"`
	}
	err := c.call(ctx, http.MethodGet, mirrorPath+"filters", nil, &out)
	return out.List, err
}

func (c *cloud) sessions(ctx context.Context) ([]cloudSession, error) {
	var out struct {
		List []cloudSession `json:"traffic_mirror_sessions"`
	}
	err := c.call(ctx, http.MethodGet, mirrorPath+"sessions", nil, &out)
	return out.List, err
}

func (c *cloud) rules(ctx context.Context) ([]cloudRule, error) {
	var out struct {
		List []cloudRule `json:"traffic_mirror_filter_rules"`
	}
	err := c.call(ctx, http.MethodGet, mirrorPath+"filter-rules", nil, &out)
	return out.List, err
}

// opening is a rule of a security group that lets something in, or keeps it out by its action.
type opening struct {
	Group     string `json:"security_group_id"`
	Direction string `json:"direction"`
	EtherType string `json:"ethertype"`
	Protocol  string `json:"protocol"`
	Ports     string `json:"multiport"`
	From      string `json:"remote_ip_prefix"`
	Action    string `json:"action,omitempty"`
	Priority  int    `json:"priority,omitempty"`
}

// open lets IPv4 packets of one server in, and returns the rule's ID.
func (c *cloud) open(ctx context.Context, group, protocol string, port int, from server) (string, error) {
	return c.addRule(ctx, opening{
		Group: group, Direction: "ingress", EtherType: "IPv4", Protocol: protocol,
		Ports: fmt.Sprint(port), From: from.address.String() + "/32",
	})
}

// deny keeps out IPv4 packets of one server whatever else lets them in, and returns the rule's ID.
func (c *cloud) deny(ctx context.Context, group, protocol string, port int, from server) (string, error) {
	return c.addRule(ctx, opening{
		Group: group, Direction: "ingress", EtherType: "IPv4", Protocol: protocol,
		Ports: fmt.Sprint(port), From: from.address.String() + "/32", Action: "deny", Priority: 1,
	})
}

func (c *cloud) addRule(ctx context.Context, rule opening) (string, error) {
	body := map[string]any{"security_group_rule": rule}
	var out struct {
		Rule struct {
			ID string `json:"id"`
		} `json:"security_group_rule"`
	}
	err := c.call(ctx, http.MethodPost, "/v3/{project_id}/vpc/security-group-rules", body, &out)
	return out.Rule.ID, err
}

// close removes a rule of a security group.
func (c *cloud) close(ctx context.Context, rule string) error {
	return c.call(ctx, http.MethodDelete, "/v3/{project_id}/vpc/security-group-rules/"+rule, nil, nil)
}
