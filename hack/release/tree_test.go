package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestVersionsThatCanBeReleased(t *testing.T) {
	for version, want := range map[string]string{
		"0.3.0":        "",
		"1.0.0-rc.1":   "",
		"":             "VERSION is missing: say which release it is, such as make release VERSION=0.3.0",
		"v0.3.0":       "VERSION=v0.3.0 is no semantic version: give one such as 0.3.0 or 0.3.0-rc.1, without a v before it",
		"0.3":          "VERSION=0.3 is no semantic version: give one such as 0.3.0 or 0.3.0-rc.1, without a v before it",
		"../../../etc": "VERSION=../../../etc is no semantic version: give one such as 0.3.0 or 0.3.0-rc.1, without a v before it",
		"0.3.0+linux":  "VERSION=0.3.0+linux has build metadata, which no image's tag can hold: leave out the + and what follows it",
	} {
		t.Run(version, func(t *testing.T) { sentence(t, checkVersion(version), want) })
	}
}

func TestPlacesThatImagesAndFilesCanBeAt(t *testing.T) {
	const registry, server = "registry.example.com/vpcmirror", "https://example.com/releases/0.3.0"
	for name, c := range map[string]struct{ repository, url, want string }{
		"a registry and a server":        {registry, server, ""},
		"a registry with a port":         {"registry.example.com:5000/team/vpcmirror", "", ""},
		"this machine's, and no server":  {localRepository, "", ""},
		"a repository with a scheme":     {"https://registry.example.com", "", "REPOSITORY=https://registry.example.com can't be where images are: give a registry and a path, such as registry.example.com/vpcmirror"},
		"no repository":                  {"", "", "REPOSITORY= can't be where images are: give a registry and a path, such as registry.example.com/vpcmirror"},
		"a server without encryption":    {registry, "http://example.com", "RELEASE_URL=http://example.com can't be where the files are: give an address such as https://example.com/releases/0.3.0, without a slash at its end"},
		"a server with a slash too many": {registry, server + "/", "RELEASE_URL=" + server + "/ can't be where the files are: give an address such as https://example.com/releases/0.3.0, without a slash at its end"},
	} {
		t.Run(name, func(t *testing.T) { sentence(t, checkPlaces(c.repository, c.url), c.want) })
	}
}

// sentence compares what an error says, nothing for none.
func sentence(t *testing.T, err error, want string) {
	t.Helper()
	got := ""
	if err != nil {
		got = err.Error()
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// repository is a checkout with one commit of the time that tests have.
func repository(t *testing.T) string {
	t.Helper()
	root := t.TempDir()
	for name, value := range map[string]string{
		"GIT_CONFIG_GLOBAL": os.DevNull, "GIT_CONFIG_SYSTEM": os.DevNull,
		"GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@example.com", "GIT_COMMITTER_NAME": "a", "GIT_COMMITTER_EMAIL": "a@example.com",
		"GIT_COMMITTER_DATE": committed.Format(time.RFC3339),
	} {
		t.Setenv(name, value)
	}
	write(t, filepath.Join(root, "kept.txt"), "kept")
	write(t, filepath.Join(root, ".gitignore"), "/bin/\n")
	for _, args := range [][]string{{"init", "--quiet"}, {"add", "."}, {"commit", "--quiet", "--message", "one"}} {
		if _, err := git(t.Context(), root, args...); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func write(t *testing.T, file, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestAReleaseIsMadeFromACleanTreeAlone(t *testing.T) {
	const unclean = " differ from the commit: a release is made from a clean tree, so commit or remove what git status names"
	for name, c := range map[string]struct {
		change func(t *testing.T, root string)
		want   string
	}{
		"nothing differs":          {func(*testing.T, string) {}, ""},
		"what is built is ignored": {func(t *testing.T, root string) { t.Helper(); write(t, root+"/bin/manager", "x") }, ""},
		"a file was changed":       {func(t *testing.T, root string) { t.Helper(); write(t, root+"/kept.txt", "x") }, "kept.txt" + unclean},
		"a file is new":            {func(t *testing.T, root string) { t.Helper(); write(t, root+"/cmd/new.go", "x") }, "cmd/new.go" + unclean},
		"several are": {func(t *testing.T, root string) {
			t.Helper()
			write(t, root+"/a", "x")
			write(t, root+"/b", "x")
			write(t, root+"/c", "x")
		}, "a and 2 others" + unclean},
		"the tag is of this commit": {func(t *testing.T, root string) { t.Helper(); tag(t, root) }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			root := repository(t)
			c.change(t, root)
			from, err := cleanTree(t.Context(), root, "0.3.0")
			sentence(t, err, c.want)
			if err == nil && (len(from.commit) != 40 || !from.when.Equal(committed)) {
				t.Errorf("it is of commit %q and %v", from.commit, from.when)
			}
		})
	}
}

func tag(t *testing.T, root string) {
	t.Helper()
	if _, err := git(t.Context(), root, "tag", "v0.3.0"); err != nil {
		t.Fatal(err)
	}
}

func TestATagOfAnotherCommitIsNotReleasedAgain(t *testing.T) {
	root := repository(t)
	tag(t, root)
	if _, err := git(t.Context(), root, "commit", "--quiet", "--allow-empty", "--message", "two"); err != nil {
		t.Fatal(err)
	}
	if _, err := cleanTree(t.Context(), root, "0.3.0"); err == nil || !strings.HasPrefix(err.Error(), "the tag v0.3.0 is of commit ") {
		t.Errorf("it says %v", err)
	}
	if _, err := cleanTree(t.Context(), root, "0.4.0"); err != nil {
		t.Error(err)
	}
}

func TestWithoutGitNothingIsReleased(t *testing.T) {
	folder := t.TempDir()
	t.Setenv("GIT_CEILING_DIRECTORIES", filepath.Dir(folder))
	if _, err := cleanTree(t.Context(), folder, "0.3.0"); err == nil || !strings.HasPrefix(err.Error(), "a release is made from a checkout of Git: ") {
		t.Errorf("it says %v", err)
	}
}

func TestWhatGitIgnoresIsNotInARelease(t *testing.T) {
	root := repository(t)
	write(t, filepath.Join(root, "config/chart/values.local.yaml"), "token: secret")
	write(t, filepath.Join(root, "api/zz_local.go"), "package api")
	write(t, filepath.Join(root, ".git/info/exclude"), "values.local.yaml\nzz_local.go\n")
	from, err := cleanTree(t.Context(), root, "0.3.0")
	if err != nil {
		t.Fatal(err)
	}
	into := t.TempDir()
	if err := export(t.Context(), root, from.commit, into); err != nil {
		t.Fatal(err)
	}
	got, err := files(into)
	if err != nil {
		t.Fatal(err)
	}
	committed, err := git(t.Context(), root, "ls-files")
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range got {
		names = append(names, e.name)
	}
	if diff := cmp.Diff(strings.Split(committed, "\n"), names); diff != "" {
		t.Errorf("files of the release (-committed +got):\n%s", diff)
	}
}
