package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestTheVersionsThatDocumentsAndChartPromiseAreThoseThatAreTried(t *testing.T) {
	newest, err := pinnedVersion("../..", "go.mod")
	if err != nil {
		t.Fatal(err)
	}
	oldest, err := pinnedVersion("../..", "oldest.mod")
	if err != nil {
		t.Fatal(err)
	}
	promise := minorOf(oldest)
	for _, row := range []struct{ file, says string }{
		{"config/chart/Chart.yaml", fmt.Sprintf("kubeVersion: \">=%s.0-0\"\n", promise)},
		{"README.md", "Kubernetes [" + promise + " or later]"},
		{"config/README.md", "Kubernetes " + promise + " or later."},
		{"config/README.md", "\n| " + oldest + " |"},
		{"config/README.md", "\n| " + newest + " |"},
	} {
		content, err := os.ReadFile(filepath.Join("../..", row.file))
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(content), row.says) {
			t.Errorf("%s has no %q, and these are the versions that hack/localkube builds", row.file, row.says)
		}
	}
}
