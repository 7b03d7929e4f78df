// Command probe is the image that the test of the lab runs in pods:
//
//	probe            says with which capabilities it runs, opens a packet socket on eth0,
//	                 and says each VXLAN copy that comes
//	probe URL...     says the status that each URL answers with
//
// It may import nothing of ours.
package main

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

func main() {
	asked := make(chan os.Signal, 1)
	signal.Notify(asked, syscall.SIGTERM, syscall.SIGINT)
	var err error
	if len(os.Args) > 1 {
		err = reach(os.Args[1:])
	} else if err = probe(); err == nil {
		<-asked
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "probe:", err)
		os.Exit(1)
	}
}

// authorityFile is where a pod finds what the API server's certificate is signed by.
const authorityFile = "/var/run/secrets/kubernetes.io/serviceaccount/ca.crt"

// reach asks each URL once.
func reach(urls []string) error {
	authority, err := os.ReadFile(authorityFile)
	if err != nil {
		return fmt.Errorf("read the cluster's authority: %w", err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(authority)
	client := &http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}}
	for _, url := range urls {
		answer, err := client.Get(url)
		if err != nil {
			return fmt.Errorf("reach it: %w", err)
		}
		if err := answer.Body.Close(); err != nil {
			return fmt.Errorf("read the answer of %s: %w", url, err)
		}
		fmt.Fprintf(os.Stdout, "%s answers %d\n", url, answer.StatusCode)
	}
	return nil
}

func probe() error {
	effective, err := capabilities()
	if err != nil {
		return err
	}
	link, err := net.InterfaceByName("eth0")
	if err != nil {
		return fmt.Errorf("find eth0, which the pod sees with hostNetwork: %w", err)
	}
	protocol := binary.NativeEndian.Uint16(binary.BigEndian.AppendUint16(nil, unix.ETH_P_IP))
	socket, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, int(protocol))
	if err != nil {
		return fmt.Errorf("open a packet socket (it needs CAP_NET_RAW): %w", err)
	}
	if err := unix.Bind(socket, &unix.SockaddrLinklayer{Protocol: protocol, Ifindex: link.Index}); err != nil {
		return fmt.Errorf("bind the packet socket to eth0: %w", err)
	}
	fmt.Fprintf(os.Stdout, "capabilities %s, listening on eth0 %s\n", effective, link.HardwareAddr)
	go listen(socket)
	return nil
}

// capabilities returns the effective set as the kernel writes it.
func capabilities() (string, error) {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return "", fmt.Errorf("read the own capabilities: %w", err)
	}
	for line := range strings.Lines(string(status)) {
		if value, found := strings.CutPrefix(line, "CapEff:"); found {
			return strings.TrimSpace(value), nil
		}
	}
	return "", errors.New("/proc/self/status has no line CapEff")
}

// The offsets of an IPv4 header without options, which is what the simulated cloud
// sends, in an Ethernet frame.
const (
	protocolAt, sourceAt, portAt, vniAt = 23, 26, 36, 46
	vxlanPort                           = 4789
)

func listen(socket int) {
	frame := make([]byte, 64<<10)
	for {
		n, _, err := unix.Recvfrom(socket, frame, 0)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, "probe: receive:", err)
			os.Exit(1)
		}
		if n < vniAt+4 || frame[protocolAt] != unix.IPPROTO_UDP || binary.BigEndian.Uint16(frame[portAt:]) != vxlanPort {
			continue
		}
		fmt.Fprintf(os.Stdout, "copy from %s, VNI %d, %d bytes\n", net.IP(frame[sourceAt:sourceAt+4]), binary.BigEndian.Uint32(frame[vniAt:])>>8, n)
	}
}
