package memory

import (
	"bufio"
	"bytes"
	"io/fs"
	"math"
	"os"
	"path"
	"runtime/debug"
	"runtime/metrics"
	"strconv"
	"strings"
	"time"
)

// The samples of runtime/metrics by their place in the list that is read.
const (
	total = iota
	live
	objects
	free
	unused
	released
	limited
)

var names = []string{
	total:    "/memory/classes/total:bytes",
	live:     "/gc/heap/live:bytes",
	objects:  "/memory/classes/heap/objects:bytes",
	free:     "/memory/classes/heap/free:bytes",
	unused:   "/memory/classes/heap/unused:bytes",
	released: "/memory/classes/heap/released:bytes",
	limited:  "/gc/limiter/last-enabled:gc-cycle",
}

// recent is how long ago the collector may have been throttled to count as now. It is told by the clock,
// as a process that is idle has a cycle of the collector every two minutes.
const recent = time.Minute

// Reader reads what the process uses and may use. It is not safe for concurrent use.
type Reader struct {
	clock func() time.Time
	// limited is the cycle in which the collector was throttled last when it was read last, and moved
	// is when that was found to have changed; zero for never.
	limited uint64
	moved   time.Time
}

// NewReader returns a reader for which the collector was not throttled yet.
func NewReader(clock func() time.Time) *Reader { return &Reader{clock: clock} }

// throttled reports whether the collector was throttled a short time ago. The runtime says in which cycle
// it began to be, which is the one after those that it has counted.
func (r *Reader) throttled(limited uint64) bool {
	if now := r.clock(); limited != r.limited {
		r.limited, r.moved = limited, now
	}
	return !r.moved.IsZero() && r.clock().Sub(r.moved) < recent
}

// Read asks the runtime and the kernel. What can't be read has no limit.
func (r *Reader) Read() Usage {
	samples := make([]metrics.Sample, len(names))
	for i := range names {
		samples[i].Name = names[i]
	}
	metrics.Read(samples)
	value := func(i int) uint64 {
		if samples[i].Value.Kind() != metrics.KindUint64 {
			return 0
		}
		return samples[i].Value.Uint64()
	}
	u := Usage{Throttled: r.throttled(value(limited))}
	heap := value(objects) + value(free) + value(unused) + value(released)
	u.Go = value(live) + value(total) - min(heap, value(total))
	if limit := debug.SetMemoryLimit(-1); limit != math.MaxInt64 {
		u.GoLimit = uint64(limit)
	}
	u.Pod, u.PodLimit = readGroup(os.DirFS("/"))
	return u
}

// readGroup reads what the process's control group uses and may use, both 0 where that has no limit
// or is not to be seen. There are two versions of control groups, and a container sees its own as the
// root of the tree, or not.
func readGroup(root fs.FS) (used, limit uint64) {
	content, _ := fs.ReadFile(root, "proc/self/cgroup") // without it, the root of each tree
	unified, memory := "/", "/"
	for line := range strings.Lines(string(content)) {
		fields := strings.SplitN(strings.TrimSpace(line), ":", 3)
		switch {
		case len(fields) != 3:
		case fields[1] == "":
			unified = fields[2]
		case strings.Contains(","+fields[1]+",", ",memory,"):
			memory = fields[2]
		}
	}
	for _, group := range []struct{ dir, used, limit, cached string }{
		{path.Join("sys/fs/cgroup", unified), "memory.current", "memory.max", "inactive_file"},
		{"sys/fs/cgroup", "memory.current", "memory.max", "inactive_file"},
		{path.Join("sys/fs/cgroup/memory", memory), "memory.usage_in_bytes", "memory.limit_in_bytes", "total_inactive_file"},
		{"sys/fs/cgroup/memory", "memory.usage_in_bytes", "memory.limit_in_bytes", "total_inactive_file"},
	} {
		limit, ok := readNumber(root, path.Join(group.dir, group.limit))
		if !ok || limit >= math.MaxInt64/4096*4096 { // that is how version 1 says that there is none
			continue
		}
		if used, ok := readNumber(root, path.Join(group.dir, group.used)); ok {
			return used - min(used, cached(root, path.Join(group.dir, "memory.stat"), group.cached)), limit
		}
	}
	return 0, 0
}

func readNumber(root fs.FS, name string) (uint64, bool) {
	content, err := fs.ReadFile(root, name)
	if err != nil {
		return 0, false
	}
	n, err := strconv.ParseUint(strings.TrimSpace(string(content)), 10, 64)
	return n, err == nil // "max" is no number
}

// cached is what the kernel can give up at once.
func cached(root fs.FS, name, field string) uint64 {
	content, err := fs.ReadFile(root, name)
	if err != nil {
		return 0
	}
	for lines := bufio.NewScanner(bytes.NewReader(content)); lines.Scan(); {
		if name, value, ok := strings.Cut(lines.Text(), " "); ok && name == field {
			n, err := strconv.ParseUint(value, 10, 64)
			if err != nil {
				return 0
			}
			return n
		}
	}
	return 0
}
