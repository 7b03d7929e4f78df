package main

import (
	"slices"
	"strings"
)

// layer is a part of the project: packages that have one job, and one rule about what
// of ours they may import.
type layer struct {
	// name is the folder. A package is in the layer with the longest name that its path
	// begins with.
	name string
	// does is what is decided or done there, as controllers/ARCHITECTURE.md says it.
	does string
	// may is what its packages may import, beside packages of the layer itself. An entry
	// is the name of a layer, without the layers below it; or a pattern as the go command
	// has them: "test/..." is every layer in that folder, "..." is everything.
	may []string
	// tests is what its tests may import beyond that.
	tests []string
}

// everything lets a layer import every other.
const everything = "..."

// ports are what a reconciler works with: the cloud by its port alone, never by its
// adapter.
var ports = []string{
	"api", "controllers/cloud", "controllers/credentials", "controllers/inventory", "controllers/liveness",
	"controllers/plan", "controllers/status", "controllers/tracing",
}

// layers is the one table of imports. The table in controllers/ARCHITECTURE.md is
// written from it (checks table), and the sentence "It may import ..." in the
// comment of each package is held against it.
var layers = []layer{
	{
		name: "api", does: "the two kinds, what the API server checks of them, condition types and reasons; the one " +
			"reading of a rule and the one arithmetic of counts, which manager and verifier share",
		tests: []string{"test/env"},
	},
	{
		name: "controllers/cloud", does: "the port: the cloud in our words, one interface with a contract for each method, " +
			"one error type with a class",
	},
	{
		name: "controllers/cloud/huawei", does: "the adapter over the cloud's SDK: signing, paging, deadlines, bounds, limiter, error table, metrics",
		may: []string{"controllers/cloud", "controllers/fairqueue"}, tests: []string{"test/..."},
	},
	{
		name: "controllers/fairqueue", does: "who goes next of those who wait: who matters most, and now and then who waited longest",
	},
	{
		name: "controllers/fence", does: "whether this process surely leads: by the renewals of its lease, asked right before each write to the cloud",
	},
	{
		name: "controllers/credentials", does: "Secret, files, environment or issuer of temporary keys to cloud client, cached by a hash of the whole content; keys renewed in time; which endpoint and which namespace may be served",
		may: []string{"api", "controllers/cloud"}, tests: []string{"controllers/cloud/huawei", "test/..."},
	},
	{
		name: "controllers/inventory", does: "shared reads: one list serves every object of an account; accounts in an LRU",
		may: []string{"controllers/cloud", "controllers/plan"},
	},
	{
		name: "controllers/plan", does: "pure decisions: what differs, which calls mend it in which order, which VNI and priority",
		may: []string{"api", "controllers/cloud"},
	},
	{
		name: "controllers/diagnosis", does: "pure: from what is known of a session (spec, counts, leases, when counts moved) to what TrafficObserved says, " +
			"and to findings, each with cause, subject and remedy",
		may: []string{"api", "controllers/cloud", "controllers/plan"},
	},
	{
		name: "controllers/diagnosis/history", does: "pure: what has changed of what decides about copies, in sentences for status.changes",
		may: []string{"api", "controllers/cloud", "controllers/diagnosis", "controllers/plan"},
	},
	{
		name: "controllers/status", does: "conditions, the sum of the verifiers' entries, the one writer of status",
		may: []string{"api"}, tests: []string{"test/env"},
	},
	{
		name: "controllers/liveness", does: "which verifiers are alive, by their leases",
		may: []string{"api"}, tests: []string{"test/env"},
	},
	{
		name: "controllers/tracing", does: "what is told of a reconcile while it runs: the IDs in its lines, and its trace, a span with one below it for each call to the cloud",
		may: []string{"controllers/cloud"},
	},
	{
		name: "controllers/lifecycle", does: "the life of a cloud object, once for both kinds: finalizer, account, Secret, find, create, converge, " +
			"delete; creation expectations; from an error to conditions, an event and the next reconcile; the share of workers of each server",
		may: append([]string{"controllers/fairqueue"}, ports...), tests: []string{"test/env"},
	},
	{
		name: "controllers/mirrorfilter", does: "the reconciler of filters and their rules",
		may: append([]string{"controllers/diagnosis", "controllers/diagnosis/history", "controllers/lifecycle"}, ports...), tests: []string{"controllers/...", "test/..."},
	},
	{
		name: "controllers/probe", does: "pure: whether a probe that was asked for is sent, which packet for which source from which node, and what became of it",
		may: []string{"api"},
	},
	{
		name: "controllers/mirrorsession", does: "the reconciler of sessions: sources, target, numbers, what the verifiers saw",
		may: append([]string{"controllers/diagnosis", "controllers/diagnosis/history", "controllers/lifecycle", "controllers/probe"}, ports...), tests: []string{"controllers/...", "test/..."},
	},
	{
		name: "controllers/rehearsal", does: "what would be done for a spec: the reconcilers on a stage, with a cloud and an API server to which nothing is written",
		may: append([]string{"controllers/diagnosis", "controllers/lifecycle", "controllers/mirrorfilter", "controllers/mirrorsession"}, ports...), tests: []string{"test/..."},
	},
	{
		name: "controllers/telemetry", does: "what Prometheus is told of filters and sessions, read from the cache at each scrape",
		may: []string{"api", "controllers/cloud", "controllers/inventory"}, tests: []string{"test/env"},
	},
	{
		name: "controllers/verifier", does: "the node agent; its parts: `capture`, `vxlan`, `match`, `tally`, `sample`, `report`, " +
			"`agent`, `consumer`, `lease`, `memory`, `nodecache`, `probe`, `read`, `tail`",
		may: []string{"api"}, tests: []string{"test/..."},
	},
	{
		name: "cmd/internal", does: "what both programs do alike when they start: flags, log, the way to the API server",
		tests: []string{"test/env"},
	},
	{
		name: "cmd/manager", does: "flags and wiring of the manager",
		may: append([]string{
			"cmd/internal",
			"controllers/cloud/huawei", "controllers/fence", "controllers/lifecycle", "controllers/mirrorfilter", "controllers/mirrorsession",
			"controllers/rehearsal", "controllers/telemetry",
		}, ports...), tests: []string{"test/..."},
	},
	{
		name: "cmd/verifier", does: "flags and wiring of the verifier, which holds no credentials of the cloud",
		may: []string{"api", "cmd/internal", "controllers/verifier"}, tests: []string{"test/..."},
	},
	{
		name: "cmd/kubectl-mirror", does: "`kubectl mirror why`: what the objects say of a session, arranged for a person or a program; `plan`: what the manager says that it would do; `tail` and `capture`: " +
			"its copies, as the verifier in its pod shows them; it holds no credentials of the cloud",
		may: []string{"api", "cmd/kubectl-mirror/export"}, tests: []string{"test/..."},
	},
	{
		name: "cmd/kubectl-mirror/export", does: "`kubectl mirror export`: what an account of the cloud has as manifests that import it, read with the keys of a Secret that the caller may read",
		may: []string{"api", "controllers/cloud", "controllers/cloud/huawei", "controllers/credentials", "controllers/plan"},
	},
	{
		name: "test/cloudsim", does: "the simulated cloud, API and data plane: it shares no line with what it tests",
		tests: []string{"test/env/need"},
	},
	{
		name: "test/env", does: "a real API server for tests and demo",
		may: []string{"api", "test/env/checkout", "test/env/need", "test/env/pki"},
	},
	{
		name: "test/env/checkout", does: "the folder of the project, whose owner keeps what is written there",
		tests: []string{"test/env/need"},
	},
	{name: "test/env/interrupt", does: "when a program is to take down what it has made: it is interrupted, or nobody reads it"},
	{name: "test/env/need", does: "what a test needs of the machine, and the sentence with which it is skipped"},
	{name: "test/env/pki", does: "the certificates of a cluster for tests"},
	{
		name: "test/integration", does: "the reconcilers against a real API server and the simulated cloud",
		may: []string{everything},
	},
	{
		name: "test/install", does: "the chart, the kustomize folders, rights, the health rule, and the YAML in documents",
		tests: []string{"api", "controllers/status", "controllers/verifier", "test/env", "test/env/need"},
	},
	{
		name: "test/recipes", does: "the recipes of config/samples that can be run here: the program itself with the recipe's own configuration",
		tests: []string{"api", "controllers/verifier", "test/env/need"},
	},
	{
		name: "test/prometheus", does: "a real Prometheus with the project's rules, monitors and dashboards",
		may:   []string{"test/cloudsim", "test/demo", "test/env/checkout", "test/env/need"},
		tests: []string{everything},
	},
	{name: "test/demo", does: "the walkthrough that `make demo` plays", may: []string{everything}},
	{name: "test/e2e", does: "a three-node Kubernetes on one machine, and the scenarios on it", may: []string{everything}},
	{
		name: "test/live", does: "the contract suite of `make live`: the same cases put to a real account and to the simulated cloud, and how they differ",
		may: []string{"test/cloudsim", "test/env/interrupt"},
	},
	{name: "test/diagnosis", does: "the catalogue of causes: each is injected into real packets, and what the session says of it is scored; a hundred sources become fewer and more under traffic", may: []string{everything}},
	{name: "test/bench", does: "what `make bench` runs, and its one table", may: []string{"test/bench/...", "test/env/interrupt"}},
	{
		name: "test/bench/offline", does: "`verifier read` against tcpdump on a file",
		may: []string{"test/bench/copies", "test/bench/core", "test/bench/result"},
	},
	{
		name: "test/bench/live", does: "counting as copies arrive against tcpdump, on a ladder of rates",
		may: []string{"api", "controllers/verifier", "test/bench/copies", "test/bench/core", "test/bench/result"}, tests: []string{"test/env/need"},
	},
	{name: "test/bench/copies", does: "the copies that the benchmarks send and read"},
	{name: "test/bench/core", does: "what is measured, bound to a core"},
	{name: "test/bench/result", does: "the table of a benchmark: each figure beside its goal"},
	{name: "test/bench/proc", does: "time and memory that a process has used, from /proc"},
	{name: "test/bench/cluster", does: "a control plane that logs what one user asks of it, and processes that end with the benchmark", may: []string{"test/demo", "test/env"}},
	{name: "test/bench/seed", does: "thousands of objects, written into etcd past the API server", may: []string{"test/env"}},
	{
		name: "test/bench/scale", does: "the manager at 200, 2,000 and 20,000 sessions: calls, requests, time, memory",
		may: []string{
			"api", "controllers/cloud", "controllers/plan", "controllers/verifier", "test/bench/cluster", "test/bench/proc", "test/bench/result", "test/bench/seed", "test/cloudsim",
			"test/demo", "test/env/interrupt",
		},
	},
	{
		name: "test/bench/node", does: "the verifier of one node in a cluster of 20,000 sessions: time, memory, requests",
		may: []string{
			"api", "controllers/verifier", "test/bench/cluster", "test/bench/proc", "test/bench/result", "test/bench/seed", "test/cloudsim", "test/demo",
		},
	},
	{name: "hack", does: "generators, checks, the release, the local Kubernetes, pinned tools", tests: []string{"test/env/need"}},
}

// layerOf returns the layer of a package or folder, nil when it is in none.
func layerOf(name string) *layer {
	var longest *layer
	for i := range layers {
		if below(name, layers[i].name) && (longest == nil || len(layers[i].name) > len(longest.name)) {
			longest = &layers[i]
		}
	}
	return longest
}

// allows reports whether a package of the layer may import another, given the entries
// that it may import beside packages of the layer itself.
func (l *layer) allows(imported string, entries []string) bool {
	target := layerOf(imported)
	if target == nil {
		return false
	}
	return target.name == l.name || slices.ContainsFunc(entries, func(entry string) bool {
		if folder, isPattern := strings.CutSuffix(entry, everything); isPattern {
			return below(target.name, strings.TrimSuffix(folder, "/"))
		}
		return target.name == entry
	})
}

// below reports whether a path is the folder or in it; every path is in "".
func below(path, folder string) bool {
	return folder == "" || path == folder || strings.HasPrefix(path, folder+"/")
}

// list writes entries as a sentence has them.
func list(entries []string) string {
	if len(entries) == 0 {
		return "nothing of ours"
	}
	var names []string
	for _, entry := range slices.Sorted(slices.Values(entries)) {
		names = append(names, noun(entry))
	}
	if len(names) == 1 {
		return names[0]
	}
	return strings.Join(names[:len(names)-1], ", ") + " and " + names[len(names)-1]
}

// noun is how a sentence calls an entry.
func noun(entry string) string {
	if entry == everything {
		return "everything of ours"
	}
	if folder, isPattern := strings.CutSuffix(entry, "/"+everything); isPattern {
		return "everything below " + folder
	}
	return entry
}
