package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"time"
)

// report is what report.json holds. The names of its fields are kept: see the package's
// comment.
type report struct {
	OK          bool         `json:"ok"`
	Command     string       `json:"command"`
	StartedAt   time.Time    `json:"startedAt"`
	Seconds     float64      `json:"seconds"`
	Failure     string       `json:"failure"`
	Steps       []stepReport `json:"steps"`
	Rows        []row        `json:"rows"`
	Sources     []sourcePart `json:"sources"`
	Rules       []rulePart   `json:"rules"`
	Copy        *copyFacts   `json:"copy"`
	Verifier    *counted     `json:"verifier"`
	CaptureFile *fileFacts   `json:"captureFile"`
	Forgeries   []forgery    `json:"forgeries,omitempty"`
	Processes   []usage      `json:"processes"`
	Kubectl     string       `json:"kubectl"`
	Silence     *silence     `json:"silence,omitempty"`
	Why         *answers     `json:"why,omitempty"`
	CloudEmpty  bool         `json:"cloudEmpty"`
	TookDown    bool         `json:"tookDown"`
}

type stepReport struct {
	ID      string   `json:"id"`
	Title   string   `json:"title"`
	OK      bool     `json:"ok"`
	Seconds float64  `json:"seconds"`
	Shown   []string `json:"shown"`
	Failure string   `json:"failure,omitempty"`
}

// copyFacts are those of the copy of 12345.
type copyFacts struct {
	Line                string `json:"line"`
	OuterLength         int    `json:"outerLength"`
	OuterSourceMAC      string `json:"outerSourceMAC"`
	OuterDestinationMAC string `json:"outerDestinationMAC"`
	OuterSource         string `json:"outerSource"`
	OuterDestination    string `json:"outerDestination"`
	VXLANFlags          int    `json:"vxlanFlags"`
	VNI                 int    `json:"vni"`
	InnerLength         int    `json:"innerLength"`
	InnerSourceMAC      string `json:"innerSourceMAC"`
	InnerDestinationMAC string `json:"innerDestinationMAC"`
	InnerSource         string `json:"innerSource"`
	InnerDestination    string `json:"innerDestination"`
	Flags               string `json:"flags"`
	PayloadBytes        int    `json:"payloadBytes"`
}

// counted is what a verifier says in the session's status.
type counted struct {
	Packets       int64  `json:"packets"`
	Bytes         int64  `json:"bytes"`
	Unexpected    int64  `json:"unexpected"`
	Undecided     int64  `json:"undecided"`
	ForeignSource int64  `json:"foreignSource"`
	Dropped       int64  `json:"dropped"`
	LastPacket    string `json:"lastPacket"`
}

// fileFacts are what `verifier read` says of the captured copies.
type fileFacts struct {
	Packets int64 `json:"packets"`
	Bytes   int64 `json:"bytes"`
}

// usage is what a program needs while nothing happens.
type usage struct {
	Name        string  `json:"name"`
	ResidentMiB float64 `json:"residentMiB"`
	LimitMiB    float64 `json:"limitMiB"`
	CPUPercent  float64 `json:"cpuPercent"`
}

func newReport(command string, now time.Time) report {
	return report{Command: command, StartedAt: now, Steps: []stepReport{}, Rows: []row{}, Sources: []sourcePart{}, Rules: []rulePart{}, Processes: []usage{}}
}

func (r *report) begin(id, title string) {
	r.Steps = append(r.Steps, stepReport{ID: id, Title: title, Shown: []string{}})
}

func (r *report) say(text string) {
	s := &r.Steps[len(r.Steps)-1]
	s.Shown = append(s.Shown, text)
}

func (r *report) end(took time.Duration, err error) {
	s := &r.Steps[len(r.Steps)-1]
	s.OK, s.Seconds = err == nil, round(took)
	if err != nil {
		s.Failure = err.Error()
	}
}

func (r *report) finish(took time.Duration, failure error) {
	r.OK, r.Seconds = failure == nil, round(took)
	if failure != nil {
		r.Failure = failure.Error()
	}
}

func (r *report) write(path string) error {
	var content bytes.Buffer
	encoder := json.NewEncoder(&content)
	encoder.SetEscapeHTML(false) // people read it too: > stays >
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(r); err != nil {
		return fmt.Errorf("encoding the report: %w", err)
	}
	if err := os.WriteFile(path, content.Bytes(), 0o644); err != nil {
		return fmt.Errorf("writing the report: %w", err)
	}
	return nil
}

// round gives seconds with three digits.
func round(d time.Duration) float64 { return float64(d.Round(time.Millisecond).Milliseconds()) / 1000 }
