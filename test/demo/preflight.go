package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"

	"vpcmirror.io/operator/test/cloudsim/dataplane/netns"
	"vpcmirror.io/operator/test/env"
)

// checkMachine finds out what is missing before anything is started, and says it in one
// sentence.
func (d *demo) checkMachine(context.Context) error {
	assets, err := env.Assets()
	if err != nil {
		return err
	}
	d.kubectl = filepath.Join(assets, "kubectl")
	for _, name := range []string{"manager", "verifier", "kubectl-mirror", "cloudsim"} {
		if _, err := os.Stat(filepath.Join(d.programs, name)); err != nil {
			return fmt.Errorf("%s is not in %s: run make build", name, d.shown(d.programs))
		}
	}
	if err := checkPort(d.cloudPort); err != nil {
		return err
	}
	if err := inThrowawayNamespace(tryKernel); err != nil {
		return err
	}
	d.say("Linux %s as root; network namespaces, TAP devices, nf_tables and packet sockets work", kernelRelease())
	d.say("port %d is free; kubectl, etcd and kube-apiserver are in %s", d.cloudPort, d.shown(assets))
	return nil
}

func checkPort(port int) error {
	address := net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	listener, err := net.Listen("tcp", address)
	if errors.Is(err, syscall.EADDRINUSE) {
		return fmt.Errorf("%s is taken by another program, and the simulated cloud needs it: stop that program (ss -ltnp shows it), or choose another port with --cloud-port (make demo DEMO_FLAGS=--cloud-port=8700)", address)
	}
	if err != nil {
		return fmt.Errorf("listening on %s, where the simulated cloud will be: %w", address, err)
	}
	return listener.Close()
}

// inThrowawayNamespace runs f on a thread in a new network namespace, which is gone
// when the thread ends.
func inThrowawayNamespace(f func() error) error {
	result := make(chan error, 1)
	go func() {
		// Never unlocked: the runtime ends the thread together with this goroutine.
		runtime.LockOSThread()
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			result <- fmt.Errorf("making a network namespace: %w", netns.Needs("CAP_SYS_ADMIN", err))
			return
		}
		result <- f()
	}()
	return <-result
}

// tryKernel tries what the demo needs of the kernel.
func tryKernel() error {
	for _, try := range []func() error{tryTAP, tryCounters, tryPacketSocket} {
		if err := try(); err != nil {
			return err
		}
	}
	return nil
}

func tryTAP() error {
	fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("opening /dev/net/tun, which the simulated network needs: %w: load it (modprobe tun), or give the container the device", err)
	}
	defer unix.Close(fd)
	request, err := unix.NewIfreq("try0")
	if err == nil {
		request.SetUint16(unix.IFF_TAP | unix.IFF_NO_PI)
		err = unix.IoctlIfreq(fd, unix.TUNSETIFF, request)
	}
	if err != nil {
		return fmt.Errorf("making a TAP device, which the simulated network needs: %w", netns.Needs("CAP_NET_ADMIN", err))
	}
	return nil
}

func tryCounters() error {
	conn, err := nftables.New()
	if err == nil {
		table := conn.AddTable(&nftables.Table{Family: nftables.TableFamilyIPv4, Name: "try"})
		chain := conn.AddChain(&nftables.Chain{
			Name: "try", Table: table, Type: nftables.ChainTypeFilter,
			Hooknum: nftables.ChainHookPrerouting, Priority: nftables.ChainPriorityRaw,
		})
		conn.AddRule(&nftables.Rule{Table: table, Chain: chain, Exprs: []expr.Any{&expr.Counter{}}})
		err = conn.Flush()
	}
	if err != nil {
		return fmt.Errorf("counting packets with the kernel's nftables: %w: load it (modprobe nf_tables), or use a kernel that has CONFIG_NF_TABLES", err)
	}
	return nil
}

func tryPacketSocket() error {
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("opening a packet socket, with which the verifier captures: %w", netns.Needs("CAP_NET_RAW", err))
	}
	return unix.Close(fd)
}

func kernelRelease() string {
	content, err := os.ReadFile("/proc/sys/kernel/osrelease")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(content))
}
