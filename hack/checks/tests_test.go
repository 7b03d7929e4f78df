package main

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// events is what `go test -json` says of one package with a good, a skipped and a
// bad test, one without tests, and one that doesn't build.
const events = `
{"Action":"start","Package":"vpcmirror.io/operator/a"}
{"Action":"output","Package":"vpcmirror.io/operator/a","Test":"TestGood","Output":"=== RUN   TestGood\n"}
{"Action":"output","Package":"vpcmirror.io/operator/a","Test":"TestGood","Output":"    a_test.go:3: not shown\n"}
{"Action":"output","Package":"vpcmirror.io/operator/a","Test":"TestGood","Output":"    a_test.go:4: Result: 3 of 3\n"}
{"Action":"pass","Package":"vpcmirror.io/operator/a","Test":"TestGood","Elapsed":0.1}
{"Action":"output","Package":"vpcmirror.io/operator/a","Test":"TestNeedy","Output":"=== RUN   TestNeedy\n"}
{"Action":"output","Package":"vpcmirror.io/operator/a","Test":"TestNeedy","Output":"    a_test.go:7: it needs root\n"}
{"Action":"output","Package":"vpcmirror.io/operator/a","Test":"TestNeedy","Output":"--- SKIP: TestNeedy (0.00s)\n"}
{"Action":"skip","Package":"vpcmirror.io/operator/a","Test":"TestNeedy","Elapsed":0}
{"Action":"output","Package":"vpcmirror.io/operator/a","Test":"TestBad","Output":"=== RUN   TestBad\n"}
{"Action":"output","Package":"vpcmirror.io/operator/a","Test":"TestBad","Output":"    a_test.go:11: 1 is not 2\n"}
{"Action":"fail","Package":"vpcmirror.io/operator/a","Test":"TestBad","Elapsed":0.25}
{"Action":"output","Package":"vpcmirror.io/operator/a","Output":"FAIL\n"}
{"Action":"fail","Package":"vpcmirror.io/operator/a","Elapsed":0.5}
{"Action":"output","Package":"vpcmirror.io/operator/b","Output":"?   \tb\t[no test files]\n"}
{"Action":"skip","Package":"vpcmirror.io/operator/b","Elapsed":0}
{"ImportPath":"vpcmirror.io/operator/c","Action":"build-output","Output":"c/c.go:1:1: undefined: x\n"}
{"ImportPath":"vpcmirror.io/operator/c","Action":"build-fail"}
{"Action":"fail","Package":"vpcmirror.io/operator/c","Elapsed":0,"FailedBuild":"vpcmirror.io/operator/c"}
somebody's words
{"Action":"output","Package":"vpcmirror.io/operator/d","Test":"TestHung","Output":"panic: test timed out\n"}
{"Action":"fail","Package":"vpcmirror.io/operator/d","Elapsed":9}
{"Action":"pass","Package":"vpcmirror.io/operator/e","Elapsed":1}
`

func TestTheSummaryTellsWhatFailedAndWhatWasSkipped(t *testing.T) {
	var out bytes.Buffer
	r := newReport(&out)
	if err := r.read(strings.NewReader(strings.TrimPrefix(events, "\n"))); err != nil {
		t.Fatal(err)
	}
	r.summary(12*time.Second + 345*time.Millisecond)
	const want = `      a: 3 of 3
--- FAIL: a: TestBad (0.25s)
    a_test.go:11: 1 is not 2
FAIL
FAIL  a                                                0.50s
c/c.go:1:1: undefined: x
FAIL  c                                                0.00s
somebody's words
panic: test timed out
FAIL  d                                                9.00s
ok    e                                                1.00s

Slowest packages:
     9.00s  d
     1.00s  e

Skipped:
  a: TestNeedy: it needs root

Failed:
  a: TestBad
  c: it doesn't build, or ended outside of a test
  d: it doesn't build, or ended outside of a test

1 passed, 1 failed, 1 skipped (tests and their parts) in 12s
`
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Errorf("output (-want +got):\n%s", diff)
	}
}
