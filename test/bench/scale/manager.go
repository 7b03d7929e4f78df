package scale

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"vpcmirror.io/operator/test/demo/process"
)

// manager is the operator, as a process.
type manager struct {
	process *process.Process
	metrics string // address
	began   time.Time
}

// settings are the flags that differ from one measurement to the next.
type settings struct {
	resync         time.Duration
	callsPerSecond float64 // 0 is the default
	workers        int     // 0 is the default
}

func (s settings) flags() []string {
	var flags []string
	if s.resync > 0 {
		flags = append(flags, "--resync-interval="+s.resync.String())
	}
	if s.callsPerSecond > 0 {
		flags = append(flags, fmt.Sprintf("--cloud-calls-per-second=%g", s.callsPerSecond), fmt.Sprintf("--cloud-burst=%d", int(s.callsPerSecond)))
	}
	if s.workers > 0 {
		flags = append(flags, fmt.Sprintf("--workers=%d", s.workers))
	}
	return flags
}

// figures are what it says of itself.
type figures struct {
	looks     float64 // reconciles that have ended
	allocated float64 // bytes, ever
}

func (m *manager) figures(ctx context.Context) (figures, error) {
	var f figures
	content, err := ask(ctx, http.MethodGet, "http://"+m.metrics+"/metrics", "")
	if err != nil {
		return f, err
	}
	for line := range strings.Lines(string(content)) {
		name, text, _ := strings.Cut(strings.TrimSpace(line), " ")
		value, err := strconv.ParseFloat(text, 64)
		if err != nil {
			continue // a comment
		}
		switch {
		case strings.HasPrefix(name, "controller_runtime_reconcile_total{"):
			f.looks += value
		case name == "go_memstats_alloc_bytes_total":
			f.allocated = value
		}
	}
	return f, nil
}
