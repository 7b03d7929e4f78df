package memory

import "fmt"

// Usage is what a process uses and may use, in bytes. A limit of 0 is none.
type Usage struct {
	// Go is what the heap keeps when all garbage is gone, and what the runtime needs beside it:
	// less is not possible. GoLimit is GOMEMLIMIT, from which on the garbage collector runs
	// without end.
	Go, GoLimit uint64
	// Throttled is whether the collector has just needed so much of the processor that the runtime
	// let the heap grow beyond the limit instead.
	Throttled bool
	// Pod is what the control group uses, without what the kernel can give up, and PodLimit where
	// the kernel ends a process.
	Pod, PodLimit uint64
}

// Level is how scarce memory is.
type Level int

const (
	// Enough is there.
	Enough Level = iota
	// Tight is when little more would be too much.
	Tight
	// Short is when the process works for its memory alone, or may be ended at any moment.
	Short
)

// In percent of a limit: from where on memory is tight and short, and how far below that it has to
// fall until it no longer is.
const (
	tightFrom = 85
	shortFrom = 95
	slack     = 5
)

// Verdict is a level and what to say of it, which stays the same as long as level and limits do.
type Verdict struct {
	Level Level
	// Message is a sentence without its subject, the process; empty where there is enough.
	Message string
}

// Judge says how scarce memory is, after it was before.
func Judge(before Level, u Usage) Verdict {
	inGo, inPod := levelOf(before, u.Go, u.GoLimit), levelOf(before, u.Pod, u.PodLimit)
	if u.Throttled && u.GoLimit != 0 {
		inGo = Short
	}
	switch level := max(inGo, inPod); {
	case level == Enough:
		return Verdict{}
	case inGo >= inPod:
		return Verdict{level, says(level, u.GoLimit, "GOMEMLIMIT allows", "the process then works for the garbage collector alone")}
	default:
		return Verdict{level, says(level, u.PodLimit, "its control group has", "the kernel then ends the process")}
	}
}

func levelOf(before Level, used, limit uint64) Level {
	if limit == 0 {
		return Enough
	}
	from := func(percent uint64, level Level) bool {
		if before >= level {
			percent -= slack
		}
		return used >= limit/100*percent
	}
	switch {
	case from(shortFrom, Short):
		return Short
	case from(tightFrom, Tight):
		return Tight
	}
	return Enough
}

func says(level Level, limit uint64, whose, effect string) string {
	what, remedy := "is nearly short of memory", "raise both limits before it is"
	if level == Short {
		what, remedy = "is short of memory", "raise verifier.goMemLimit and verifier.resources.limits.memory of the chart"
	}
	return fmt.Sprintf("%s: it needs almost all of the %d MiB that %s; %s: %s", what, limit>>20, whose, effect, remedy)
}
