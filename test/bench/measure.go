package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"text/tabwriter"
	"time"
)

// program is one of those that are measured.
type program struct {
	name  string
	argv  []string
	times []time.Duration
	cpu   []time.Duration
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
	start := time.Now()
	if err := command.Run(); err != nil {
		return 0, 0, fmt.Errorf("run %s: %w", p.name, err)
	}
	wall = time.Since(start)
	return wall, command.ProcessState.UserTime() + command.ProcessState.SystemTime(), nil
}

// measure runs the programs in turn, so that what disturbs the machine hits
// all of them. Round 0 does not count.
func measure(ctx context.Context, programs []*program, runs int) error {
	for n := range runs + 1 {
		for _, p := range programs {
			wall, cpu, err := p.run(ctx)
			if err != nil {
				return err
			}
			fmt.Printf("round %d of %d: %s %s\n", n, runs, p.name, ms(wall))
			if n > 0 { // the first warms the page cache
				p.times, p.cpu = append(p.times, wall), append(p.cpu, cpu)
			}
		}
	}
	return nil
}

func median(times []time.Duration) time.Duration {
	sorted := slices.Sorted(slices.Values(times))
	return sorted[len(sorted)/2]
}

// verdict prints the table and the two ratios, and returns an error when a
// goal was missed.
func verdict(programs []*program) error {
	table := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "program\tmedian\tfastest\tslowest\tCPU (median)")
	for _, p := range programs {
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\n", p.name, ms(median(p.times)), ms(slices.Min(p.times)), ms(slices.Max(p.times)), ms(median(p.cpu)))
	}
	if err := table.Flush(); err != nil {
		return err
	}
	own := median(programs[0].times).Seconds()
	counting := own / median(programs[1].times).Seconds()
	printing := median(programs[2].times).Seconds() / own
	fmt.Printf("verifier read takes %.2f times as long as tcpdump --count (goal: at most %.2f)\n", counting, mostOfCounting)
	fmt.Printf("verifier read is %.1f times faster than tcpdump -nneS (goal: at least %.0f)\n", printing, timesOfPrinting)
	var errs []error
	if counting > mostOfCounting {
		errs = append(errs, errors.New("the goal against tcpdump --count was missed"))
	}
	if printing < timesOfPrinting {
		errs = append(errs, errors.New("the goal against tcpdump -nneS was missed"))
	}
	return errors.Join(errs...)
}

func ms(d time.Duration) string {
	return fmt.Sprintf("%.1f ms", float64(d.Microseconds())/1000)
}

// checkCounts compares what the verifier says of the file with what was put
// into it.
func checkCounts(ctx context.Context, verifier, file string, packets int) error {
	command := exec.CommandContext(ctx, verifier, "read", "--output", "json", file)
	command.Stderr = os.Stderr
	out, err := command.Output()
	if err != nil {
		return fmt.Errorf("run %s: %w", command, err)
	}
	var report struct {
		Frames  int
		Streams []struct {
			Source         string
			VNI            int
			Packets, Bytes int
		}
		Other map[string]int
	}
	if err := json.Unmarshal(out, &report); err != nil {
		return fmt.Errorf("read the verifier's report: %w", err)
	}
	if report.Frames != packets || len(report.Streams) != min(sources*vnis, packets) {
		return fmt.Errorf("the verifier saw %d frames in %d streams; the file has %d in %d",
			report.Frames, len(report.Streams), packets, min(sources*vnis, packets))
	}
	for name, frames := range report.Other {
		if frames != 0 {
			return fmt.Errorf("the verifier calls %d frames %s; all are copies", frames, name)
		}
	}
	for _, s := range report.Streams {
		var d int
		if _, err := fmt.Sscanf(s.Source, "192.168.203.%d", &d); err != nil {
			return fmt.Errorf("the verifier saw a source %s that is not in the file", s.Source)
		}
		number := (d-1)*vnis + s.VNI - 100
		want := (packets - number + sources*vnis - 1) / (sources * vnis)
		if s.Packets != want || s.Bytes != want*innerBytes {
			return fmt.Errorf("stream %s VNI %d: the verifier counted %d packets and %d bytes; the file has %d and %d",
				s.Source, s.VNI, s.Packets, s.Bytes, want, want*innerBytes)
		}
	}
	return nil
}
