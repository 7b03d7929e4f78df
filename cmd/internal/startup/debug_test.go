package startup_test

import (
	"bytes"
	"context"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/pflag"

	"vpcmirror.io/operator/cmd/internal/startup"
)

func TestProfilesAreServedOnTheLoopbackInterfaceAlone(t *testing.T) {
	const give = "give an address of the loopback interface with a port, such as 127.0.0.1:6060 or [::1]:6060; 0 switches it off"
	for name, c := range map[string]struct{ args, want, sentence string }{
		"nowhere by default":                  {"", "0", ""},
		"nowhere where it is switched off":    {"0", "0", ""},
		"at an address of it":                 {"127.0.0.1:6060", "127.0.0.1:6060", ""},
		"at any address of it":                {"127.8.9.10:6060", "127.8.9.10:6060", ""},
		"at that of IPv6":                     {"[::1]:6060", "[::1]:6060", ""},
		"at what its name means":              {"localhost:6060", "127.0.0.1:6060", ""},
		"not at all addresses":                {":6060", "", `player: --debug-bind-address=":6060": ` + give},
		"not at all addresses, by number":     {"0.0.0.0:6060", "", `player: --debug-bind-address="0.0.0.0:6060": ` + give},
		"not at all of IPv6":                  {"[::]:6060", "", `player: --debug-bind-address="[::]:6060": ` + give},
		"not at an address of the network":    {"10.0.0.1:6060", "", `player: --debug-bind-address="10.0.0.1:6060": ` + give},
		"not at one that looks like loopback": {"[::ffff:10.0.0.1]:6060", "", `player: --debug-bind-address="[::ffff:10.0.0.1]:6060": ` + give},
		"not at a name":                       {"debug.example.com:6060", "", `player: --debug-bind-address="debug.example.com:6060": ` + give},
		"not at an unknown port":              {"127.0.0.1:0", "", `player: --debug-bind-address="127.0.0.1:0": ` + give},
		"not without a port":                  {"127.0.0.1", "", `player: --debug-bind-address="127.0.0.1": ` + give},
		"not at a port alone":                 {"6060", "", `player: --debug-bind-address="6060": ` + give},
	} {
		t.Run(name, func(t *testing.T) {
			var debug startup.Debug
			flags := startup.Flags("Flags")
			debug.Add(flags)
			var args []string
			if c.args != "" {
				args = []string{"--debug-bind-address=" + c.args}
			}
			var stderr bytes.Buffer
			exit := startup.Command{
				Name: "player", Flags: []*pflag.FlagSet{flags}, Check: func() error { return nil }, Run: func(context.Context) error { return nil },
			}.Main(args, &bytes.Buffer{}, &stderr)
			if c.sentence != "" {
				want := outcome{2, "", c.sentence + "; see player --help\n"}
				if diff := cmp.Diff(want, outcome{exit, "", stderr.String()}); diff != "" {
					t.Errorf("(-want +got):\n%s", diff)
				}
				return
			}
			if exit != 0 || debug.Address != c.want {
				t.Errorf("exit code %d, address %q: %s", exit, debug.Address, stderr.String())
			}
		})
	}
}
