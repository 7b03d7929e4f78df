package diagnosis

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"vpcmirror.io/operator/api/v1alpha1"
)

// plugin is the folder of the plugin of kubectl, which alone can tell that nobody writes the
// status.
const plugin = "../../cmd/kubectl-mirror"

// awayCauses: the manager is away, which `kubectl mirror why` tells by its lease.
var awayCauses = []cause{
	{
		id: "manager-killed", name: "the manager is killed, and the target's group closed after that", by: "client", flows: true, within: 60 * time.Second,
		inject: func(s *site) error { return s.revoke(0) },
		want:   says{why: []string{"manager", "lease", "may be of before", system}},
	},
	{
		id: "manager-edited", name: "the manager is killed, and the spec edited after that", by: "client", flows: true, within: 60 * time.Second,
		inject: func(s *site) error { return s.edit(func(m *v1alpha1.MirrorSession) { m.Spec.VNI = new(int32(4242)) }) },
		want:   says{why: []string{"manager", "lease", "may be of before", system}},
	},
}

// away are the rows that need the manager away, as far as the plugin is there.
func away() []cause {
	if _, err := os.Stat(plugin); err != nil {
		return nil
	}
	return awayCauses
}

// leave kills the manager, once for all rows that need it away.
func (w *world) leave() error {
	if ended, _ := w.manager.Ended(); ended {
		return nil
	}
	if err := syscall.Kill(w.manager.PID, syscall.SIGKILL); err != nil {
		return fmt.Errorf("killing the manager: %w", err)
	}
	return nil
}

// why is what the plugin prints about a session. That it exits with another code than 0 is an
// answer too.
func (w *world) why(name string) string {
	ctx, cancel := context.WithTimeout(w.t.Context(), 20*time.Second)
	defer cancel()
	command := exec.CommandContext(ctx, filepath.Join(w.programs, "kubectl-mirror"), "why", name, "-n", namespace)
	command.Env = []string{"KUBECONFIG=" + w.admin, "HOME=" + w.folder}
	out, _ := command.CombinedOutput()
	return string(out)
}

// judgeWhy scores what the plugin prints.
func judgeWhy(want says, printed string) verdict {
	first, _, _ := strings.Cut(printed, "\n")
	v := verdict{points: right, said: first, text: printed}
	for _, word := range want.why {
		if !strings.Contains(printed, word) {
			v.points, v.lacks = 0, fmt.Sprintf("%q", word)
		}
	}
	return v
}
