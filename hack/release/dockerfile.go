package main

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
)

// stage is an image as the Dockerfile describes it: what is copied into it, and how it is
// run. So there is one description of the images, whoever builds them.
type stage struct {
	name             string
	labels           map[string]string
	user             string
	entrypoint, args []string
	copies           []copied
}

// copied is a file of the build, and where the image has it.
type copied struct{ from, to string }

// stages reads the images that the Dockerfile makes from scratch, with VERSION put in. An
// instruction there that a release would not follow is an error.
func stages(dockerfile, version string) ([]stage, error) {
	var all []stage
	final := false
	for _, line := range instructions(dockerfile) {
		instruction, rest, _ := strings.Cut(line, " ")
		rest = strings.TrimSpace(rest)
		if instruction == "FROM" {
			words := strings.Fields(rest)
			final = words[0] == "scratch"
			if final && len(words) != 3 {
				return nil, fmt.Errorf("read the Dockerfile: %q: name the stage, as in FROM scratch AS manager", line)
			}
			if final {
				all = append(all, stage{name: words[2], labels: map[string]string{}})
			}
			continue
		}
		if !final {
			continue // how a container builds the programs
		}
		if err := all[len(all)-1].follow(instruction, strings.NewReplacer("${VERSION}", version, "$VERSION", version).Replace(rest)); err != nil {
			return nil, fmt.Errorf("read the Dockerfile: %q: %w", line, err)
		}
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("read the Dockerfile: no stage begins with FROM scratch AS NAME")
	}
	return all, nil
}

// instructions are the lines of a Dockerfile, without comments, each with its continuations.
func instructions(dockerfile string) []string {
	var all []string
	open := false
	for line := range strings.Lines(dockerfile) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		line, more := strings.CutSuffix(line, `\`)
		if line = strings.TrimSpace(line); open {
			all[len(all)-1] += " " + line
		} else {
			all = append(all, line)
		}
		open = more
	}
	return all
}

func (s *stage) follow(instruction, rest string) error {
	switch instruction {
	case "ARG": // VERSION, which is put in
		return nil
	case "USER":
		s.user = rest
		return nil
	case "ENTRYPOINT":
		return json.Unmarshal([]byte(rest), &s.entrypoint)
	case "CMD":
		return json.Unmarshal([]byte(rest), &s.args)
	case "LABEL":
		return s.label(rest)
	case "COPY":
		words := strings.Fields(rest)
		if len(words) != 3 || words[0] != "--from=build" || !strings.HasPrefix(words[2], "/") {
			return fmt.Errorf("a release understands COPY --from=build FILE /FILE alone: teach it this in hack/release")
		}
		s.copies = append(s.copies, copied{words[1], words[2]})
		return nil
	default:
		return fmt.Errorf("a release does not know the instruction %s: teach it this in hack/release", instruction)
	}
}

// label reads name="value" pairs.
func (s *stage) label(pairs string) error {
	for pairs != "" {
		name, rest, found := strings.Cut(pairs, `="`)
		value, next, closed := strings.Cut(rest, `"`)
		if !found || !closed || strings.Contains(value, `\`) {
			return fmt.Errorf(`give labels as name="value", without a backslash`)
		}
		s.labels[name] = value
		pairs = strings.TrimSpace(next)
	}
	return nil
}

// readStages reads the file.
func readStages(file, version string) ([]stage, error) {
	content, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	return stages(string(content), version)
}
