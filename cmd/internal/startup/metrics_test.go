package startup

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestAMistakeInTheFlagsOfMetricsIsASentence(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	half := filepath.Join(folder, "half")
	whole := filepath.Join(folder, "whole")
	for path, files := range map[string][]string{half: {"tls.crt"}, whole: {"tls.crt", "tls.key"}} {
		if err := os.Mkdir(path, 0o700); err != nil {
			t.Fatal(err)
		}
		for _, name := range files {
			if err := os.WriteFile(filepath.Join(path, name), []byte("x"), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	for name, row := range map[string]struct {
		metrics Metrics
		want    string
	}{
		"plain":                      {Metrics{Address: ":8080"}, ""},
		"secure with a made one":     {Metrics{Secure: true}, ""},
		"secure with a folder":       {Metrics{Secure: true, CertDir: whole}, ""},
		"a folder for nothing":       {Metrics{CertDir: whole}, "--metrics-cert-dir is for --metrics-secure: set that too, or leave the folder out"},
		"a folder that is not there": {Metrics{Secure: true, CertDir: folder + "/none"}, "--metrics-cert-dir=FOLDER/none: stat FOLDER/none/tls.crt: no such file or directory: put tls.crt there, or leave the folder out"},
		"a folder without the key":   {Metrics{Secure: true, CertDir: half}, "--metrics-cert-dir=FOLDER/half: stat FOLDER/half/tls.key: no such file or directory: put tls.key there, or leave the folder out"},
	} {
		got := ""
		if err := row.metrics.Check(); err != nil {
			got = strings.ReplaceAll(err.Error(), folder, "FOLDER")
		}
		if diff := cmp.Diff(row.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestMetricsAskForATokenOnlyWhereTheyAreSecure(t *testing.T) {
	t.Parallel()
	plain, secure := (&Metrics{Address: ":1"}).Options(), (&Metrics{Address: ":2", Secure: true, CertDir: "c"}).Options()
	if plain.FilterProvider != nil || plain.SecureServing || plain.BindAddress != ":1" {
		t.Errorf("plain: %+v", plain)
	}
	if secure.FilterProvider == nil || !secure.SecureServing || secure.BindAddress != ":2" || secure.CertDir != "c" {
		t.Errorf("secure: %+v", secure)
	}
}
