package interrupt

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

// act says what the test program does in place of the tests.
const act = "VPCMIRROR_TEST_INTERRUPT"

// tornDown is the exit code of the program after it has taken down what it has made.
const tornDown = 7

func TestMain(m *testing.M) {
	if os.Getenv(act) == "" {
		os.Exit(m.Run())
	}
	ctx, _ := Context(context.Background())
	if err := breakAConnection(); !errors.Is(err, syscall.EPIPE) {
		fmt.Fprintln(os.Stdout, "the connection is not broken:", err)
		os.Exit(1)
	}
	for tick := time.NewTicker(10 * time.Millisecond); ; {
		fmt.Fprintln(os.Stdout, "goes on") // fails where nobody reads it
		select {
		case <-ctx.Done():
			os.Exit(tornDown)
		case <-tick.C:
		}
	}
}

// breakAConnection writes to a connection that its other end has closed until that fails.
func breakAConnection() error {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	defer listener.Close()
	client, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		return err
	}
	defer client.Close()
	server, err := listener.Accept()
	if err != nil {
		return err
	}
	if err := errors.Join(server.(*net.TCPConn).SetLinger(0), server.Close()); err != nil {
		return err
	}
	for range 1000 { // the first write may be told that it was reset
		if _, err := client.Write([]byte("words")); errors.Is(err, syscall.EPIPE) {
			return err
		}
	}
	return errors.New("a thousand writes did not fail")
}

func TestAProgramEndsInOrderWhenItIsInterruptedOrNobodyReadsItAndNotByABrokenConnection(t *testing.T) {
	for name, end := range map[string]func(*exec.Cmd, io.Closer) error{
		"SIGINT":                  func(c *exec.Cmd, _ io.Closer) error { return c.Process.Signal(syscall.SIGINT) },
		"SIGTERM":                 func(c *exec.Cmd, _ io.Closer) error { return c.Process.Signal(syscall.SIGTERM) },
		"SIGHUP":                  func(c *exec.Cmd, _ io.Closer) error { return c.Process.Signal(syscall.SIGHUP) },
		"nobody reads its output": func(_ *exec.Cmd, output io.Closer) error { return output.Close() },
		"nobody reads, and a SIGHUP": func(c *exec.Cmd, output io.Closer) error {
			return errors.Join(output.Close(), c.Process.Signal(syscall.SIGHUP))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			command := exec.CommandContext(t.Context(), os.Args[0])
			command.Env = append(os.Environ(), act+"=1")
			output, err := command.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := command.Start(); err != nil {
				t.Fatal(err)
			}
			reader := bufio.NewReader(output)
			for range 5 { // long after the connection broke
				if line, err := reader.ReadString('\n'); err != nil || strings.TrimSpace(line) != "goes on" {
					t.Fatalf("it says %q: %v", line, err)
				}
			}
			if err := end(command, output); err != nil {
				t.Fatal(err)
			}
			if name != "nobody reads its output" { // else it stops where the pipe is full
				go func() { _, _ = io.Copy(io.Discard, output) }()
			}
			var exit *exec.ExitError
			if err := command.Wait(); !errors.As(err, &exit) || exit.ExitCode() != tornDown {
				t.Errorf("it ended with %v", err)
			}
		})
	}
}
