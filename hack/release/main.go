// Command release makes a release from a clean checkout: images, chart, manifests, the
// kubectl plugin, SBOMs, licences and checksums. Made twice, by whomever and wherever, it has the same
// bytes. The Makefile calls it; run it in the project's folder:
//
//	release check FLAGS     say what stands in the way, and make nothing
//	release make FLAGS      write the release into bin/release/VERSION
//
// It may import nothing of ours.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/spf13/pflag"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "release:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	root, err := os.Getwd()
	if err != nil {
		return err
	}
	r := release{root: root, tools: filepath.Join(root, "bin/tools")}
	flags := pflag.NewFlagSet("release", pflag.ContinueOnError)
	flags.StringVar(&r.version, "version", "", "the `version`, such as 0.3.0")
	flags.StringVar(&r.ldflags, "ldflags", "", "what the linker is told")
	flags.StringVar(&r.repository, "repository", localRepository, "where the images will be: its manager and verifier")
	flags.StringVar(&r.url, "url", "", "the `folder` on a server where the files will be")
	flags.StringVar(&r.key, "signing-key", "", "`file` of a private key of SSH, or of a public one whose private one an agent has")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() != 1 || flags.Arg(0) != "check" && flags.Arg(0) != "make" {
		return fmt.Errorf("say release check or release make, not %q", flags.Args())
	}
	if err := r.check(ctx); err != nil || flags.Arg(0) == "check" {
		return err
	}
	into := filepath.Join(root, "bin/release", r.version)
	r.root, err = os.MkdirTemp("", "vpcmirror-sources-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(r.root)
	if err := export(ctx, root, r.from.commit, r.root); err != nil {
		return err
	}
	if err := r.make(ctx, into, func(text string) { fmt.Println(text) }); err != nil {
		return err
	}
	return r.tell(into)
}

// check refuses what can't become a release, before anything long begins.
func (r *release) check(ctx context.Context) (err error) {
	if err := checkVersion(r.version); err != nil {
		return err
	}
	if err := checkPlaces(r.repository, r.url); err != nil {
		return err
	}
	if r.key != "" {
		if _, err := os.Stat(r.key); err != nil {
			return fmt.Errorf("SIGNING_KEY=%s can't be read: name the file of a key of SSH: %w", r.key, err)
		}
		if r.key, err = filepath.Abs(r.key); err != nil {
			return err
		}
	}
	if r.url == "" {
		r.url = nowhere + r.version
	}
	r.from, err = cleanTree(ctx, r.root, r.version)
	return err
}

// tell says where the release is and what it lacks.
func (r release) tell(into string) error {
	sums, err := os.ReadFile(filepath.Join(into, checksumsFile))
	if err != nil {
		return err
	}
	fmt.Printf("\n%s\n%s has the release %s of commit %.12s; its checksums are above and in %s.\n", sums, into, r.version, r.from.commit, checksumsFile)
	if r.repository == localRepository {
		fmt.Println("Manifests and chart name the images as this machine's: REPOSITORY=registry.example.com/vpcmirror names a registry.")
	}
	if r.url == nowhere+r.version {
		fmt.Println("The krew manifest names no server: RELEASE_URL=https://... says where the files will be.")
	}
	if r.key == "" {
		fmt.Println("It is not signed: SIGNING_KEY=FILE signs it with a key of SSH.")
	}
	return nil
}
