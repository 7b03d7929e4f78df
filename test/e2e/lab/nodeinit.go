package lab

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"vpcmirror.io/operator/test/cloudsim/dataplane/netns"
)

// nodeArgument tells a program that uses this package that it was started as the first
// process of a node.
const nodeArgument = "vpcmirror-lab-node"

// A node's first process is the same program that called Up, started again: nothing has
// to be installed. It must not become that program, so this is decided here, before
// main or a test begins.
func init() {
	if len(os.Args) == 3 && os.Args[1] == nodeArgument {
		fmt.Fprintln(os.Stderr, "node:", runNode(os.Args[2]))
		os.Exit(1)
	}
}

// nodePlan is what the first process of a node does, as it finds it in a file.
type nodePlan struct {
	Hostname   string
	Mounts     []mount
	Containerd service
	// APIServer is a URL that answers once kubelet can register, and Authority the file
	// with the certificate to check it by.
	APIServer, Authority string
	Kubernetes           []service
}

type mount struct{ From, To string }

// service is a program that a node keeps running.
type service struct {
	Name, Program string
	Args          []string
	Log           string
}

const containerdSocket = "/run/containerd/containerd.sock"

// runNode never returns without an error. What it mounted and started ends with it.
func runNode(planFile string) error {
	ended := make(chan os.Signal, 1)
	signal.Notify(ended, syscall.SIGTERM, syscall.SIGINT)
	go func() {
		<-ended
		os.Exit(0) // the kernel kills everything else of the PID namespace
	}()
	content, err := os.ReadFile(planFile)
	if err != nil {
		return fmt.Errorf("read the plan: %w", err)
	}
	var plan nodePlan
	if err := json.Unmarshal(content, &plan); err != nil {
		return fmt.Errorf("read the plan %s: %w", planFile, err)
	}
	if err := unix.Sethostname([]byte(plan.Hostname)); err != nil {
		return fmt.Errorf("set the hostname: %w", err)
	}
	if err := mountAll(plan.Mounts); err != nil {
		return err
	}
	services := &supervisor{running: map[int]service{}}
	if err := services.start(plan.Containerd); err != nil {
		return err
	}
	go services.startRest(plan)
	return services.watch()
}

// mountAll gives the node its own version of the standard paths.
func mountAll(mounts []mount) error {
	// Nothing mounted here may reach the machine; pods may see what kubelet mounts.
	for _, propagation := range []uintptr{unix.MS_SLAVE, unix.MS_SHARED} {
		if err := unix.Mount("", "/", "", unix.MS_REC|propagation, ""); err != nil {
			return fmt.Errorf("keep the node's mounts to itself: %w", err)
		}
	}
	for _, m := range mounts {
		if err := unix.Mount(m.From, m.To, "", unix.MS_BIND, ""); err != nil {
			return fmt.Errorf("mount %s on %s: %w", m.From, m.To, err)
		}
		// Out of the group of the file system below: else each mount in it is made twice.
		for _, propagation := range []uintptr{unix.MS_PRIVATE, unix.MS_SHARED} {
			if err := unix.Mount("", m.To, "", propagation, ""); err != nil {
				return fmt.Errorf("set the propagation of %s: %w", m.To, err)
			}
		}
	}
	// Else network namespaces of pods would stay behind on the machine.
	if err := unix.Mount("tmpfs", netns.Directory, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=755"); err != nil {
		return fmt.Errorf("mount %s: %w", netns.Directory, err)
	}
	if err := unix.Mount("proc", "/proc", "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, ""); err != nil {
		return fmt.Errorf("mount /proc: %w", err)
	}
	return nil
}

// supervisor keeps services running, as systemd does on a server.
type supervisor struct {
	mu      sync.Mutex
	running map[int]service
}

func (s *supervisor) start(one service) error {
	program, err := exec.LookPath(one.Program)
	if err != nil {
		return fmt.Errorf("find %s: %w", one.Name, err)
	}
	log, err := os.OpenFile(one.Log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return fmt.Errorf("open the log of %s: %w", one.Name, err)
	}
	defer log.Close()
	null, err := os.Open(os.DevNull)
	if err != nil {
		return fmt.Errorf("open %s: %w", os.DevNull, err)
	}
	defer null.Close()
	s.mu.Lock()
	defer s.mu.Unlock()
	started, err := os.StartProcess(program, append([]string{program}, one.Args...), &os.ProcAttr{
		Files: []*os.File{null, log, log}, Env: os.Environ(),
	})
	if err != nil {
		return fmt.Errorf("start %s: %w", one.Name, err)
	}
	s.running[started.Pid] = one
	return started.Release()
}

// restartPause keeps a service that fails at once from using up the machine.
const restartPause = time.Second

// watch reaps every process that ends, as the first process of a PID namespace has to,
// and starts services again.
func (s *supervisor) watch() error {
	for {
		var status unix.WaitStatus
		pid, err := unix.Wait4(-1, &status, 0, nil)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return fmt.Errorf("wait for processes to end: %w", err)
		}
		s.mu.Lock()
		one, ours := s.running[pid]
		delete(s.running, pid)
		s.mu.Unlock()
		if !ours {
			continue
		}
		fmt.Fprintf(os.Stderr, "node: %s ended (status %d, signal %v), it is started again\n", one.Name, status.ExitStatus(), status.Signal())
		time.AfterFunc(restartPause, func() {
			if err := s.start(one); err != nil {
				fmt.Fprintln(os.Stderr, "node:", err)
				os.Exit(1)
			}
		})
	}
}

// containerdPatience bounds containerd's start, apiServerGrace the wait for an API
// server: when it is late, kubelet goes on trying by itself.
const (
	containerdPatience = time.Minute
	apiServerGrace     = 20 * time.Second
)

// startRest starts Kubernetes once containerd and the API server answer.
func (s *supervisor) startRest(plan nodePlan) {
	err := poll(context.Background(), containerdPatience, 20*time.Millisecond, "containerd answers", func() error {
		c, err := net.Dial("unix", containerdSocket)
		if err == nil {
			err = c.Close()
		}
		return err
	})
	if err == nil {
		if late := waitForAPIServer(plan); late != nil {
			fmt.Fprintln(os.Stderr, "node: going on without the API server:", late)
		}
	}
	for _, one := range plan.Kubernetes {
		if err == nil {
			err = s.start(one)
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "node:", err)
		os.Exit(1)
	}
}

// waitForAPIServer saves kubelet its first, failing attempts, after which it would wait
// longer and longer.
func waitForAPIServer(plan nodePlan) error {
	authority, err := os.ReadFile(plan.Authority)
	if err != nil {
		return err
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(authority)
	client := &http.Client{
		Timeout:   dialTimeout,
		Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}, DisableKeepAlives: true},
	}
	return poll(context.Background(), apiServerGrace, 100*time.Millisecond, "the API server is ready", func() error {
		answer, err := client.Get(plan.APIServer)
		if err != nil {
			return err
		}
		defer answer.Body.Close()
		if answer.StatusCode != http.StatusOK {
			return fmt.Errorf("it says %s", answer.Status)
		}
		return nil
	})
}
