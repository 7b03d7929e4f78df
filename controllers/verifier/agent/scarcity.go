package agent

import (
	"context"
	"time"

	"vpcmirror.io/operator/controllers/verifier/memory"
)

// memoryInterval is how often the agent asks whether the process has the memory that it needs.
const memoryInterval = 10 * time.Second

// watchMemory says when memory gets scarce, and when it is no more, until ctx ends.
func (a *Agent) watchMemory(ctx context.Context) {
	if a.Memory == nil {
		return
	}
	ticks := time.NewTicker(memoryInterval)
	defer ticks.Stop()
	for {
		a.judgeMemory()
		select {
		case <-ctx.Done():
			return
		case <-ticks.C:
		}
	}
}

// judgeMemory logs how scarce memory is when that has changed. Only what is short is told in the
// entries: until then all is counted, and what an entry says is taken for a reason not to believe it.
func (a *Agent) judgeMemory() {
	usage := a.Memory()
	a.mu.Lock()
	defer a.mu.Unlock()
	before := a.scarcity
	a.scarcity = memory.Judge(before.Level, usage)
	if a.scarcity == before {
		return
	}
	a.tellNews()
	log := a.Log.WithValues("needs", usage.Go, "goMemLimit", usage.GoLimit, "podUses", usage.Pod, "podLimit", usage.PodLimit, "sessions", a.index.Sessions())
	if a.scarcity.Level == memory.Enough {
		log.Info("The verifier has enough memory again")
		return
	}
	log.Info("The verifier " + a.scarcity.Message)
}

// shortage is what the entries of all sessions say of it, empty for nothing; a.mu is held.
func (a *Agent) shortage() string {
	if a.scarcity.Level < memory.Short {
		return ""
	}
	return "the verifier " + a.scarcity.Message
}
