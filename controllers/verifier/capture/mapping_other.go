//go:build !linux

package capture

import "os"

// mapping is not used here: files are read.
type mapping struct{}

func newMapping(*os.File) *mapping { return nil }

func (*mapping) move(*File, int) bool { return false }

func (*mapping) section(*File, *File, int) *mapping { return nil }

func (*mapping) release() error { return nil }
