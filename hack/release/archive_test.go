package main

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// committed is the time of the commit in tests.
var committed = time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)

func TestArchivesOfTheSameFilesAreTheSameInWhateverOrderTheyWereFound(t *testing.T) {
	for name, pack := range map[string]func([]entry, time.Time) ([]byte, error){"tar.gz": tarGzip, "zip": zipped} {
		t.Run(name, rapid.MakeCheck(func(t *rapid.T) {
			entries := []entry{}
			for i, content := range rapid.SliceOf(rapid.SliceOf(rapid.Byte())).Draw(t, "contents") {
				entries = append(entries, entry{name: "folder/" + strconv.Itoa(i), executable: i%2 == 0, content: content})
			}
			shuffled := rapid.Permutation(entries).Draw(t, "order")
			one, err := pack(slices.Clone(entries), committed)
			if err != nil {
				t.Fatal(err)
			}
			other, err := pack(shuffled, committed.In(time.FixedZone("elsewhere", 3600)))
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(one, other) {
				t.Errorf("the order %v gives other bytes", shuffled)
			}
		}))
	}
}

func TestATarHasTheModeOfAFileAndNothingOfTheMachine(t *testing.T) {
	packed, err := tarGzip([]entry{{name: "b/program", executable: true, content: []byte("x")}, {name: "a.txt"}}, committed)
	if err != nil {
		t.Fatal(err)
	}
	unzipped, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		t.Fatal(err)
	}
	if !unzipped.ModTime.IsZero() || unzipped.Name != "" {
		t.Errorf("the header of gzip has the time %v and the name %q", unzipped.ModTime, unzipped.Name)
	}
	type row struct {
		Name, User string
		UID        int
		Mode       int64
		Time       time.Time
	}
	var got []row
	for archive := tar.NewReader(unzipped); ; {
		h, err := archive.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, row{h.Name, h.Uname, h.Uid, h.Mode, h.ModTime.UTC()})
	}
	want := []row{{"a.txt", "", 0, 0o644, committed}, {"b/program", "", 0, 0o755, committed}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestAZipHasTheFilesAndTheirModes(t *testing.T) {
	packed, err := zipped([]entry{{name: "program.exe", executable: true, content: []byte("MZ")}}, committed)
	if err != nil {
		t.Fatal(err)
	}
	archive, err := zip.NewReader(bytes.NewReader(packed), int64(len(packed)))
	if err != nil {
		t.Fatal(err)
	}
	file := archive.File[0]
	if file.Name != "program.exe" || file.Mode() != 0o755 || !file.Modified.Equal(committed) {
		t.Errorf("it has %s, %v, %v", file.Name, file.Mode(), file.Modified)
	}
}

func TestWhatWasPackedIsReadBack(t *testing.T) {
	want := []entry{{"a", false, []byte("1")}, {"b/c", true, []byte("2")}}
	packed, err := tarGzip(want, committed)
	if err != nil {
		t.Fatal(err)
	}
	got, err := readTarGzip(packed)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(entry{})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
