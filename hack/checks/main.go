// Command checks holds the project to its own rules and runs its tests with a
// summary. The Makefile calls it; run it in the project's folder:
//
//	checks house            rooms, arrows between them, size and form of files
//	checks tests ARGS...    go test ARGS, then what failed and what was skipped
//
// It may import nothing of ours.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:])
	stop()
	os.Exit(code)
}

func run(ctx context.Context, args []string) int {
	command := ""
	if len(args) > 0 {
		command = args[0]
	}
	switch command {
	case "house":
		return house(ctx)
	case "tests":
		return tests(ctx, args[1:])
	default:
		fmt.Fprintf(os.Stderr, "usage: checks house | checks tests ARGS...; it was called with %q\n", args)
		return 2
	}
}

// house runs every check of the sources and prints what it found.
func house(ctx context.Context) int {
	var findings []string
	for _, check := range []func(context.Context, string) ([]string, error){
		checkTopLevel, checkFiles, checkArrows, checkClosures,
	} {
		found, err := check(ctx, ".")
		if err != nil {
			fmt.Fprintln(os.Stderr, "checks house:", err)
			return 2
		}
		findings = append(findings, found...)
	}
	for _, finding := range findings {
		fmt.Println(finding)
	}
	if len(findings) > 0 {
		fmt.Printf("%d findings\n", len(findings))
		return 1
	}
	return 0
}
