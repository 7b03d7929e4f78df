// Command checks holds the project to its own rules and runs its tests with a
// summary. The Makefile calls it; run it in the project's folder:
//
//	checks project          layers and their imports, size and form of files, documents
//	checks table            write the table of imports into the document that shows it
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
	case "project":
		return project(ctx)
	case "table":
		wrote, err := writeTable(".")
		if err != nil {
			fmt.Fprintln(os.Stderr, "checks table:", err)
			return 2
		}
		if wrote {
			fmt.Println("wrote", tableDocument)
		}
		return 0
	case "tests":
		return tests(ctx, args[1:])
	default:
		fmt.Fprintf(os.Stderr, "usage: checks project | checks table | checks tests ARGS...; it was called with %q\n", args)
		return 2
	}
}

// project runs every check of sources and documents and prints what it found.
func project(ctx context.Context) int {
	var findings []string
	for _, check := range []func(context.Context, string) ([]string, error){
		checkTopLevel, checkFiles, checkLayers, checkImports, checkClosures, checkTable, checkDocuments,
	} {
		found, err := check(ctx, ".")
		if err != nil {
			fmt.Fprintln(os.Stderr, "checks project:", err)
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
