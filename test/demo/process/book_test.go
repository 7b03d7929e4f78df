package process

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// sleeper starts a process that does nothing until it is ended.
func sleeper(t *testing.T, book *Book, name string) *Process {
	t.Helper()
	p, err := Start(Spec{
		Name: name, Program: "/bin/sleep", Args: []string{"600"}, Log: filepath.Join(t.TempDir(), "log"),
	}, book)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Stop(); err != nil {
			t.Error(err)
		}
	})
	return p
}

func TestABookEndsWhatItNames(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pids")
	book := OpenBook(path)
	first, second := sleeper(t, book, "first"), sleeper(t, book, "second")
	// As a later run does, which has only the file.
	stopped, err := OpenBook(path).StopAll()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"second", "first"}, stopped); diff != "" {
		t.Errorf("stopped (-want +got):\n%s", diff)
	}
	<-first.done
	<-second.done
	if _, err := os.Stat(path); !os.IsNotExist(err) {
		t.Errorf("the book is still there: %v", err)
	}
}

func TestABookNeverEndsAnotherProcessWithTheSameNumber(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pids")
	p := sleeper(t, OpenBook(path), "ours")
	records, err := OpenBook(path).Records()
	if err != nil || len(records) != 1 {
		t.Fatalf("records %v, error %v", records, err)
	}
	for name, change := range map[string]func(*Record){
		"it began at another time":  func(r *Record) { r.Began-- },
		"it was in an earlier boot": func(r *Record) { r.Boot = "an-earlier-boot" },
	} {
		t.Run(name, func(t *testing.T) {
			other := records[0]
			change(&other)
			if err := os.WriteFile(path, []byte(other.String()+"\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			stopped, err := OpenBook(path).StopAll()
			if err != nil || len(stopped) > 0 {
				t.Errorf("stopped %v, error %v", stopped, err)
			}
			if ended, how := p.Ended(); ended {
				t.Errorf("a process that is not in the book was ended: %v", how)
			}
		})
	}
}

func TestABookThatWasCutShortIsReadUpToThere(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pids")
	if err := os.WriteFile(path, []byte("etcd 17 4711 boot-1\nmanager 18 47"), 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := OpenBook(path).Records()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]Record{{Name: "etcd", PID: 17, Began: 4711, Boot: "boot-1"}}, got); diff != "" {
		t.Errorf("records (-want +got):\n%s", diff)
	}
}

func TestABookThatNamesNoProcessIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pids")
	for _, line := range []string{"everything", "init 1 5 boot-1", "group -17 5 boot-1"} {
		if err := os.WriteFile(path, []byte(line+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		if stopped, err := OpenBook(path).StopAll(); err == nil {
			t.Errorf("%q: stopped %v and no error", line, stopped)
		}
	}
}
