// Package need says what a test needs of the machine, and skips the test with one
// clear sentence when it isn't there. Where a skipped test would mean that nobody
// noticed (in CI), it fails the test instead: set VPCMIRROR_NO_SKIPS=1.
//
// It may import nothing of ours: the tests of every layer use it.
package need

import (
	"os"
	"os/exec"
	"testing"
)

// noSkips is the variable that turns each skip into a failure.
const noSkips = "VPCMIRROR_NO_SKIPS"

// packages names the Debian package of each program that our tests call.
var packages = map[string]string{
	"ip": "iproute2", "tc": "iproute2", "ss": "iproute2", "bridge": "iproute2",
	"nft": "nftables", "tcpdump": "tcpdump", "nc": "netcat-openbsd",
	"ethtool": "ethtool", "nsenter": "util-linux", "unshare": "util-linux", "setpriv": "util-linux",
	"suricata":   "suricata (on Debian 12 from its backports)",
	"prometheus": "prometheus", "promtool": "prometheus",
}

// Root skips the test unless it runs as root: network namespaces and packet
// sockets need it.
func Root(t testing.TB) {
	t.Helper()
	if os.Geteuid() != 0 {
		Skip(t, "it makes network namespaces and needs root: run it with sudo")
	}
}

// Tool skips the test unless the program is on PATH, and names the Debian package
// that has it. It returns the program's path.
func Tool(t testing.TB, program string) string {
	t.Helper()
	path, err := exec.LookPath(program)
	if err == nil {
		return path
	}
	remedy := "install it"
	if debian, known := packages[program]; known {
		remedy = "apt-get install " + debian
	}
	Skip(t, "it needs the program "+program+": "+remedy)
	return ""
}

// Skip ends the test as skipped for the reason given, or as failed where skips are
// forbidden.
func Skip(t testing.TB, reason string) {
	t.Helper()
	if os.Getenv(noSkips) != "" {
		t.Fatalf("skipped tests are forbidden here (%s is set), and this one would be: %s", noSkips, reason)
	}
	t.Skip(reason)
}
