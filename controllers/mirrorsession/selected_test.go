package mirrorsession

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"pgregory.net/rapid"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/controllers/cloud"
	"vpcmirror.io/operator/controllers/lifecycle"
)

// aged is a node that was made so many minutes after the first, with labels such as pool=web,zone=a.
func aged(name string, minutes int, with string) corev1.Node {
	has, err := labels.ConvertSelectorToLabelsMap(with)
	if err != nil {
		panic(err)
	}
	return corev1.Node{ObjectMeta: metav1.ObjectMeta{
		Name: name, Labels: has, CreationTimestamp: metav1.NewTime(time.Date(2026, 1, 1, 0, minutes, 0, 0, time.UTC)),
	}}
}

// selecting are selectors as kubectl takes them, of the first sources of a spec.
func selecting(texts ...string) (all []*nodeSelector) {
	for i, text := range texts {
		matches, err := labels.Parse(text)
		if err != nil {
			panic(err)
		}
		all = append(all, &nodeSelector{field: fmt.Sprintf("spec.sources[%d].nodeSelector", i), matches: matches})
	}
	return all
}

func TestWhichNodesSelectorsSelectAndInWhichOrder(t *testing.T) {
	nodes := []corev1.Node{
		aged("young", 9, "pool=web"), aged("old", 1, "pool=web,zone=a"), aged("twin", 1, "pool=web"), aged("db", 0, "pool=db"), aged("bare", 0, ""),
	}
	for name, c := range map[string]struct {
		by       []string
		mirrored []string
		want     string
		counts   []int
	}{
		"one label: the oldest first, then by name": {[]string{"pool=web"}, nil, "old/0 twin/0 young/0", []int{3}},
		"who is mirrored goes first":                {[]string{"pool=web"}, []string{"young", "db"}, "young/0 old/0 twin/0", []int{3}},
		"overlapping ones: each node once":          {[]string{"zone=a", "pool=web"}, nil, "old/0 twin/1 young/1", []int{1, 3}},
		"what a node must not have":                 {[]string{"pool notin (web)"}, nil, "bare/0 db/0", []int{2}},
		"a label that no node has":                  {[]string{"gpu"}, nil, "", []int{0}},
		"no selector":                               {nil, []string{"old"}, "", nil},
	} {
		t.Run(name, func(t *testing.T) {
			by := selecting(c.by...)
			var got []string
			for _, n := range selected(by, nodes, func(node string) bool { return slices.Contains(c.mirrored, node) }) {
				got = append(got, fmt.Sprintf("%s/%d", n.Name, slices.Index(by, n.by)))
			}
			same(t, "the nodes, each with its selector", c.want, strings.Join(got, " "))
			var counts []int
			for _, s := range by {
				counts = append(counts, s.selects)
			}
			same(t, "how many each selects", c.counts, counts)
		})
	}
}

// labelsDrawn are labels of a small world, so that they often meet.
func labelsDrawn() *rapid.Generator[map[string]string] {
	return rapid.MapOfN(rapid.SampledFrom([]string{"pool", "zone", "kubernetes.io/os"}), rapid.SampledFrom([]string{"", "a", "b"}), 0, 3)
}

func selectorDrawn() *rapid.Generator[*v1alpha1.NodeSelector] {
	return rapid.Custom(func(t *rapid.T) *v1alpha1.NodeSelector {
		out := &v1alpha1.NodeSelector{MatchLabels: map[string]v1alpha1.NodeLabelValue{}}
		for key, value := range labelsDrawn().Draw(t, "matchLabels") {
			out.MatchLabels[key] = v1alpha1.NodeLabelValue(value)
		}
		for i := range rapid.IntRange(0, 2).Draw(t, "matchExpressions") {
			r := v1alpha1.NodeRequirement{
				Key:      rapid.SampledFrom([]string{"pool", "zone", "kubernetes.io/os"}).Draw(t, fmt.Sprint("key ", i)),
				Operator: rapid.SampledFrom([]string{"In", "NotIn", "Exists", "DoesNotExist"}).Draw(t, fmt.Sprint("operator ", i)),
			}
			if strings.HasSuffix(r.Operator, "In") {
				r.Values = rapid.SliceOfN(rapid.SampledFrom([]v1alpha1.NodeLabelValue{"", "a", "b"}), 1, 2).Draw(t, fmt.Sprint("values ", i))
			}
			out.MatchExpressions = append(out.MatchExpressions, r)
		}
		return out
	})
}

// Who is mirrored must not lose his place to a newcomer as long as he is selected, and the order must not
// depend on how the cache hands nodes out.
func TestASelectedNodeThatIsMirroredStaysWhoeverComes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		by, err := selectorDrawn().Draw(t, "selector").Selector()
		if err != nil {
			t.Skip("it can't be stored")
		}
		draw := func(prefix string, count int) (out []corev1.Node) {
			for i := range count {
				n := aged(fmt.Sprint(prefix, i), rapid.IntRange(0, 3).Draw(t, "age"), "")
				n.Labels = labelsDrawn().Draw(t, "labels")
				out = append(out, n)
			}
			return out
		}
		room := rapid.IntRange(1, 4).Draw(t, "room")
		first := func(nodes []corev1.Node, mirrored []string) (names []string) {
			all := selected([]*nodeSelector{{matches: by}}, nodes, func(n string) bool { return slices.Contains(mirrored, n) })
			for _, n := range all[:min(room, len(all))] {
				names = append(names, n.Name)
			}
			return names
		}
		nodes := draw("n", rapid.IntRange(0, 6).Draw(t, "nodes"))
		mirrored := first(nodes, nil)
		for _, name := range mirrored {
			if i := slices.IndexFunc(nodes, func(n corev1.Node) bool { return n.Name == name }); !by.Matches(labels.Set(nodes[i].Labels)) {
				t.Fatalf("%s is selected, which has %v", name, nodes[i].Labels)
			}
		}
		more := rapid.Permutation(slices.Concat(nodes, draw("m", rapid.IntRange(0, 3).Draw(t, "newcomers")))).Draw(t, "order")
		then := first(more, mirrored)
		for _, name := range mirrored {
			if !slices.Contains(then, name) {
				t.Fatalf("%v were mirrored, and then %v", mirrored, then)
			}
		}
		if again := first(rapid.Permutation(more).Draw(t, "another order"), mirrored); !slices.Equal(then, again) {
			t.Fatalf("in another order %v became %v", then, again)
		}
	})
}

func TestOfManyProblemsOfNodesAFewAreSaidAndTheRestCounted(t *testing.T) {
	problems := func(count int) (all []*lifecycle.Problem) {
		for i := range count {
			all = append(all, lifecycle.Wait("R", "%d", i))
		}
		return all
	}
	for count, want := range map[int]string{
		0: "", 3: "0; 1; 2", 4: "0; 1; 2; the same goes for one more selected node", 100: "0; 1; 2; the same goes for 97 more selected nodes",
	} {
		got := ""
		if p := lifecycle.Diagnose(joined(few(problems(count)))); p != nil {
			got = p.Message
		}
		same(t, fmt.Sprint(count, " problems"), want, got)
	}
}

func TestWhatIsLeftOutIsNamedAndCounted(t *testing.T) {
	by := selecting("pool=web", "pool=db")
	by[0].selects, by[1].selects = 103, 1
	var left []selectedNode
	for i := range 5 {
		n := aged(fmt.Sprint("n", i), i, "")
		left = append(left, selectedNode{&n, by[0], true})
	}
	same(t, "of many", lifecycle.Stall(v1alpha1.ReasonTooManySources,
		"spec.sources[0].nodeSelector selects 103 nodes, spec.sources[1].nodeSelector selects 1 node, but a session copies from at most 100 interfaces: "+
			"5 nodes are left out, the youngest (n0, n1, n2, 2 more). Narrow the selection, and mirror the others by another MirrorSession"), tooMany(by, left, maxSources))
	by[1].selects, by[1].onTarget = 0, ""
	by[0].onTarget = "n9"
	same(t, "what selectors select", "spec.sources[0].nodeSelector (pool=web) selects 103 nodes, of which n9 is left out, being the target; "+
		"spec.sources[1].nodeSelector (pool=db) selects no node", selections(by))
}

func TestWhichServerANodeSaysItIs(t *testing.T) {
	const id = "5a1f0c7e-0000-4000-8000-0000000000c1"
	for providerID, want := range map[string]string{
		id:                                 id, // as nodes of CCE have it
		"huaweicloud://" + id:              id,
		"huaweicloud:///" + id:             id,
		strings.ToUpper(id):                id,
		"":                                 "",
		"huaweicloud:///cn-north-4a/" + id: "",
		"aws:///eu-west-1a/" + id:          "",
		"openstack:///" + id:               "",
		id + "/x":                          "",
		"kind://docker/lab/node":           "",
	} {
		same(t, providerID, want, serverOf(&corev1.Node{Spec: corev1.NodeSpec{ProviderID: providerID}}))
	}
}

func TestWhichInterfaceOfAServerIsTheNodes(t *testing.T) {
	on := func(id string, primary bool, addresses ...string) cloud.Interface {
		return cloud.Interface{ID: id, DeviceID: "s", Primary: primary, Addresses: ips(addresses...)}
	}
	for name, c := range map[string]struct {
		node []string
		all  []cloud.Interface
		want string
	}{
		"none where it has none":                           {[]string{"10.0.0.1"}, nil, ""},
		"the primary one, whatever addresses the node has": {[]string{"10.0.0.2"}, []cloud.Interface{on("a", true, "10.0.0.1"), on("b", false, "10.0.0.2")}, "a"},
		"the primary one of a node without an address":     {nil, []cloud.Interface{on("b", false, "10.0.0.2"), on("a", true, "10.0.0.1")}, "a"},
		"the only one": {nil, []cloud.Interface{on("a", false, "10.0.0.1")}, "a"},
		"where the cloud does not say, that with the address": {[]string{"10.0.0.2"}, []cloud.Interface{on("a", false, "10.0.0.1"), on("b", false, "10.0.0.2")}, "b"},
		"where it says two, that with the address":            {[]string{"10.0.0.2"}, []cloud.Interface{on("a", true, "10.0.0.1"), on("b", true, "10.0.0.2")}, "b"},
		"none of several where nothing tells":                 {nil, []cloud.Interface{on("a", false), on("b", false)}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			got := ""
			if one := primaryOf("s", ips(c.node...), c.all); one != nil {
				got = one.ID
			}
			same(t, "the interface", c.want, got)
		})
	}
}
