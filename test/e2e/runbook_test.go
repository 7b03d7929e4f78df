package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/test/cloudsim/scenario"
)

// reader is a person who knows kubectl and follows a runbook by its fenced blocks, in one shell.
type reader struct {
	w *world
	// sections are the runbook's blocks of commands by the heading above them.
	sections map[string][]string
	// path is where the shell finds programs before the lab's own.
	path string
	// kept are the assignments made so far.
	kept string
	// known is what the reader puts in the place of the values of the example.
	known map[string]string
	// entered are the blocks that were typed.
	entered map[string]bool
}

// fence is a block of a page, which may be indented as part of a list.
var fence = regexp.MustCompile("(?m)^[ ]*```[a-z]*\n((?s:.*?))^[ ]*```$")

// commands are what a block begins with that is to be typed; other blocks show what is printed.
var commands = regexp.MustCompile(`^(kubectl|cloudsim|[A-Z]+=)`)

// assignment is a line that gives shell variables a value.
var assignment = regexp.MustCompile(`^([A-Z]+=\S+ ?)+$`)

func (w *world) reads(t *testing.T, alert string) *reader {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(root, "config/prometheus/runbooks", alert+".md"))
	if err != nil {
		t.Fatal(err)
	}
	r := &reader{w: w, sections: map[string][]string{}, path: freshFolder(t, "programs"), known: map[string]string{}, entered: map[string]bool{}}
	for section := range strings.SplitSeq("\n"+string(content), "\n#") {
		heading, body, _ := strings.Cut(section, "\n")
		heading = strings.TrimLeft(heading, "# ")
		for _, found := range fence.FindAllStringSubmatch(body, -1) {
			block := strings.TrimSpace(found[1])
			if commands.MatchString(block) {
				r.sections[heading] = append(r.sections[heading], block)
			}
		}
	}
	// The lab's shell has cloudsim on its PATH once make build has made it.
	if err := w.GoBuild(t.Context(), "./test/cloudsim", filepath.Join(r.path, "cloudsim")); err != nil {
		t.Fatal(err)
	}
	return r
}

// follow types the commands of a section, and returns what each block printed.
func (r *reader) follow(t *testing.T, section string) (printed []string) {
	t.Helper()
	if len(r.sections[section]) == 0 {
		t.Fatalf("the runbook has no commands under %q; it has %v", section, r.sections)
	}
	for _, block := range r.sections[section] {
		printed = append(printed, r.enter(t, block))
	}
	return printed
}

// enter types one block.
func (r *reader) enter(t *testing.T, block string) string {
	t.Helper()
	r.entered[block] = true
	var typed []string
	for line := range strings.SplitSeq(block, "\n") {
		if assignment.MatchString(line) {
			line = r.assign(t, line)
			r.kept += line + "\n"
		}
		typed = append(typed, line)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	script := fmt.Sprintf("set -e\n. %q\nPATH=%q:$PATH\n%s%s\n", r.w.EnvFile(), r.path, r.kept, strings.Join(typed, "\n"))
	command := exec.CommandContext(ctx, "bash", "-c", script)
	var out, complaint bytes.Buffer
	command.Stdout, command.Stderr = &out, &complaint
	if err := command.Run(); err != nil {
		t.Fatalf("the runbook's command fails: %v\n%s\n%s%s", err, strings.Join(typed, "\n"), out.String(), complaint.String())
	}
	return out.String()
}

// assign puts what the reader knows in the place of the example's values.
func (r *reader) assign(t *testing.T, line string) string {
	t.Helper()
	var all []string
	for _, one := range strings.Fields(line) {
		name, _, _ := strings.Cut(one, "=")
		value, known := r.known[name]
		if !known {
			t.Fatalf("a reader can't know yet what to put for %s in: %s", name, line)
		}
		all = append(all, name+"="+value)
	}
	return strings.Join(all, " ")
}

// well is a row of kubectl get mirrorsession with nothing under WHY.
var well = regexp.MustCompile(`(?m)^\S+ +True +True +True +\S+ +\d+ +\S+ +\S+ *$`)

// remedy is what the runbook says the remedy is for a group that keeps copies out.
var remedy = regexp.MustCompile(`allow UDP 4789 from (\S+) in security group "([^"]+)"`)

// followBlindRunbook closes the target's security group, and mends it by the runbook of the alert that fires, word by
// word: with the labels of the alert, and with what its commands print.
func (m *monitoring) followBlindRunbook(t *testing.T, p pair) {
	t.Helper()
	const alert = "VPCMirrorBlind"
	r := m.w.reads(t, alert)
	m.w.closeGroup(t, scenario.WalkthroughTargetGroup, m.w.address(t, ecsSource).String())
	fired := m.fires(t, alert, p.labels(), time.Now())
	m.lookAtPanels(t)
	began := time.Now()
	r.known["NS"], r.known["SESSION"] = fired.Labels["namespace"], fired.Labels["session"]
	seen := strings.Join(r.follow(t, "Look"), "\n")
	todo := remedy.FindStringSubmatch(seen)
	if todo == nil || !strings.Contains(seen, v1alpha1.ReasonTargetGroupDenies) {
		t.Fatalf("the runbook's commands don't show the reason %s and its remedy:\n%s", v1alpha1.ReasonTargetGroupDenies, seen)
	}
	m.openByRunbook(t, r, todo[1], todo[2])
	mended := time.Now()
	r.follow(t, "Is it mended?")
	until(t, patience, "READY, PATH and TRAFFIC are True, and WHY is empty", func(context.Context) error {
		ends := r.sections["Is it mended?"]
		if row := r.enter(t, ends[len(ends)-1]); !well.MatchString(row) {
			return errors.New(row)
		}
		return nil
	})
	m.ends(t, alert, p.labels(), mended)
	m.w.checked(t, "the runbook of %s mended it: %d blocks of commands, followed with the alert's labels and with what they print, in %.0f s", alert, len(r.entered), time.Since(began).Seconds())
}

// openByRunbook opens the group to the source.
func (m *monitoring) openByRunbook(t *testing.T, r *reader, source, group string) {
	t.Helper()
	const section = "Open the security group of the target"
	blocks := r.sections[section]
	if len(blocks) != 2 || !strings.Contains(blocks[0], "NAME="+group) {
		t.Fatalf("the runbook is to look for the group that the remedy names, %s, and then to open it: %q", group, blocks)
	}
	r.known["NAME"] = group
	_, body, _ := strings.Cut(r.enter(t, blocks[0]), "\n")
	var found struct {
		Groups []struct {
			ID   string `json:"id"`
			Name string `json:"name"`
		} `json:"security_groups"`
	}
	if err := json.Unmarshal([]byte(body), &found); err != nil || len(found.Groups) != 1 || found.Groups[0].Name != group {
		t.Fatalf("the runbook's command doesn't find the group %s alone (%v):\n%s", group, err, body)
	}
	r.known["GROUP"], r.known["SOURCE"] = found.Groups[0].ID, source
	r.enter(t, blocks[1])
}
