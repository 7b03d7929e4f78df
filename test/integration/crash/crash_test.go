// Package crash_test kills the real manager between the cloud's create and the write of
// the status, and counts what is in the cloud afterwards. It has a control plane of its
// own, because the manager watches every namespace.
//
// The crash matrix does the same at every effect of many scenarios, with the manager's
// wiring in process, whose effects can be numbered and ended.
//
// It may import api, everything below controllers, test/cloudsim, test/env and
// test/integration/harness.
package crash_test

import (
	"bytes"
	"flag"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	ctrl "sigs.k8s.io/controller-runtime"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/test/cloudsim/fault"
	"vpcmirror.io/operator/test/cloudsim/state"
	"vpcmirror.io/operator/test/env"
	"vpcmirror.io/operator/test/integration/harness"
)

// together is how many worlds are played at the same time: they wait most of their time.
const together = "24"

func TestMain(m *testing.M) {
	flag.Parse()
	if err := flag.Set("test.parallel", together); err != nil {
		panic(err) // every test program has the flag
	}
	ctrl.SetLogger(logr.Discard()) // managers have logs of their own
	env.Main(m)
}

func TestTheManager(t *testing.T) {
	path := harness.BuildManager(t)
	for name, test := range map[string]func(*testing.T, string){
		"killed after the cloud made a filter leaves one filter":            killedAfterFilter,
		"killed after the cloud made a session leaves one session":          killedAfterSession,
		"killed so leaves nothing of an object that is deleted then":        killedThenDeleted,
		"killed in the middle of the rules makes the others when it's back": killedWithinRules,
		"logs no key": logsNoKey,
	} {
		t.Run(name, func(t *testing.T) { test(t, path) })
	}
}

// program is a running manager.
type program struct {
	*exec.Cmd
	log bytes.Buffer
}

// start runs the manager until kill, or the end of the test.
func start(t *testing.T, w *harness.World, path string) *program {
	t.Helper()
	p := &program{Cmd: exec.Command(path, "--kubeconfig="+w.Cluster.Kubeconfig, "--allowed-endpoints="+w.Cloud.URL,
		"--metrics-bind-address=0", "--health-probe-bind-address=0", "--log-encoding=text")}
	p.Stderr = &p.log
	if err := p.Start(); err != nil {
		t.Fatalf("starting the manager: %v", err)
	}
	t.Cleanup(func() {
		p.kill()
		if t.Failed() {
			t.Logf("what a manager logged:\n%s", p.log.String())
		}
	})
	return p
}

// kill ends the manager as a crash does: nothing is finished or reported.
func (p *program) kill() {
	if p.ProcessState == nil {
		_ = p.Process.Kill() // it may have ended by itself
		_ = p.Wait()         // the answer is that it was killed
	}
}

// killedWhile starts a manager and kills it while it waits for the answer to an operation
// that has taken effect already.
func killedWhile(t *testing.T, w *harness.World, path, operation string) {
	t.Helper()
	held := w.Fault(fault.Fault{Kind: fault.Slow, Operation: operation, Delay: fault.Duration(time.Minute)})
	manager := start(t, w, path)
	harness.Poll(t, operation+" took effect", func() harness.Content { return w.Content() }, func(c harness.Content) bool {
		if operation == "CreateTrafficMirrorSession" {
			return len(c.Sessions) > 0
		}
		return len(c.Filters) > 0
	})
	manager.kill()
	w.Cloud.Faults.Remove(held)
}

func killedAfterFilter(t *testing.T, path string) {
	t.Helper()
	w := harness.New(t)
	filter := w.Filter("crashed")
	w.Create(filter)
	killedWhile(t, w, path, "CreateTrafficMirrorFilter")
	harness.Until(w, filter, "no ID is known", func(f *v1alpha1.MirrorFilter) bool { return f.Status.ID == "" && f.Status.Account != nil })
	made := w.Content()

	start(t, w, path)
	harness.Ready(w, filter)
	made.Filters[0].ID = filter.Status.ID
	rule := harness.CloudRule(1)
	rule.FilterID = filter.Status.ID
	made.Rules = []state.Rule{rule}
	w.Holds(made)
	w.EventSays(filter, "Found", filter.Status.ID)
	w.Delete(filter)
	w.Gone(filter)
	w.Holds(harness.Content{})
}

func killedAfterSession(t *testing.T, path string) {
	t.Helper()
	w := harness.New(t)
	filter, session := w.Filter("crashed"), w.Session("crashed", "crashed")
	w.Create(filter)
	w.Create(session)
	killedWhile(t, w, path, "CreateTrafficMirrorSession")
	harness.Until(w, session, "no ID is known", func(s *v1alpha1.MirrorSession) bool {
		return len(s.Status.Sessions) == 0 && s.Status.Account != nil
	})
	made := w.Content()

	start(t, w, path)
	harness.Ready(w, session)
	harness.Same(t, "the session in the status", made.Sessions[0].ID, session.Status.Sessions[0].ID)
	w.Holds(made)
	w.Delete(session)
	w.Gone(session)
	w.Delete(filter)
	w.Gone(filter)
	w.Holds(harness.Content{})
}

func killedThenDeleted(t *testing.T, path string) {
	t.Helper()
	w := harness.New(t)
	filter := w.Filter("crashed")
	w.Create(filter)
	killedWhile(t, w, path, "CreateTrafficMirrorFilter")
	w.Delete(filter)
	start(t, w, path)
	w.Gone(filter)
	w.Holds(harness.Content{})
}

func killedWithinRules(t *testing.T, path string) {
	t.Helper()
	w := harness.New(t)
	filter := w.Filter("crashed", func(f *v1alpha1.MirrorFilter) {
		f.Spec.Rules = []v1alpha1.FilterRule{harness.Rule(1), harness.Rule(2), harness.Rule(3)}
	})
	w.Create(filter)
	held := w.Fault(fault.Fault{Kind: fault.Slow, Operation: "CreateTrafficMirrorFilterRule", Skip: 1, Delay: fault.Duration(time.Minute)})
	manager := start(t, w, path)
	harness.Poll(t, "two rules of three", func() int { return len(w.Content().Rules) }, func(n int) bool { return n == 2 })
	manager.kill()
	w.Cloud.Faults.Remove(held)

	start(t, w, path)
	harness.Ready(w, filter)
	var priorities []int
	for _, r := range w.Content().Rules {
		priorities = append(priorities, r.Priority)
	}
	harness.Same(t, "the rules' priorities", []int{1, 2, 3}, priorities)
	harness.Same(t, "the filters", 1, len(w.Content().Filters))
	w.Delete(filter)
	w.Gone(filter)
}

func logsNoKey(t *testing.T, path string) {
	t.Helper()
	w := harness.New(t)
	manager := start(t, w, path)
	filter, session := w.Pair("logged")
	w.Delete(session)
	w.Gone(session)
	w.Delete(filter)
	w.Gone(filter)
	manager.kill()
	for key, value := range w.Secret("any").Data {
		if (key == "secretKey" || key == "accessKey") && strings.Contains(manager.log.String(), string(value)) {
			t.Errorf("the log holds the %s", key)
		}
	}
	if manager.log.Len() == 0 {
		t.Error("the manager logged nothing")
	}
}
