package offline

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"time"

	"vpcmirror.io/operator/test/bench/copies"
	"vpcmirror.io/operator/test/bench/core"
)

// program is one of those that are measured.
type program struct {
	name  string
	argv  []string
	cpu   int // the core that it is bound to, -1 for none
	times []time.Duration
	used  []time.Duration // CPU of each run
}

// run runs the program once, its output thrown away.
func (p *program) run(ctx context.Context) (wall, cpu time.Duration, err error) {
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		return 0, 0, err
	}
	defer null.Close()
	command := exec.CommandContext(ctx, p.argv[0], p.argv[1:]...)
	command.Stdout = null // a file: nothing is copied through this process
	command.Stderr = null
	err = core.Do(p.cpu, func() error {
		start := time.Now()
		err := command.Run()
		wall = time.Since(start)
		return err
	})
	if err != nil {
		return 0, 0, fmt.Errorf("run %s: %w", p.name, err)
	}
	return wall, command.ProcessState.UserTime() + command.ProcessState.SystemTime(), nil
}

// seconds is the median of the program's times.
func (p *program) seconds() float64 { return median(p.times).Seconds() }

// measure runs the programs in turn, so that what disturbs the machine hits
// all of them. Round 0 does not count.
func measure(ctx context.Context, programs []*program, runs int, out io.Writer) error {
	for n := range runs + 1 {
		for _, p := range programs {
			wall, cpu, err := p.run(ctx)
			if err != nil {
				return err
			}
			fmt.Fprintf(out, "round %d of %d: %s %.1f ms, CPU %.1f ms\n", n, runs, p.name, wall.Seconds()*1000, cpu.Seconds()*1000)
			if n > 0 { // the first warms the page cache
				p.times, p.used = append(p.times, wall), append(p.used, cpu)
			}
		}
	}
	return nil
}

func median(times []time.Duration) time.Duration {
	sorted := slices.Sorted(slices.Values(times))
	return sorted[len(sorted)/2]
}

// report is what "verifier read --output json" says, as far as it is looked at.
type report struct {
	Frames  int
	Streams []struct {
		Source         string
		VNI            int
		Packets, Bytes int
	}
	Other map[string]int
}

// counts asks the verifier what is in the file: how many copies it counted, and what of its report
// is not as the file is, empty where all is.
func counts(ctx context.Context, verifier, file string, packets int) (counted int, wrong string, err error) {
	command := exec.CommandContext(ctx, verifier, "read", "--output", "json", file)
	command.Stderr = os.Stderr
	out, err := command.Output()
	if err != nil {
		return 0, "", fmt.Errorf("run %s: %w", command, err)
	}
	var r report
	if err := json.Unmarshal(out, &r); err != nil {
		return 0, "", fmt.Errorf("read the verifier's report: %w", err)
	}
	for _, s := range r.Streams {
		counted += s.Packets
	}
	return counted, r.wrong(packets), nil
}

// wrong compares the report with what was put into the file, and returns the first difference.
func (r *report) wrong(packets int) string {
	if r.Frames != packets || len(r.Streams) != min(copies.Streams, packets) {
		return fmt.Sprintf("the verifier saw %d frames in %d streams; the file has %d in %d",
			r.Frames, len(r.Streams), packets, min(copies.Streams, packets))
	}
	for name, frames := range r.Other {
		if frames != 0 {
			return fmt.Sprintf("the verifier calls %d frames %s; all are copies", frames, name)
		}
	}
	for _, s := range r.Streams {
		var d int
		if _, err := fmt.Sscanf(s.Source, "192.168.203.%d", &d); err != nil {
			return fmt.Sprintf("the verifier saw a source %s that is not in the file", s.Source)
		}
		number := (d-1)*copies.VNIs + s.VNI - copies.FirstVNI
		want := (packets - number + copies.Streams - 1) / copies.Streams
		if s.Packets != want || s.Bytes != want*copies.InnerBytes {
			return fmt.Sprintf("stream %s VNI %d: the verifier counted %d packets and %d bytes; the file has %d and %d",
				s.Source, s.VNI, s.Packets, s.Bytes, want, want*copies.InnerBytes)
		}
	}
	return ""
}
