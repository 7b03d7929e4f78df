package startup

import (
	"errors"
	"net"
	"net/netip"

	"github.com/spf13/pflag"
)

// Debug is where a program serves the profiles of net/http/pprof, "0" for nowhere. It is an
// address of the loopback interface: whoever reaches it reads the memory of the process,
// with the keys that are in it, and can keep the process busy.
type Debug struct{ Address string }

// Add adds the flag.
func (d *Debug) Add(flags *pflag.FlagSet) {
	d.Address = "0"
	flags.Var((*loopback)(&d.Address), "debug-bind-address",
		"`address` of the loopback interface, such as 127.0.0.1:6060, for profiles of Go at /debug/pprof/; 0 switches them off")
}

// loopback is a flag's value that no other machine can reach.
type loopback string

// String is the value as it is used.
func (l *loopback) String() string { return string(*l) }

// Type names what values.
func (l *loopback) Type() string { return "loopback" }

// Set takes what nobody outside of this host, or of this pod, can reach. A name is none but
// localhost, which is taken for what it means: who answers for names could say another.
func (l *loopback) Set(value string) error {
	if value == "0" || value == "" {
		*l = "0"
		return nil
	}
	host, port, err := net.SplitHostPort(value)
	if err != nil {
		return err
	}
	if host == "localhost" {
		host = "127.0.0.1"
	}
	address, err := netip.ParseAddrPort(net.JoinHostPort(host, port))
	if err != nil {
		return err
	}
	if !address.Addr().Unmap().IsLoopback() || address.Port() == 0 {
		return errors.New("it is no address of the loopback interface with a port")
	}
	*l = loopback(address.String())
	return nil
}
