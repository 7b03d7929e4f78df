package memory

import (
	"runtime/debug"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"pgregory.net/rapid"
)

const mib = 1 << 20

func TestHowScarceMemoryIs(t *testing.T) {
	for _, c := range []struct {
		name   string
		before Level
		usage  Usage
		want   Level
		says   string
	}{
		{"without limits there is enough", Enough, Usage{Go: 900 * mib, Pod: 900 * mib}, Enough, ""},
		{"far below both", Enough, Usage{Go: 30 * mib, GoLimit: 64 * mib, Pod: 60 * mib, PodLimit: 128 * mib}, Enough, ""},
		{"what the heap keeps is near GOMEMLIMIT", Enough, Usage{Go: 56 * mib, GoLimit: 64 * mib}, Tight, "64 MiB that GOMEMLIMIT allows"},
		{"what the heap keeps is GOMEMLIMIT", Enough, Usage{Go: 62 * mib, GoLimit: 64 * mib}, Short, "garbage collector alone"},
		{"and it may be more", Enough, Usage{Go: 90 * mib, GoLimit: 64 * mib}, Short, "garbage collector alone"},
		{"the collector was throttled", Enough, Usage{Go: 30 * mib, GoLimit: 64 * mib, Throttled: true}, Short, "garbage collector alone"},
		{"the control group is near its limit", Enough, Usage{Go: 30 * mib, GoLimit: 64 * mib, Pod: 110 * mib, PodLimit: 128 * mib}, Tight, "128 MiB that its control group has"},
		{"the control group is at its limit", Enough, Usage{Pod: 126 * mib, PodLimit: 128 * mib}, Short, "kernel then ends the process"},
		{"what was tight is so until it is well below", Tight, Usage{Go: 53 * mib, GoLimit: 64 * mib}, Tight, "GOMEMLIMIT"},
		{"and then no more", Tight, Usage{Go: 50 * mib, GoLimit: 64 * mib}, Enough, ""},
		{"what was short is so until it is well below", Short, Usage{Go: 59 * mib, GoLimit: 64 * mib}, Short, "GOMEMLIMIT"},
		{"and then tight", Short, Usage{Go: 56 * mib, GoLimit: 64 * mib}, Tight, "GOMEMLIMIT"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := Judge(c.before, c.usage)
			if got.Level != c.want || !strings.Contains(got.Message, c.says) || (got.Message == "") != (c.want == Enough) {
				t.Errorf("got %+v", got)
			}
		})
	}
}

// More of anything that is used is never better, and a verdict that was given stays.
func TestAVerdictIsMonotonicAndStays(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		amount := rapid.Uint64Range(0, 200*mib)
		u := Usage{
			Go: amount.Draw(t, "go"), GoLimit: amount.Draw(t, "go limit"), Pod: amount.Draw(t, "pod"), PodLimit: amount.Draw(t, "pod limit"),
			Throttled: rapid.Bool().Draw(t, "throttled"),
		}
		before := Level(rapid.IntRange(0, int(Short)).Draw(t, "before"))
		first := Judge(before, u)
		if again := Judge(first.Level, u); again.Level < first.Level && before <= first.Level {
			t.Fatalf("%+v, and once more %+v", first, again)
		}
		more := u
		more.Go, more.Pod = u.Go+amount.Draw(t, "more go"), u.Pod+amount.Draw(t, "more pod")
		if worse := Judge(before, more); worse.Level < first.Level {
			t.Fatalf("%+v, and with more %+v", first, worse)
		}
	})
}

func TestWhatAControlGroupMayUse(t *testing.T) {
	file := func(text string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(text)} }
	for _, c := range []struct {
		name        string
		files       fstest.MapFS
		used, limit uint64
	}{
		{"nothing is to be seen", fstest.MapFS{}, 0, 0},
		{"a container's own, as the root of the tree", fstest.MapFS{
			"proc/self/cgroup": file("0::/\n"), "sys/fs/cgroup/memory.max": file("134217728\n"), "sys/fs/cgroup/memory.current": file("100\n"),
			"sys/fs/cgroup/memory.stat": file("anon 60\ninactive_file 30\nactive_file 10\n"),
		}, 70, 134217728},
		{"one below the root", fstest.MapFS{
			"proc/self/cgroup": file("0::/a/b\n"), "sys/fs/cgroup/a/b/memory.max": file("200\n"), "sys/fs/cgroup/a/b/memory.current": file("150\n"),
		}, 150, 200},
		{"one whose path is that of the host, which the container does not see", fstest.MapFS{
			"proc/self/cgroup": file("0::/kubepods/pod1\n"), "sys/fs/cgroup/memory.max": file("200\n"), "sys/fs/cgroup/memory.current": file("150\n"),
		}, 150, 200},
		{"one without a limit", fstest.MapFS{
			"proc/self/cgroup": file("0::/\n"), "sys/fs/cgroup/memory.max": file("max\n"), "sys/fs/cgroup/memory.current": file("150\n"),
		}, 0, 0},
		{"one of version 1", fstest.MapFS{
			"proc/self/cgroup":                              file("9:cpu,cpuacct:/x\n7:memory:/kubepods/pod1\n"),
			"sys/fs/cgroup/memory/memory.limit_in_bytes":    file("300\n"),
			"sys/fs/cgroup/memory/memory.usage_in_bytes":    file("250\n"),
			"sys/fs/cgroup/memory/memory.stat":              file("cache 9\ntotal_inactive_file 50\n"),
			"sys/fs/cgroup/unified/something/that/is/there": file(""),
		}, 200, 300},
		{"one of version 1 without a limit", fstest.MapFS{
			"sys/fs/cgroup/memory/memory.limit_in_bytes": file("9223372036854771712\n"), "sys/fs/cgroup/memory/memory.usage_in_bytes": file("250\n"),
		}, 0, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			if used, limit := readGroup(c.files); used != c.used || limit != c.limit {
				t.Errorf("%d of %d, want %d of %d", used, limit, c.used, c.limit)
			}
		})
	}
}

func TestWhatThisProcessUses(t *testing.T) {
	before := debug.SetMemoryLimit(512 * mib)
	defer debug.SetMemoryLimit(before)
	kept := make([]byte, 64*mib)
	for i := range kept {
		kept[i] = 1
	}
	debug.FreeOSMemory() // after a collection the runtime knows what is kept
	u := NewReader(time.Now).Read()
	if u.GoLimit != 512*mib || u.Go < 64*mib || u.Go > 128*mib || u.Throttled {
		t.Errorf("%+v", u)
	}
	if kept[0] != 1 {
		t.Error("unreachable")
	}
}

func TestThatTheCollectorWasThrottledIsToldForAMinute(t *testing.T) {
	now := time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)
	r := NewReader(func() time.Time { return now })
	var got []bool
	for _, at := range []struct {
		after   time.Duration
		limited uint64
	}{{0, 0}, {10 * time.Second, 28}, {10 * time.Second, 28}, {40 * time.Second, 28}, {10 * time.Second, 28}, {time.Hour, 28}, {time.Second, 31}} {
		now = now.Add(at.after)
		got = append(got, r.throttled(at.limited))
	}
	if want := []bool{false, true, true, true, false, false, true}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}
