package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestARowOfTheCatalogueIsReadHoweverItIsWritten(t *testing.T) {
	const source = `package p

func onHost(reason string) says { return says{reason: reason} }
func closed() says              { return says{reason: v1alpha1.ReasonC} }
func right(id, name string) cause {
	return cause{id: id, name: name, by: "read", want: says{reason: v1alpha1.ReasonD}}
}

// hostCauses: the host.
var hostCauses = []cause{
	{id: "a", name: "a is off", by: "node", within: minute, want: says{reason: v1alpha1.ReasonA, or: []string{v1alpha1.ReasonB}}},
	{id: "b", name: "b is off", by: "node", want: onHost(v1alpha1.ReasonB)},
	{id: "c", name: "c is off", by: "read", want: closed()},
	changed(right("d", "d is off")),
	{id: "e", name: "e is off", by: "count", want: says{change: []string{"off"}}},
}
`
	folder := t.TempDir()
	if err := os.WriteFile(filepath.Join(folder, "p_test.go"), []byte(source), 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := readCatalogue(folder)
	if err != nil {
		t.Fatal(err)
	}
	want := []chapter{{title: "The host", rows: []row{
		{id: "a", name: "a is off", by: "node", reasons: []string{"ReasonA", "ReasonB"}, minute: true},
		{id: "b", name: "b is off", by: "node", reasons: []string{"ReasonB"}},
		{id: "c", name: "c is off", by: "read", reasons: []string{"ReasonC"}},
		{id: "d", name: "d is off", by: "read", reasons: []string{"ReasonD"}},
		{id: "e", name: "e is off", by: "count"},
	}}}
	if diff := cmp.Diff(want, got.chapters, cmp.AllowUnexported(chapter{}, row{})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if _, err := got.page(&constants{}); err == nil {
		t.Error("rows with reasons that nothing explains give a page")
	}
}
