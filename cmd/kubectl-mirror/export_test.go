package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/netip"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	rbacv1 "k8s.io/api/rbac/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"vpcmirror.io/operator/api/v1alpha1"
	"vpcmirror.io/operator/test/cloudsim/fault"
	"vpcmirror.io/operator/test/cloudsim/journal"
	"vpcmirror.io/operator/test/cloudsim/proxy"
	"vpcmirror.io/operator/test/cloudsim/scenario"
	"vpcmirror.io/operator/test/cloudsim/state"
	"vpcmirror.io/operator/test/env"
	"vpcmirror.io/operator/test/integration/harness"
)

// exported runs the program for the world's account.
func exported(t *testing.T, w *harness.World, args ...string) outcome {
	t.Helper()
	got := play(t, w.Cluster.Kubeconfig, append([]string{"export", "--credentials", harness.SecretName, "-n", w.Namespace, "--allow-endpoint", w.Cloud.URL}, args...)...)
	for _, secret := range []string{scenario.WalkthroughSecretKey, scenario.WalkthroughAccessKey} {
		if strings.Contains(got.Stdout+got.Stderr, secret) {
			t.Errorf("it tells a key: %+v", got)
		}
	}
	got.Stdout, got.Stderr = strings.ReplaceAll(got.Stdout, w.Namespace, "NS"), strings.ReplaceAll(got.Stderr, w.Namespace, "NS")
	return got
}

// kubectlApply applies manifests as a person does, with the API server's strict validation.
func kubectlApply(t *testing.T, w *harness.World, manifests string) {
	t.Helper()
	kubectl := exec.CommandContext(t.Context(), filepath.Join(os.Getenv("KUBEBUILDER_ASSETS"), "kubectl"), "apply", "--validate=strict", "-f", "-")
	kubectl.Env = []string{"KUBECONFIG=" + w.Cluster.Kubeconfig, "HOME=" + t.TempDir()}
	kubectl.Stdin = strings.NewReader(strings.ReplaceAll(manifests, "NS", w.Namespace))
	if out, err := kubectl.CombinedOutput(); err != nil {
		t.Fatalf("kubectl apply: %v\n%s\nof\n%s", err, out, manifests)
	}
}

// objects are all of the namespace.
func objects(t *testing.T, w *harness.World) (filters v1alpha1.MirrorFilterList, sessions v1alpha1.MirrorSessionList) {
	t.Helper()
	for _, list := range []client.ObjectList{&filters, &sessions} {
		if err := w.Cluster.Client.List(t.Context(), list, client.InNamespace(w.Namespace)); err != nil {
			t.Fatal(err)
		}
	}
	return filters, sessions
}

// allReady waits until every object of the namespace is.
func allReady(t *testing.T, w *harness.World) (filters v1alpha1.MirrorFilterList, sessions v1alpha1.MirrorSessionList) {
	t.Helper()
	filters, sessions = objects(t, w)
	for i := range filters.Items {
		harness.Ready(w, &filters.Items[i])
	}
	for i := range sessions.Items {
		harness.Ready(w, &sessions.Items[i])
	}
	return objects(t, w)
}

// foreign fills the cloud with filters and sessions of all kinds, as others have made them.
type foreign struct {
	*rand.Rand
	world *state.World
	made  int
}

func (f *foreign) id() string {
	f.made++
	return fmt.Sprintf("%08x-0000-4000-8000-%012d", f.Uint32(), f.made)
}

func pick[T any](f *foreign, from ...T) T { return from[f.IntN(len(from))] }

func (f *foreign) text() string {
	return pick(f, "", "by Terraform", " blanks at the ends ", "镜像: 'a' \"b\" #c", strings.Repeat("a", 197), strings.Repeat("镜", 65), strings.Repeat("镜", 85), "- [x]: {y}", "odd:\t\n\x00\x1b\x7f\u2028\ufeff.")
}

func (f *foreign) name() string { return pick(f, "tf-web", "TF_Web", "web.1", "镜像", "-", "0") }

func (f *foreign) filter() string {
	id, at := f.id(), time.Now().UTC()
	f.world.Filters[id] = state.Filter{ID: id, ProjectID: scenario.WalkthroughProject, Name: f.name(), Description: f.text(), CreatedAt: at, UpdatedAt: at}
	for _, direction := range []string{state.Ingress, state.Egress} {
		for priority := range f.IntN(5) {
			f.rule(id, direction, 1+10*priority+f.IntN(10))
		}
	}
	return id
}

func (f *foreign) rule(filter, direction string, priority int) {
	r := harness.CloudRule(priority)
	r.ID, r.FilterID, r.ProjectID, r.Direction = f.id(), filter, scenario.WalkthroughProject, direction
	r.Action, r.Description = pick(f, "accept", "reject"), pick(f, "", "a rule", "镜像", "a < b")
	r.EtherType = pick(f, "IPv4", "IPv6")
	cidrs := []string{"", "0.0.0.0/0", "10.0.0.0/8", "192.168.0.161/32", "10.1.2.3/16"}
	r.Protocol = pick(f, "TCP", "udp", "ALL", "ICMP")
	if r.EtherType == "IPv6" {
		cidrs = []string{"", "::/0", "2001:db8::/64"}
		r.Protocol = pick(f, "tcp", "UDP", "all", "ICMPV6")
	}
	r.SourceCIDR, r.DestinationCIDR = pick(f, cidrs...), pick(f, cidrs...)
	r.SourcePortRange, r.DestinationPortRange = "", ""
	if strings.EqualFold(r.Protocol, "TCP") || strings.EqualFold(r.Protocol, "UDP") {
		r.SourcePortRange, r.DestinationPortRange = pick(f, "", "1-65535", "1024-65535"), pick(f, "", "80", "80-80", "8000-9000")
	}
	f.world.Rules[r.ID] = r
}

func (f *foreign) session(filter string) {
	id, at := f.id(), time.Now().UTC()
	sources := [][]string{{scenario.WalkthroughSource}, {scenario.WalkthroughTest}, {scenario.WalkthroughTest, scenario.WalkthroughSource}}
	s := state.Session{
		ID: id, ProjectID: scenario.WalkthroughProject, Name: f.name(), Description: f.text(), FilterID: filter, Sources: pick(f, sources...),
		TargetID: scenario.WalkthroughTarget, TargetType: state.TargetENI, VNI: f.IntN(3) * 8388607, PacketLength: pick(f, 96, 1, 1460), Priority: f.made,
		Enabled: f.IntN(2) == 0, CreatedAt: at, UpdatedAt: at,
	}
	if f.IntN(3) == 0 {
		s.TargetID, s.TargetType = balancerID, state.TargetELB
	}
	f.world.Sessions[id] = s
}

const balancerID = "5a1f0c7e-0000-4000-8000-0000000000e1"

// populate makes a cloud full of what others have made. What comes out of a seed is the same each time.
func populate(w *harness.World, seed uint64) {
	w.Edit(func(world *state.World) {
		world.Quotas.SessionsPerSource, world.Quotas.SessionsPerENITarget = 100, 100
		world.AddLoadBalancer(scenario.LoadBalancer{
			ID: balancerID, Name: "ids", VPCID: scenario.WalkthroughVPC, ProjectID: scenario.WalkthroughProject, Address: netip.MustParseAddr("192.168.0.100"),
			SubnetID: world.Ports[scenario.WalkthroughTarget].SubnetID, Members: []netip.Addr{netip.MustParseAddr("192.168.0.164")},
		}, time.Now())
		f := &foreign{Rand: rand.New(rand.NewPCG(seed, 0)), world: world}
		for range 12 {
			filter := f.filter()
			for range f.IntN(3) {
				f.session(filter)
			}
		}
	})
}

// unmarked is a cloud without what descriptions say of whose it is, and without blanks at their ends.
func unmarked(c harness.Content) harness.Content {
	plain := func(text string) string {
		text, _, _ = strings.Cut(text, "[vpcmirror ")
		return strings.TrimSpace(text)
	}
	for i := range c.Filters {
		c.Filters[i].Description = plain(c.Filters[i].Description)
	}
	for i := range c.Sessions {
		c.Sessions[i].Description = plain(c.Sessions[i].Description)
	}
	return c
}

// beyondMarks are the writes that change anything but a description.
func beyondMarks(writes []journal.Entry) (others []string) {
	for _, e := range writes {
		var body map[string]map[string]string
		err := json.Unmarshal([]byte(e.Body), &body)
		changed := slices.Collect(maps.Values(body))
		if err != nil || len(changed) != 1 || len(changed[0]) != 1 || changed[0]["description"] == "" {
			others = append(others, harness.Describe(e))
		}
	}
	return others
}

func TestWhatIsExportedAndAppliedIsTakenOverByItsDescriptionsAlone(t *testing.T) {
	for seed := range uint64(3) {
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) { exportAndApply(t, seed) })
	}
}

func exportAndApply(t *testing.T, seed uint64) {
	t.Helper()
	w := harness.New(t)
	populate(w, seed)
	before := unmarked(w.Content())
	got := exported(t, w)
	if got.Exit != 0 || strings.Contains(got.Stderr, "left out") {
		t.Fatalf("export: %+v", got)
	}
	if again := exported(t, w); again != got {
		t.Errorf("the same cloud is exported in another way (-before +now):\n%s", cmp.Diff(got, again))
	}
	began := w.Cloud.Journal.Last()
	kubectlApply(t, w, got.Stdout)
	w.Start()
	filters, sessions := allReady(t, w)
	harness.Same(t, "how many objects there are", []int{len(before.Filters), len(before.Sessions)}, []int{len(filters.Items), len(sessions.Items)})
	writes := w.Cloud.Journal.Writes(began)
	if len(writes) == 0 {
		t.Error("no mark was written")
	}
	if others := beyondMarks(writes); len(others) > 0 {
		t.Errorf("more than marks was written: %q", others)
	}
	updated := cmpopts.IgnoreFields(state.Filter{}, "UpdatedAt")
	harness.Same(t, "what the cloud has beside marks", before, unmarked(w.Content()), updated, cmpopts.IgnoreFields(state.Session{}, "UpdatedAt"))
	last := exported(t, w)
	harness.Same(t, "what is exported after that", outcome{0, "", ""}, outcome{last.Exit, last.Stdout, ""})
	for told := range strings.Lines(last.Stderr) {
		if !strings.Contains(told, " is left out: it is already managed by ") && told != "there is nothing to export\n" {
			t.Errorf("it tells %q", told)
		}
	}
}

func TestWhatIsExportedToBeObservedWritesNothing(t *testing.T) {
	w := harness.New(t)
	populate(w, 4)
	before := w.Content()
	began := w.Cloud.Journal.Last()
	got := exported(t, w, "--observe")
	if got.Exit != 0 || strings.Contains(got.Stdout, "Managed") {
		t.Fatalf("export: %+v", got)
	}
	kubectlApply(t, w, got.Stdout)
	w.Start()
	filters, sessions := allReady(t, w)
	harness.Same(t, "how many objects there are", []int{len(before.Filters), len(before.Sessions)}, []int{len(filters.Items), len(sessions.Items)})
	w.Holds(before)
	harness.Same(t, "what is written to the cloud", []string{}, harness.Operations(w.Cloud.Journal.Writes(began)))
	if last := exported(t, w, "--observe"); last.Exit != 0 || last.Stdout != "" {
		t.Errorf("what is exported after that: %+v", last)
	}
}

// A namespace of its own tells what else is managed.
func TestWhatIsAlreadyManagedElsewhereIsNamedWithItsMark(t *testing.T) {
	w := harness.New(t)
	w.Start()
	filter, session := w.Pair("ours")
	harness.Ready(w, filter)
	harness.Ready(w, session)
	elsewhere := w.Cluster.Namespace(t)
	secret := w.Secret(harness.SecretName)
	secret.Namespace = elsewhere
	w.Create(secret)
	got := play(t, w.Cluster.Kubeconfig, "export", "--credentials", harness.SecretName, "-n", elsewhere, "--allow-endpoint", w.Cloud.URL)
	cluster := w.Mark(filter).Cluster
	told := func(kind, id string, o client.Object, name string) string {
		return fmt.Sprintf("%s %s %q is left out: it is already managed: it bears the mark of the object with the UID %s in the cluster %s\n", kind, id, name, o.GetUID(), cluster)
	}
	c := w.Content()
	want := outcome{0, "", told("filter", c.Filters[0].ID, filter, c.Filters[0].Name) + told("session", c.Sessions[0].ID, session, c.Sessions[0].Name) + "there is nothing to export\n"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestWhatKeepsAnAccountFromBeingExportedIsOneSentence(t *testing.T) {
	w := harness.New(t)
	without := func(name string, keys ...string) {
		s := w.Secret(name)
		for _, key := range keys {
			delete(s.Data, key)
		}
		w.Create(s)
	}
	without("nowhere", "region")
	without("keyless", "secretKey")
	w.Cluster.User(t, env.User{Name: "export-reader", Within: map[string][]rbacv1.PolicyRule{w.Namespace: {
		{APIGroups: []string{v1alpha1.GroupVersion.Group}, Resources: []string{"mirrorfilters", "mirrorsessions"}, Verbs: []string{"get", "list"}},
	}}})
	w.Cluster.User(t, env.User{Name: "export-keeper", Within: map[string][]rbacv1.PolicyRule{w.Namespace: {
		{APIGroups: []string{""}, Resources: []string{"secrets"}, ResourceNames: []string{harness.SecretName}, Verbs: []string{"get"}},
	}}})
	as := func(user, args string) outcome {
		kubeconfig := w.Cluster.Kubeconfig
		if user != "" {
			kubeconfig = filepath.Join(filepath.Dir(kubeconfig), user+".kubeconfig")
		}
		args = strings.NewReplacer("HERE", "--allow-endpoint "+w.Cloud.URL).Replace(args)
		got := play(t, kubeconfig, append([]string{"export", "-n", w.Namespace}, strings.Fields(args)...)...)
		got.Stderr = strings.ReplaceAll(strings.TrimPrefix(got.Stderr, "kubectl mirror export: "), w.Namespace, "NS")
		return got
	}
	for _, tc := range []struct{ user, args, want string }{
		{"", "", "no Secret is named: name the one with the keys of the account by --credentials; see kubectl mirror export --help\n"},
		{"", "--credentials none", "Secret NS/none does not exist: create it with the keys accessKey and secretKey, or correct --credentials\n"},
		{"", "--credentials keyless", "Secret NS/keyless has no key secretKey, or it is empty: add it\n"},
		{"", "--credentials nowhere", "the region is missing: set --region, or region in Secret NS/nowhere\n"},
		{
			"", "--credentials huawei-cloud", "endpoint of Secret NS/huawei-cloud is none that is allowed: nothing was sent; leave it out for the usual one of region cn-north-4, " +
				"or allow it with --allow-endpoint if you know that the keys belong there\n",
		},
		{"", "--credentials huawei-cloud HERE --region eu-west-0", "--region differs from region of Secret NS/huawei-cloud: make them equal, or leave one of them out\n"},
		{"", "--credentials huawei-cloud --allow-endpoint x", `--allow-endpoint: "x": it is no origin like https://vpc.cn-north-4.myhuaweicloud.com: give http or https, a host in ASCII, and a port where it is not the usual one, without user, path or query` + "\n"},
		{"", "--credentials huawei-cloud HERE tf-none", `project 0123456789abcdef0123456789abcdef in region cn-north-4 has no filter and no session with the name or the ID "tf-none"` + "\n"},
		{"export-reader", "--credentials huawei-cloud HERE", `you may not read the Secret huawei-cloud: that needs the verb get on secrets in namespace NS (secrets "huawei-cloud" is forbidden: ` +
			`User "export-reader" cannot get resource "secrets" in API group "" in the namespace "NS")` + "\n"},
	} {
		if diff := cmp.Diff(outcome{2, "", tc.want}, as(tc.user, tc.args)); diff != "" {
			t.Errorf("%s %s (-want +got):\n%s", tc.user, tc.args, diff)
		}
	}
	if n := w.Cloud.Journal.Last(); n > 2 { // of the name that nobody has
		t.Errorf("the cloud was asked %d times", n)
	}
	if got := as("export-keeper", "--credentials huawei-cloud HERE"); got.Exit != 0 || strings.Count(got.Stderr, "so nobody looked whether there are any already") != 2 {
		t.Errorf("without the right to list what is there: %+v", got)
	}
	if got := as("", "--credentials nowhere HERE --region cn-north-4"); got.Exit != 0 {
		t.Errorf("a region on the command line: %+v", got)
	}
	ports := w.Fault(fault.Fault{Kind: fault.Error, Operation: "*Port*", Status: 403, Code: "VPC.0010", Message: "Policy doesn't allow vpc:ports:list to be performed."})
	populate(w, 5)
	got := as("", "--credentials huawei-cloud HERE")
	if told, _, _ := strings.Cut(got.Stderr, "\n"); got.Exit != 0 || !strings.HasPrefix(told, "nobody looked whether the interfaces of sessions still exist: ") {
		t.Errorf("without the right to list interfaces: exit %d, %s", got.Exit, got.Stderr)
	}
	w.Cloud.Faults.Remove(ports)
	w.Fault(fault.Fault{Kind: fault.Error, Operation: "ListTrafficMirrorFilters", Status: 403, Code: "VPC.0010", Message: "Policy doesn't allow vpc:trafficMirrorFilters:list to be performed."})
	want := "list the filters: ListTrafficMirrorFilters: 403 VPC.0010: Policy doesn't allow vpc:trafficMirrorFilters:list to be performed.; the keys need the right vpc:trafficMirrorFilters:list\n"
	if diff := cmp.Diff(outcome{2, "", want}, as("", "--credentials huawei-cloud HERE")); diff != "" {
		t.Errorf("the cloud refuses (-want +got):\n%s", diff)
	}
}

func TestTheCloudIsAskedThroughTheProxyOfTheEnvironment(t *testing.T) {
	w := harness.New(t)
	populate(w, 1)
	secret := w.Secret("behind")
	secret.Data["endpoint"] = []byte("http://vpc.example") // which only the proxy knows
	w.Create(secret)
	p := proxy.ForTest(t)
	p.Lead("vpc.example", strings.TrimPrefix(w.Cloud.URL, "http://"))
	p.Want("me", "hidden")
	behind := func(user *url.Userinfo) outcome {
		at := *p.URL
		at.User = user
		t.Setenv("HTTP_PROXY", at.String())
		return play(t, w.Cluster.Kubeconfig, "export", "-n", w.Namespace, "--credentials", "behind", "--allow-endpoint", "http://vpc.example")
	}
	if got := behind(url.UserPassword("me", "hidden")); got.Exit != 0 || !strings.Contains(got.Stdout, "kind: MirrorFilter") {
		t.Errorf("through the proxy: %+v", got)
	}
	asked := w.Cloud.Journal.Last()
	got := behind(nil)
	want := "kubectl mirror export: list the filters: ListTrafficMirrorFilters: 407: the proxy " + p.URL.String() + " refuses the way to http://vpc.example with 407 Proxy Authentication Required: " +
		"give the user and the password that it wants in HTTPS_PROXY (for http HTTP_PROXY) in the environment\n"
	if diff := cmp.Diff(outcome{2, "", want}, got); diff != "" {
		t.Errorf("without a password (-want +got):\n%s", diff)
	}
	if asked == 0 || w.Cloud.Journal.Last() != asked {
		t.Errorf("the cloud was asked %d times with the password, and %d without", asked, w.Cloud.Journal.Last()-asked)
	}
	p.Close()
	want = "kubectl mirror export: list the filters: ListTrafficMirrorFilters: no connection to the proxy " + p.URL.String() + ": connection refused: " +
		"check HTTPS_PROXY (for http HTTP_PROXY) in the environment and this machine's firewall\n"
	if diff := cmp.Diff(outcome{2, "", want}, behind(nil)); diff != "" {
		t.Errorf("the proxy is away (-want +got):\n%s", diff)
	}
}
