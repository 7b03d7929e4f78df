package read

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/yaml"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/verifier/match"
	"vpcmirror.io/operator/controllers/verifier/vxlan"
)

// filter judges packets by the rules of a MirrorFilter, with the code that the live
// verifier uses.
type filter struct {
	list  []v1alpha1.Rule
	rules *match.Rules
}

// readFilter reads the one MirrorFilter of a manifest. The error is a sentence that
// names the file and the field.
func readFilter(path string) (*filter, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, err // it says what was done to which file
	}
	var found *v1alpha1.MirrorFilter
	documents := utilyaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(content)))
	for {
		document, err := documents.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		var kind metav1.TypeMeta
		if err := yaml.Unmarshal(document, &kind); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		if kind.Kind != "MirrorFilter" || kind.APIVersion != v1alpha1.GroupVersion.String() {
			continue
		}
		if found != nil {
			return nil, fmt.Errorf("%s has more than one MirrorFilter: leave one in it", path)
		}
		found = &v1alpha1.MirrorFilter{}
		if err := yaml.UnmarshalStrict(document, found); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
	}
	if found == nil {
		return nil, fmt.Errorf("%s has no MirrorFilter of %s: name a file that has one", path, v1alpha1.GroupVersion)
	}
	f, err := newFilter(&found.Spec)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return f, nil
}

func newFilter(spec *v1alpha1.MirrorFilterSpec) (*filter, error) {
	// No API server has looked at the file.
	for i := range spec.Rules {
		if a := spec.Rules[i].Action; a != v1alpha1.ActionAccept && a != v1alpha1.ActionReject {
			return nil, fmt.Errorf("spec.rules[%d].action is %q, it must be Accept or Reject", i, a)
		}
	}
	list, err := spec.ReadRules()
	if err != nil {
		return nil, err
	}
	rules, err := match.Compile(list)
	if err != nil {
		return nil, fmt.Errorf("spec.rules: %w", err)
	}
	return &filter{list: list, rules: rules}, nil
}

// judge counts a packet of a stream by what the rules say, in the words of the status.
func (f *filter) judge(s *streamCount, result match.Result, bytes uint64) {
	switch result.Verdict {
	case match.Accepted:
		s.judged.Accepted++
		s.judged.AcceptedBytes += bytes
	case match.Unexpected, match.NotIP:
		s.judged.Unexpected++
	case match.Undecidable, match.Malformed, match.DirectionUnknown:
		s.judged.Undecided++
	}
	if result.Rule >= 0 {
		s.judged.Rules[result.Rule]++
	}
}

// judgeUsual is judge for a packet of the commonest form.
func (f *filter) judgeUsual(s *streamCount, d match.Direction, u *vxlan.Usual) {
	result := match.Result{Verdict: match.DirectionUnknown, Rule: match.NoRule}
	if d != match.Unknown {
		result.Verdict, result.Rule = f.rules.CheckUsual(d, u)
	}
	f.judge(s, result, uint64(u.InnerLength()))
}

// report adds up what the streams say of each rule.
func (f *filter) report(streams []Stream) []Rule {
	out := make([]Rule, len(f.list))
	for i, r := range f.list {
		out[i] = Rule{Direction: string(r.Direction), Priority: r.Priority, Accept: r.Accept}
		for _, s := range streams {
			out[i].Packets += s.Judged.Rules[i]
		}
	}
	return out
}
