package archive_test

import (
	"archive/tar"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"vpcmirror.io/operator/test/e2e/lab/archive"
)

func TestAnArchiveHoldsTheProgramUnderItsName(t *testing.T) {
	folder := t.TempDir()
	program := filepath.Join(folder, "some-program")
	if err := os.WriteFile(program, []byte("content"), 0o755); err != nil {
		t.Fatal(err)
	}
	var archives [2][]byte
	for i := range archives {
		path := filepath.Join(folder, "image.tar")
		if err := archive.Write(path, archive.Image{Name: "localhost/some:1", Program: program, User: "65532:65532"}); err != nil {
			t.Fatal(err)
		}
		names, err := archive.Names(path)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]string{"localhost/some:1"}, names); diff != "" {
			t.Errorf("names (-want +got):\n%s", diff)
		}
		if archives[i], err = os.ReadFile(path); err != nil {
			t.Fatal(err)
		}
	}
	if string(archives[0]) != string(archives[1]) {
		t.Error("the same program gives two different archives")
	}
	layer := ""
	for files := tar.NewReader(strings.NewReader(string(archives[0]))); ; {
		file, err := files.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(file.Name, ".tar") {
			content, err := io.ReadAll(files)
			if err != nil {
				t.Fatal(err)
			}
			layer = string(content)
		}
	}
	inside := tar.NewReader(strings.NewReader(layer))
	file, err := inside.Next()
	if err != nil {
		t.Fatal(err)
	}
	content, err := io.ReadAll(inside)
	if err != nil {
		t.Fatal(err)
	}
	got := []any{file.Name, file.Mode, string(content)}
	if diff := cmp.Diff([]any{"program", int64(0o755), "content"}, got); diff != "" {
		t.Errorf("the layer (-want +got):\n%s", diff)
	}
}

func TestAFileThatIsNoImageArchiveIsRefusedWithTheRemedy(t *testing.T) {
	path := filepath.Join(t.TempDir(), "empty.tar")
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(tar.NewWriter(file).Close(), file.Close()); err != nil {
		t.Fatal(err)
	}
	_, err = archive.Names(path)
	if err == nil || !strings.Contains(err.Error(), "docker save") {
		t.Errorf("the error is %v, it should say how to make an archive", err)
	}
}
