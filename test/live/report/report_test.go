package report

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"vpcmirror.io/operator/test/live/compare"
	"vpcmirror.io/operator/test/live/play"
)

func whole() *Report {
	return &Report{
		Mark: "vpcmirror-live-ABCDEFGHIJKL",
		Left: Side{Name: "simulator", Calls: 3, Latencies: []play.Latency{{Call: "GET quotas", Count: 1, Median: time.Millisecond, P95: time.Millisecond, Max: time.Millisecond}}},
		Right: Side{
			Name: "cloud", Calls: 4, Throttled: 1, Latencies: []play.Latency{{Call: "GET quotas", Count: 1, Median: 90 * time.Millisecond, P95: 95 * time.Millisecond, Max: 99 * time.Millisecond}},
			Waits: []play.Wait{{Step: "list filters until shown", After: 1234 * time.Millisecond, Looks: "later"}, {Step: "show filter until shown", Looks: "at once"}},
		},
		Cases: []Case{
			{Name: "sources-add-present", Differs: 1}, {Name: "filter-plain", Differs: 1}, {Name: "quotas"}, {Name: "sources-change", Skipped: "not asked: no source2 was given"},
		},
		Differences: []compare.Difference{
			{Cases: []string{"sources-add-present"}, Step: "add sources", Kind: compare.Status, Left: "200", Right: "409 VPC.9902 " + strings.Repeat("long ", 40), Explained: []string{"strict-sources"}},
			{Cases: []string{"filter-plain"}, Step: "create filter", Kind: compare.Field, Field: "traffic_mirror_filter.type", Left: `"eni"`, Right: compare.Absent},
			{Cases: []string{"filter-missing"}, Step: "show nothing1", Kind: compare.Message, Left: "no filter", Right: "not found"},
		},
	}
}

func TestTheTableSaysEachDifferenceAndWhetherItIsKnown(t *testing.T) {
	var out bytes.Buffer
	if err := whole().Text(&out); err != nil {
		t.Fatal(err)
	}
	want := `DIFFERENCE                                                   SIMULATOR  CLOUD                                                         CASES  WHAT IT IS
sources-add-present/add-sources:status                       200        409 VPC.9902 long long long long long long long lo...g long   1      known: strict-sources
filter-plain/create-filter:field:traffic_mirror_filter.type  "eni"      (absent)                                                      1      new

Messages with other words, which decide nothing:
  filter-missing/show-nothing1:message (1 case)
    simulator  no filter
    cloud      not found

1 case, not asked: no source2 was given: sources-change

CALL                            COUNT  SIMULATOR MEDIAN  P95  CLOUD MEDIAN  P95   MAX
GET quotas                      1      1ms               1ms  90ms          95ms  99ms
list filters until shown later                                                    1.234s

3 cases asked of simulator and cloud, 1 not asked; 2 answered differently: 2 differences, 1 of them known, 1 new; 1 of words alone.
simulator: 3 calls, 0 of them throttled.
cloud: 4 calls, 1 of them throttled.
Nothing with the mark vpcmirror-live-ABCDEFGHIJKL is left.
`
	if diff := cmp.Diff(strings.Split(want, "\n"), strings.Split(out.String(), "\n")); diff != "" {
		t.Errorf("the report (-want +got):\n%s", diff)
	}
}

func TestTheReportSaysWhatStoppedTheRunAndWhatIsLeft(t *testing.T) {
	r := whole()
	r.Stopped, r.Remains = "interrupted", "cloud: left in the account: traffic-mirror-filters x"
	var out bytes.Buffer
	if err := r.Text(&out); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"\nSTOPPED before the end: interrupted\n", "\nNOT CLEAN: cloud: left in the account: traffic-mirror-filters x\n"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("it does not say %q:\n%s", want, out.String())
		}
	}
	if strings.Contains(out.String(), "Nothing with the mark") {
		t.Error("it says that nothing is left")
	}
}

func TestTheFileIsReadAsItWasWritten(t *testing.T) {
	var out bytes.Buffer
	if err := whole().JSON(&out); err != nil {
		t.Fatal(err)
	}
	var got Report
	if err := json.Unmarshal(out.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(whole(), &got); diff != "" {
		t.Errorf("read again (-written +read):\n%s", diff)
	}
}
