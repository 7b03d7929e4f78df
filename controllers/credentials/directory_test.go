package credentials

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"vpcmirror.io/operator/controllers/cloud"
)

// mounted is a directory as the kubelet mounts a Secret: the files are links through one link, which is exchanged at once.
type mounted struct {
	t    testing.TB
	path string
	n    int
}

func mount(t testing.TB, data map[string]string) *mounted {
	t.Helper()
	m := &mounted{t: t, path: t.TempDir()}
	m.write(data)
	return m
}

// write exchanges all files; the generation before goes.
func (m *mounted) write(data map[string]string) {
	m.t.Helper()
	m.n++
	name := fmt.Sprintf("..generation_%d", m.n)
	m.ok(os.Mkdir(filepath.Join(m.path, name), 0o700))
	for key, value := range data {
		m.ok(os.WriteFile(filepath.Join(m.path, name, key), []byte(value), 0o600))
		_ = os.Symlink(filepath.Join(generation, key), filepath.Join(m.path, key))
	}
	before, _ := os.Readlink(filepath.Join(m.path, generation))
	m.ok(os.Symlink(name, filepath.Join(m.path, "..data_tmp")))
	m.ok(os.Rename(filepath.Join(m.path, "..data_tmp"), filepath.Join(m.path, generation)))
	if before != "" {
		m.ok(os.RemoveAll(filepath.Join(m.path, before)))
	}
}

func (m *mounted) ok(err error) {
	m.t.Helper()
	if err != nil {
		m.t.Fatal(err)
	}
}

func TestADirectoryGivesWhatTheKubeletMountedLast(t *testing.T) {
	m := mount(t, map[string]string{"accessKey": "first\n", "secretKey": "one", "region": "cn-north-4"})
	d := Directory{Path: m.path}
	first, err := d.Current(t.Context())
	m.ok(err)
	m.write(map[string]string{"accessKey": "second", "secretKey": "two", "securityToken": "t", "agencyName": "a", "agencyDomain": "b"})
	second, err := d.Current(t.Context())
	m.ok(err)
	want := []cloud.Credentials{
		{AccessKey: "first", SecretKey: "one", Region: "cn-north-4"},
		{AccessKey: "second", SecretKey: "two", SecurityToken: "t", Agency: cloud.Agency{Name: "a", Domain: "b"}},
	}
	if diff := cmp.Diff(want, []cloud.Credentials{first, second}); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestAPlainDirectoryServesToo(t *testing.T) {
	m := &mounted{t: t, path: t.TempDir()}
	for key, value := range map[string]string{"accessKey": "a", "secretKey": "s"} {
		m.ok(os.WriteFile(filepath.Join(m.path, key), []byte(value), 0o600))
	}
	got, err := Directory{Path: m.path}.Current(t.Context())
	m.ok(err)
	if diff := cmp.Diff(cloud.Credentials{AccessKey: "a", SecretKey: "s"}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestAMistakeInADirectoryIsOneSentenceWithoutAnyValue(t *testing.T) {
	for name, c := range map[string]struct {
		data map[string]string
		want string
	}{
		"a key is missing":       {map[string]string{"accessKey": "secret-1"}, "the directory DIR has no key secretKey, or it is empty: add it"},
		"half of an agency":      {map[string]string{"accessKey": "a", "secretKey": "s", "agencyName": "n"}, "the directory DIR has one of agencyName and agencyDomain without the other: give the agency's name and that of the account it is in, or neither"},
		"what no value can have": {map[string]string{"accessKey": "secret-1\u200b", "secretKey": "s"}, "accessKey of the directory DIR has U+200B ZERO WIDTH SPACE as character 9, where only letters, digits and signs of ASCII can be: store the value without it"},
		"too much":               {map[string]string{"accessKey": strings.Repeat("a", maxValue+1), "secretKey": "s"}, "the operator's own credentials in the directory DIR can't be read: accessKey is larger than 1048576 bytes; mount a Secret there with the keys accessKey and secretKey"},
	} {
		t.Run(name, func(t *testing.T) {
			m := mount(t, c.data)
			_, err := Directory{Path: m.path}.Current(t.Context())
			if diff := cmp.Diff(c.want, strings.ReplaceAll(fmt.Sprint(err), m.path, "DIR")); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
	_, err := Directory{Path: "/nowhere/at/all"}.Current(t.Context())
	want := "the operator's own credentials in the directory /nowhere/at/all can't be read: no such file or directory; mount a Secret there with the keys accessKey and secretKey"
	if diff := cmp.Diff(want, fmt.Sprint(err)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestKeysOfTwoGenerationsAreNeverMixed(t *testing.T) {
	m := mount(t, map[string]string{"accessKey": "0", "secretKey": "0", "securityToken": "0"})
	done := make(chan struct{})
	go func() {
		defer close(done)
		for n := range 300 {
			v := fmt.Sprint(n)
			m.write(map[string]string{"accessKey": v, "secretKey": v, "securityToken": v})
		}
	}()
	read := 0
	for {
		c, err := Directory{Path: m.path}.Current(t.Context())
		if err == nil {
			read++
			if c.AccessKey != c.SecretKey || c.AccessKey != c.SecurityToken {
				t.Fatalf("mixed: %s %s %s", c.AccessKey, c.SecretKey, c.SecurityToken)
			}
		}
		select {
		case <-done:
			if read < 10 {
				t.Errorf("only %d reads succeeded", read)
			}
			return
		default:
		}
	}
}
