// Command bench measures "verifier read" against tcpdump on a file that it
// generates: whole processes, run in turn, pinned to one core where that is
// allowed. It prints the medians and their ratios, and fails when the counts
// of the verifier are wrong or a goal is missed. It may import everything below test/bench.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
)

// Goals of the two ratios.
const (
	mostOfCounting  = 0.65 // at most this many times tcpdump --count
	timesOfPrinting = 48.0 // at least this many times faster than tcpdump -nneS
)

func main() {
	verifier := flag.String("verifier", filepath.Join("bin", "verifier"), "the verifier's binary")
	packets := flag.Int("packets", 2_000_000, "number of copies in the generated file")
	runs := flag.Int("runs", 7, "runs of each program, at least 7 for a verdict")
	cpu := flag.Int("cpu", 1, "core to pin the measured processes to, -1 for none")
	flag.Parse()
	// An interrupt ends the run in progress and still removes the file.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := bench(ctx, *verifier, *packets, *runs, *cpu); err != nil {
		stop()
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func bench(ctx context.Context, verifier string, packets, runs, cpu int) (err error) {
	if packets < 1 || runs < 1 {
		return errors.New("--packets and --runs must be at least 1")
	}
	if _, err := exec.LookPath("tcpdump"); err != nil {
		return errors.New("tcpdump is not installed, and it is what the verifier is measured against: install the package tcpdump")
	}
	if verifier, err = exec.LookPath(verifier); err != nil && !errors.Is(err, exec.ErrDot) {
		return fmt.Errorf("the verifier's binary is missing, make build makes it, or name another with --verifier: %w", err)
	}
	folder, err := os.MkdirTemp("", "vpcmirror-bench-")
	if err != nil {
		return fmt.Errorf("make a folder for the generated file: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(folder)) }()
	file := filepath.Join(folder, "copies.pcap")
	fmt.Printf("generating %d copies, %d bytes of inner frame, %d sources, %d VNIs\n", packets, innerBytes, sources, vnis)
	if err := generate(file, packets); err != nil {
		return fmt.Errorf("generate %s: %w", file, err)
	}
	if err := checkCounts(ctx, verifier, file, packets); err != nil {
		return err
	}
	fmt.Println("counts of the verifier: right in every stream")
	pinned := pin(cpu)
	programs := []*program{
		{name: "verifier read", argv: []string{verifier, "read", file}},
		{name: "tcpdump --count -r", argv: []string{"tcpdump", "--count", "-r", file}},
		{name: "tcpdump -nneS -r", argv: []string{"tcpdump", "-nneS", "-r", file}},
	}
	fmt.Printf("%d runs of each in turn, after one that is not counted; %s\n", runs, pinned)
	if err := measure(ctx, programs, runs); err != nil {
		return err
	}
	return verdict(programs)
}
