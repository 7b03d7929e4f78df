package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestTheTableIsReadable(t *testing.T) {
	got := table([]row{
		{Sent: "requests to the service", SourceKernel: 13, ExpectedCopies: 13, TargetKernel: 13, Verifier: 13, OK: true},
		{Sent: "another port", SourceKernel: 6, TargetKernel: 6, Verifier: 6},
	})
	want := strings.Join([]string{
		"what was sent              kernel of   had to be    kernel of   verifier",
		"                          ecs-source      copied   ecs-target    counted",
		"------------------------------------------------------------------------",
		"requests to the service           13          13           13         13  ok",
		"another port                       6           0            6          6  WRONG",
	}, "\n")
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("table (-want +got):\n%s", diff)
	}
}

func TestThePartsAreReadable(t *testing.T) {
	got := partsTable(
		[]sourcePart{{Address: "192.168.0.230", Packets: 13, Bytes: 898, Unexpected: 2}},
		[]rulePart{{Direction: "Ingress", Priority: 1, Packets: 13}},
	)
	want := strings.Join([]string{
		"status.traffic, by source and by rule   packets   bytes   unexpected   truncated",
		"--------------------------------------------------------------------------------",
		"from the source 192.168.0.230                13     898            2           0",
		"by the rule Ingress, priority 1              13",
	}, "\n")
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("table (-want +got):\n%s", diff)
	}
}

func TestACellOfKubectlIsFoundBelowItsHead(t *testing.T) {
	const printed = `NAME               READY   TRAFFIC   PACKETS   LAST-SEEN   WHY      AGE
source-to-target   True    False     13        9s          Silent   11s`
	const well = `NAME               READY   TRAFFIC   PACKETS   LAST-SEEN   WHY   AGE
source-to-target   True    True                                  11s`
	for _, test := range []struct{ printed, column, want, fault string }{
		{printed, "NAME", "source-to-target", ""},
		{printed, "TRAFFIC", "False", ""},
		{printed, "WHY", "Silent", ""},
		{printed, "AGE", "11s", ""},
		{well, "TRAFFIC", "True", ""},
		{well, "PACKETS", "", ""},
		{well, "WHY", "", ""},
		{well, "AGE", "11s", ""},
		{"NAME               WHY\nsource-to-target", "WHY", "", ""},
		{printed, "SEEN", "", "no column SEEN"},
		{"", "WHY", "", "no column WHY"},
	} {
		got, err := cell(test.printed, test.column)
		if got != test.want || (err == nil) != (test.fault == "") || (err != nil && !strings.Contains(err.Error(), test.fault)) {
			t.Errorf("below %s in %q: %q, %v; want %q, %q", test.column, test.printed, got, err, test.want, test.fault)
		}
	}
}

func TestTheScreenShowsAStepWithItsTimeAndWhatItShowed(t *testing.T) {
	var out bytes.Buffer
	s := newScreen(&out)
	s.begin("Look around")
	s.say("all quiet")
	s.block("$ command\noutput")
	s.end(1500*time.Millisecond, nil)
	s.begin("Fall")
	s.end(0, errors.New("the ground is\nhard"))
	s.begin("Stop")
	s.end(0, errors.Join(errInterrupted, errors.New("context canceled")))
	want := ` 1. Look around ` + strings.Repeat(".", 49) + `   1.5 s  ok
    - all quiet
    $ command
    output
 2. Fall ` + strings.Repeat(".", 56) + `   0.0 s  FAILED
    the ground is
    hard
 3. Stop ` + strings.Repeat(".", 56) + `   0.0 s  interrupted
`
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Errorf("screen (-want +got):\n%s", diff)
	}
}

func TestAShellReadsTheEnvFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "env")
	quoted := `it's $HOME; "quoted" \ and more`
	content := envFile([]string{"/first folder", "/second"}, []variable{{"KUBECONFIG", "/a b/c"}, {"CLOUD_SK", quoted}})
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	command := exec.CommandContext(t.Context(), "/bin/sh", "-c", `. "$1" && printf '%s\n' "$KUBECONFIG" "$CLOUD_SK" "$PATH"`, "sh", path)
	command.Env = []string{"PATH=/usr/bin:/bin"}
	out, err := command.CombinedOutput()
	if err != nil {
		t.Fatalf("sh: %v: %s", err, out)
	}
	want := "/a b/c\n" + quoted + "\n/first folder:/second:/usr/bin:/bin\n"
	if diff := cmp.Diff(want, string(out)); diff != "" {
		t.Errorf("what the shell has (-want +got):\n%s", diff)
	}
}

func TestTheReportKeepsItsFieldNames(t *testing.T) {
	r := newReport("run", time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC))
	r.begin("apply", "Apply the samples")
	r.say("a > b")
	r.end(time.Second, errors.New("it failed"))
	r.Rows, r.Sources, r.Rules, r.Silence = []row{{}}, []sourcePart{{}}, []rulePart{{}}, &silence{}
	r.Why = &answers{}
	r.Copy, r.Verifier, r.CaptureFile = &copyFacts{}, &counted{}, &fileFacts{}
	r.Forgeries, r.Processes = []forgery{{}}, []usage{{}}
	r.finish(2500*time.Millisecond, errors.New("apply: it failed"))
	path := filepath.Join(t.TempDir(), "report.json")
	if err := r.write(path); err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(content, []byte(`"a > b"`)) {
		t.Errorf("the text of a step is not there as it was said:\n%s", content)
	}
	var got map[string]any
	if err := json.Unmarshal(content, &got); err != nil {
		t.Fatal(err)
	}
	names := map[string][]string{"": keys(got)}
	for _, list := range []string{"steps", "rows", "sources", "rules", "forgeries", "processes"} {
		names[list] = keys(got[list].([]any)[0].(map[string]any))
	}
	for _, object := range []string{"copy", "verifier", "captureFile", "silence", "why"} {
		names[object] = keys(got[object].(map[string]any))
	}
	want := map[string][]string{
		"": {
			"captureFile", "cloudEmpty", "command", "copy", "failure", "forgeries", "kubectl", "ok", "processes", "rows", "rules",
			"seconds", "silence", "sources", "startedAt", "steps", "tookDown", "verifier", "why",
		},
		"steps":     {"failure", "id", "ok", "seconds", "shown", "title"},
		"rows":      {"expectedCopies", "id", "ok", "sent", "sourceKernel", "targetKernel", "verifier"},
		"forgeries": {"countedAs", "id", "ok", "sent", "targetKernel", "what"},
		"processes": {"cpuPercent", "limitMiB", "name", "residentMiB"},
		"copy": {
			"flags", "innerDestination", "innerDestinationMAC", "innerLength", "innerSource", "innerSourceMAC", "line",
			"outerDestination", "outerDestinationMAC", "outerLength", "outerSource", "outerSourceMAC", "payloadBytes", "vni", "vxlanFlags",
		},
		"verifier":    {"bytes", "dropped", "foreignSource", "lastPacket", "packets", "undecided", "unexpected"},
		"captureFile": {"bytes", "packets"},
		"sources":     {"address", "bytes", "interfaceID", "packets", "truncated", "unexpected"},
		"rules":       {"direction", "packets", "priority"},
		"why":         {"broader", "closed", "secondsUntilBroader", "secondsUntilClosed", "well"},
		"silence": {
			"kubectl", "message", "reason", "remedy", "secondsUntilSilent", "secondsUntilTrue", "sourceKernel", "targetKernel",
		},
	}
	if diff := cmp.Diff(want, names); diff != "" {
		t.Errorf("field names (-want +got):\n%s", diff)
	}
	if got["ok"] != false || got["seconds"] != 2.5 || got["failure"] != "apply: it failed" {
		t.Errorf("ok, seconds and failure are %v, %v and %v", got["ok"], got["seconds"], got["failure"])
	}
}

func keys(m map[string]any) []string {
	var names []string
	for name := range m {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

func TestWrongUsageIsOneClearSentence(t *testing.T) {
	tests := []struct {
		name string
		args []string
		want string
	}{
		{"an argument that is none", []string{"run", "fast"}, `unknown argument "fast"`},
		{"a port that is none", []string{"run", "--cloud-port=70000"}, "--cloud-port=70000 is no port: choose one from 1 to 65535"},
		{"an empty prefix", []string{"down", "--namespace-prefix="}, "--namespace-prefix is empty: choose a few letters"},
		{"a command that is none", []string{"play"}, "Usage:"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var stderr bytes.Buffer
			if code := command(t.Context(), test.args, &stderr, &stderr); code != exitUsage {
				t.Errorf("exit code %d, want %d", code, exitUsage)
			}
			if !strings.Contains(stderr.String(), test.want) {
				t.Errorf("%q doesn't say %q", stderr.String(), test.want)
			}
		})
	}
}
