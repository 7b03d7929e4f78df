package tail

import (
	"bytes"
	"strings"
	"testing"

	"vpcmirror.io/operator/controllers/verifier/tally"
)

func TestWhatIsMissingIsSaidWhereItIs(t *testing.T) {
	c := &tally.Copy{Own: make([]byte, 22), Length: 64}
	const said = "-- 7 copies are missing here: they came faster than they were read\n"
	if line := string(View{}.record(c, nil, true, 4789, 7)); !strings.HasPrefix(line, said) {
		t.Errorf("before a line: %q", line)
	}
	if line := string(View{}.record(c, nil, true, 4789, 0)); strings.Contains(line, "missing") {
		t.Errorf("nothing is missing before a line: %q", line)
	}
	// epb_dropcount: option 4 with 8 bytes.
	option := []byte{4, 0, 8, 0, 7, 0, 0, 0, 0, 0, 0, 0}
	if block := (View{Pcapng: true}).record(c, nil, true, 4789, 7); !bytes.Contains(block, option) {
		t.Errorf("no count of what is missing in %x", block)
	}
}
