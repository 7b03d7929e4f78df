// Package bounds_test shows that nothing which the servers of Secrets answer kills the
// manager: a process of its own reads what hostile servers say of many accounts, within the
// memory that the chart gives.
//
// It may import controllers/cloud, controllers/cloud/huawei and controllers/inventory.
package bounds_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"vpcmirror.io/operator/controllers/cloud"
	"vpcmirror.io/operator/controllers/cloud/huawei"
	"vpcmirror.io/operator/controllers/inventory"
)

// serverVariable makes the test's own program read everything from a server.
const serverVariable = "VPCMIRROR_BOUNDS_SERVER"

func TestMain(m *testing.M) {
	if server := os.Getenv(serverVariable); server != "" {
		if err := readEverything(server); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

const (
	accounts = 2000
	atOnce   = 128 // what two controllers with 4 workers for each server have
	// limit and goLimit are the chart's: manager.resources.limits.memory, manager.goMemLimit.
	limit, goLimit = 192 << 20, "150MiB"
)

func TestTwoThousandAccountsAndPagesOf15MiBStayWithinTheChartsMemory(t *testing.T) {
	server := httptest.NewServer(hostile())
	t.Cleanup(server.Close)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	child := exec.CommandContext(ctx, self)
	child.Env = append(os.Environ(), serverVariable+"="+server.URL, "GOMEMLIMIT="+goLimit)
	var said, complaint bytes.Buffer
	child.Stdout, child.Stderr = &said, &complaint
	started := time.Now()
	if err := child.Run(); err != nil {
		t.Fatalf("the process ended with %v: %s", err, complaint.String())
	}
	peak, err := strconv.Atoi(strings.TrimSpace(said.String()))
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d MiB at the most, in %s", peak>>20, time.Since(started).Round(time.Second))
	if peak >= limit {
		t.Errorf("it held %d MiB at its peak, the chart's limit is %d MiB", peak>>20, limit>>20)
	}
}

// readEverything reads the filters of every account, many at a time, as the reconcilers
// would, and prints how much memory the process held at its peak.
func readEverything(server string) error {
	factory := huawei.NewFactory(huawei.Options{CallsPerSecond: 1e6, Burst: 1e6})
	shared := inventory.New(time.Now)
	read := func(n int) (*inventory.Listed[cloud.Filter], error) {
		client, err := factory.New(context.Background(), cloud.Credentials{
			AccessKey: "ACCESSKEY1", SecretKey: "secretkey1", Region: "cn-north-4", ProjectID: fmt.Sprintf("%032x", n), Endpoint: server,
		})
		if err != nil {
			return nil, err
		}
		return shared.Filters(context.Background(), client, time.Now())
	}
	todo := make(chan int)
	var group sync.WaitGroup
	for range atOnce {
		group.Go(func() {
			for n := range todo {
				_, _ = read(n) // most are refused
			}
		})
	}
	for n := range accounts {
		todo <- n
	}
	close(todo)
	group.Wait()
	all, err := read(honest)
	if err != nil {
		return fmt.Errorf("an honest account: %w", err)
	}
	if n := len(all.All()); n != 1 {
		return fmt.Errorf("an honest account gives %d filters", n)
	}
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return err
	}
	peak := regexp.MustCompile(`VmHWM:\s+(\d+) kB`).FindSubmatch(status)
	if peak == nil {
		return fmt.Errorf("the kernel does not tell the peak: %s", status)
	}
	kilobytes, err := strconv.Atoi(string(peak[1]))
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(os.Stdout, kilobytes<<10)
	return err
}

// honest is the number of an account with one filter.
const honest = accounts + 1

// hostile is a server for all the accounts.
func hostile() http.Handler {
	filter := func(n, rules int) string {
		id := func(i int) string { return fmt.Sprintf("5a1f0c7e-0000-4000-8000-%012x", i) }
		rule := `{"id":"` + id(7) + `","direction":"ingress","protocol":"TCP","ethertype":"IPv4","action":"accept","priority":1,` +
			`"source_cidr_block":"192.168.0.161/32","destination_cidr_block":"192.168.0.230/32","destination_port_range":"1234-1234",` +
			`"description":"` + strings.Repeat("d", 200) + `"}`
		all := strings.TrimSuffix(strings.Repeat(rule+",", rules), ",")
		return `{"id":"` + id(n) + `","name":"n","ingress_rules":[` + all + `],"egress_rules":[]}`
	}
	page := func(objects []string, marker string) []byte {
		info := fmt.Sprintf(`,"page_info":{"current_count":%d`, len(objects))
		if marker != "" {
			info += `,"next_marker":"` + marker + `"`
		}
		return []byte(`{"traffic_mirror_filters":[` + strings.Join(objects, ",") + `]` + info + `}}`)
	}
	var many, few []string
	for n := range 190 {
		many = append(many, filter(n, 20))
	}
	for n := range 3200 {
		few = append(few, filter(n, 10))
	}
	large, plenty := page(few, ""), page(many, "") // 15 MiB, and as much as an honest page may hold
	bomb := []byte(`{"traffic_mirror_filters":[` + strings.Repeat("{},", 1_300_000) + `{}]}`)
	project := regexp.MustCompile(`/v3/([0-9a-f]{32})/`)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() { _, _ = io.Copy(io.Discard, r.Body) }()
		n, err := strconv.ParseUint(project.FindStringSubmatch(r.URL.Path)[1], 16, 32)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		send := func(body []byte, declared bool) {
			if declared {
				w.Header().Set("Content-Length", strconv.Itoa(len(body)))
			}
			for part := body; len(part) > 0; part = part[min(len(part), 64<<10):] {
				if _, err := w.Write(part[:min(len(part), 64<<10)]); err != nil {
					return
				}
			}
		}
		switch {
		case n == honest:
			send(page([]string{filter(1, 1)}, ""), true)
		case n%400 == 0: // a list without an end
			marker, _ := strconv.Atoi(r.URL.Query().Get("marker"))
			send(page(many[:100], strconv.Itoa(marker+1)), false)
		case n%10 == 1:
			send(bomb, n%20 == 1)
		case n%20 == 2:
			send(plenty, true)
		case n%20 == 3:
			send(large, false)
		default:
			send(large, true)
		}
	})
}
