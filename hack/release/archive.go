package main

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"cmp"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"time"
)

// entry is a file in an archive. Owners, times and the modes of a checkout are not in it:
// they are what differs from one machine to the next.
type entry struct {
	name       string // with slashes, relative
	executable bool
	content    []byte
}

func (e entry) mode() int64 {
	if e.executable {
		return 0o755
	}
	return 0o644
}

// byName returns the entries in the one order that archives have.
func byName(entries []entry) []entry {
	return slices.SortedFunc(slices.Values(entries), func(a, b entry) int { return cmp.Compare(a.name, b.name) })
}

// writeTar writes the entries, all of the time given and of root.
func writeTar(w io.Writer, entries []entry, when time.Time) error {
	archive := tar.NewWriter(w)
	for _, e := range byName(entries) {
		// A name that ends with a slash is a folder's: the library sees to it.
		header := &tar.Header{Name: e.name, Mode: e.mode(), Size: int64(len(e.content)), ModTime: when, Format: tar.FormatUSTAR}
		if err := archive.WriteHeader(header); err != nil {
			return fmt.Errorf("write %s: %w", e.name, err)
		}
		if _, err := archive.Write(e.content); err != nil {
			return fmt.Errorf("write %s: %w", e.name, err)
		}
	}
	return archive.Close()
}

// tarGzip is the entries as .tar.gz.
func tarGzip(entries []entry, when time.Time) ([]byte, error) {
	var out bytes.Buffer
	zipper, err := gzip.NewWriterLevel(&out, gzip.BestCompression) // its header has no name and no time
	if err != nil {
		return nil, err
	}
	if err := cmp.Or(writeTar(zipper, entries, when), zipper.Close()); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// zipped is the entries as .zip, as people on Windows expect.
func zipped(entries []entry, when time.Time) ([]byte, error) {
	var out bytes.Buffer
	archive := zip.NewWriter(&out)
	for _, e := range byName(entries) {
		header := &zip.FileHeader{Name: e.name, Method: zip.Deflate, Modified: when.UTC()}
		header.SetMode(fs.FileMode(e.mode()))
		file, err := archive.CreateHeader(header)
		if err != nil {
			return nil, fmt.Errorf("write %s: %w", e.name, err)
		}
		if _, err := file.Write(e.content); err != nil {
			return nil, fmt.Errorf("write %s: %w", e.name, err)
		}
	}
	if err := archive.Close(); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// readTarGzip returns the files of a .tar.gz.
func readTarGzip(packed []byte) ([]entry, error) {
	unzipped, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, err
	}
	return readTar(unzipped)
}

// readTar returns the files of a tar file.
func readTar(packed io.Reader) ([]entry, error) {
	var entries []entry
	archive := tar.NewReader(packed)
	for {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return entries, nil
		}
		if err != nil {
			return nil, err
		}
		if header.Typeflag == tar.TypeDir || header.Typeflag == tar.TypeXGlobalHeader { // git archive begins with the latter
			continue
		}
		if header.Typeflag != tar.TypeReg {
			return nil, fmt.Errorf("%s is neither file nor folder", header.Name)
		}
		content, err := io.ReadAll(archive)
		if err != nil {
			return nil, err
		}
		entries = append(entries, entry{path.Clean(header.Name), header.Mode&0o100 != 0, content})
	}
}

// files returns those below a folder.
func files(root string) ([]entry, error) {
	var entries []entry
	err := filepath.WalkDir(root, func(name string, found fs.DirEntry, err error) error {
		if err != nil || found.IsDir() {
			return err
		}
		content, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		relative, err := filepath.Rel(root, name)
		if err != nil {
			return err
		}
		entries = append(entries, entry{name: filepath.ToSlash(relative), content: content})
		return nil
	})
	return entries, err
}
