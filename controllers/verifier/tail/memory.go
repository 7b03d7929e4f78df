package tail

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"path"
	"strconv"
	"time"

	"vpcmirror.io/operator/controllers/verifier/memory"
)

const (
	// Memory is what is reckoned for a tail when it begins, in bytes.
	Memory = 24 << 20
	// GoMemory is what of it the Go runtime is held to, in bytes: the kernel has something for a tail too.
	GoMemory = 18 << 20
	// memoryInterval is how often the memory of the pod is looked at.
	memoryInterval = time.Second
	// sharePercent is how much of the pod's memory may be in use with a tail in it, in percent.
	sharePercent = 85
)

// room refuses a tail for which the pod has no memory to spare, when older ones use as much as they may: kubelets
// end all processes of a container when one of them gets too much.
func room(u memory.Usage, older int) error {
	if u.PodLimit == 0 || u.Pod+Memory*uint64(older+1) <= u.PodLimit/100*sharePercent {
		return nil
	}
	beside := ""
	if older > 0 {
		beside = fmt.Sprintf(" beside the %d that run there already", older)
	}
	return fmt.Errorf("the verifier's pod uses %d of its %d MiB of memory, and a tail may take %d more%s: copies are not shown, so that they go on being counted; "+
		"try again later, or raise verifier.resources.limits.memory of the chart", u.Pod>>20, u.PodLimit>>20, Memory>>20, beside)
}

// watchMemory ends the tail before the memory of the pod does.
func (o *Options) watchMemory(ctx context.Context, end context.CancelCauseFunc) {
	ticks := time.NewTicker(memoryInterval)
	defer ticks.Stop()
	for {
		select {
		case <-ticks.C:
			u := o.Memory()
			if v := memory.Judge(memory.Enough, memory.Usage{Pod: u.Pod, PodLimit: u.PodLimit}); v.Level != memory.Enough {
				end(fmt.Errorf("the verifier's pod %s; no more copies are shown, so that they go on being counted", v.Message))
				return
			}
		case <-ctx.Done():
			return
		}
	}
}

// Older is how many tails run in the same container as the process self, and began before it, by /proc. Of two that begin at
// the same moment only one is older, so that each reckons with those before it.
func Older(proc fs.FS, self int) int {
	mine, ok := begin(proc, strconv.Itoa(self))
	if !ok {
		return 0
	}
	processes, _ := fs.Glob(proc, "[1-9]*")
	older := 0
	for _, p := range processes {
		id, err := strconv.Atoi(p)
		if err != nil || !isTail(proc, p) {
			continue
		}
		if its, ok := begin(proc, p); ok && (its < mine || its == mine && id < self) {
			older++
		}
	}
	return older
}

// isTail reports whether a process is one, by its command line.
func isTail(proc fs.FS, process string) bool {
	line, _ := fs.ReadFile(proc, path.Join(process, "cmdline"))
	arguments := bytes.Split(line, []byte{0})
	return len(arguments) > 1 && path.Base(string(arguments[0])) == "verifier" && string(arguments[1]) == "tail"
}

// begin is when a process began, in ticks since the host did: the 22nd field of its stat, the second of which is a name in
// brackets (proc_pid_stat(5)).
func begin(proc fs.FS, process string) (ticks uint64, ok bool) {
	stat, _ := fs.ReadFile(proc, path.Join(process, "stat"))
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	if len(fields) < 20 {
		return 0, false
	}
	ticks, err := strconv.ParseUint(string(fields[19]), 10, 64)
	return ticks, err == nil
}
