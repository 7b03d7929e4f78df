package ledger

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

var run = Run{Mark: "vpcmirror-live-ABCDEFGHIJKL", Endpoint: "https://vpc.example.org", Region: "xx-north-1", Project: "0123456789abcdef0123456789abcdef"}

// What may be there is told by every beginning of the file: a create is noted before it is sent.
func TestWhereverTheFileIsCutItListsEveryCreateThatMayHaveBeenSent(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		path := filepath.Join(t.TempDir(), fmt.Sprint(rapid.Uint64().Draw(rt, "folder")), "ledger.jsonl")
		book, err := Create(path, run)
		if err != nil {
			rt.Fatal(err)
		}
		defer func() { _ = book.Close() }()
		// after[n] is what may be there once the file has n bytes.
		type moment struct {
			size int64
			open []Made
		}
		note := func() moment {
			info, err := os.Stat(path)
			if err != nil {
				rt.Fatal(err)
			}
			return moment{info.Size(), book.Open()}
		}
		moments := []moment{note()}
		for i := range rapid.IntRange(1, 12).Draw(rt, "steps") {
			var err error
			open := book.Open()
			switch rapid.IntRange(0, 4).Draw(rt, "step") {
			case 0, 1:
				kind := rapid.SampledFrom(Kinds()).Draw(rt, "kind")
				number, creating := book.Creating(kind)
				moments = append(moments, note())
				err = creating
				switch rapid.IntRange(0, 3).Draw(rt, "answer") {
				case 0:
					err = book.Created(number, kind, fmt.Sprintf("id-%d", i))
				case 1:
					err = book.Refused(number, kind, "status 400")
				case 2:
					err = book.Unknown(number, kind, "status 502")
				}
			case 2:
				err = book.Searched()
			default:
				if i := slices.IndexFunc(open, func(m Made) bool { return m.ID != "" }); i >= 0 {
					err = book.Deleted(open[i].Kind, open[i].ID)
				}
			}
			if err != nil {
				rt.Fatal(err)
			}
			moments = append(moments, note())
		}
		data, err := os.ReadFile(path)
		if err != nil {
			rt.Fatal(err)
		}
		cut := rapid.Int64Range(moments[0].size, int64(len(data))).Draw(rt, "cut")
		var want []Made
		for _, m := range moments {
			if m.size <= cut+1 { // a line without its line feed is whole
				want = m.open
			}
		}
		got, err := Read(data[:cut])
		if err != nil {
			rt.Fatal(err)
		}
		if diff := cmp.Diff(want, got.Open()); diff != "" {
			rt.Fatalf("a file cut at %d of %d bytes says (-want +got):\n%s", cut, len(data), diff)
		}
	})
}

func TestWhatRefersToOthersIsDeletedFirst(t *testing.T) {
	book := Memory(run)
	for _, kind := range []Kind{Filter, Rule, Session, Filter} {
		number, err := book.Creating(kind)
		if err == nil {
			err = book.Created(number, kind, fmt.Sprintf("%s-%d", kind, number))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	want := []Made{
		{3, Session, "traffic-mirror-sessions-3"}, {2, Rule, "traffic-mirror-filter-rules-2"},
		{4, Filter, "traffic-mirror-filters-4"}, {1, Filter, "traffic-mirror-filters-1"},
	}
	if diff := cmp.Diff(want, book.Open()); diff != "" {
		t.Errorf("the order of deletion (-want +got):\n%s", diff)
	}
}

func TestALedgerIsGoneOnWithAfterALineThatWasCutOff(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ledger.jsonl")
	book, err := Create(path, run)
	if err != nil {
		t.Fatal(err)
	}
	number, err := book.Creating(Filter)
	if err != nil {
		t.Fatal(err)
	}
	if err := book.Close(); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, append(data, `{"time":"2026-01-01T00:00:00Z","event":"cre`...), 0o600); err != nil {
		t.Fatal(err)
	}
	again, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]Made{{Number: number, Kind: Filter}}, again.Open()); diff != "" {
		t.Errorf("it has (-want +got):\n%s", diff)
	}
	if err := again.Searched(); err != nil {
		t.Fatal(err)
	}
	if err := again.Close(); err != nil {
		t.Fatal(err)
	}
	if data, err = os.ReadFile(path); err != nil {
		t.Fatal(err)
	}
	settled, err := Read(data)
	if err != nil || len(settled.Open()) != 0 {
		t.Errorf("after the search it still has %v, %v", settled.Open(), err)
	}
}

func TestALedgerThatAnotherProcessHasIsNotOpened(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ledger.jsonl")
	book, err := Create(path, run)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = book.Close() }()
	if _, err := Open(path); err == nil || !strings.Contains(err.Error(), "another process has the ledger, let it end first") {
		t.Errorf("it was opened a second time: %v", err)
	}
	if _, err := Create(path, run); err == nil {
		t.Error("it was made a second time")
	}
}

func TestWhatIsNoLedgerIsRefused(t *testing.T) {
	for name, text := range map[string]string{"nothing": "", "no JSON": "hello\n", "another file": `{"side":"cloud"}` + "\n"} {
		if _, err := Read(bytes.NewBufferString(text).Bytes()); err == nil {
			t.Errorf("%s was taken for a ledger", name)
		}
	}
}
