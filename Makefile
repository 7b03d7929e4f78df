# Every target prints what it does and how long it took. `make help` lists them.

# Builds with other flags share nothing in Go's build cache: every build uses these.
export GOFLAGS := -trimpath -buildvcs=false
export CGO_ENABLED ?= 0
export GOTOOLCHAIN := local

SHELL := /bin/bash
MAKEFLAGS += --no-print-directory
.DELETE_ON_ERROR:

ifeq ($(shell command -v go),)
ifneq ($(filter-out help clean,$(or $(MAKECMDGOALS),help)),)
$(error the Go compiler is missing: install Go 1.26 or later (https://go.dev/dl, or Debian's package golang-go if it is that new))
endif
endif

BIN := bin
TOOLS := $(BIN)/tools
STEP := hack/step

# A folder with etcd, kube-apiserver and kubectl: yours, if the variable is set and
# it has all three; else bin/kube, taken from envtest's archives or built from Go modules.
ifeq ($(strip $(KUBEBUILDER_ASSETS)),)
export KUBEBUILDER_ASSETS := $(CURDIR)/$(BIN)/kube
ASSETS_ARE_OURS := yes
endif

VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
COMMANDS := $(filter-out internal,$(notdir $(patsubst %/,%,$(wildcard cmd/*/))))

.DEFAULT_GOAL := help

##@ Every day

.PHONY: help
help: ## List the targets
	@command -v awk >/dev/null || { echo "make help needs awk: install the Debian package mawk or gawk" >&2; exit 1; }
	@awk 'BEGIN { FS = ":.*## " } \
	  /^##@ / { printf "\n%s\n", substr($$0, 5) } \
	  /^[a-z0-9-]+:.*## / { printf "  make %-20s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo
	@echo "The first make test or make demo on a machine also fetches etcd and kube-apiserver from envtest's published"
	@echo "archives, or builds them where these can't be reached (7 to 12 minutes on 2 cores). make e2e always builds."

# Flags for demo-play, such as DEMO_FLAGS=--cloud-port=8700.
DEMO_FLAGS ?=

.PHONY: demo
demo: demo-able assets build ## Play the cloud guide's walkthrough on real packets (three minutes; Linux, root)
	@$(BIN)/demo-play run $(DEMO_FLAGS)

.PHONY: demo-up
demo-up: demo-able assets build ## Play it up to the counts and leave everything running (then: source bin/demo/env)
	@$(BIN)/demo-play up $(DEMO_FLAGS)

.PHONY: demo-down
demo-down: ## Take down what demo-up left running, or what a killed demo left
	@if [ ! -x $(BIN)/demo-play ]; then echo "Nothing was ever up: bin/demo-play is not built"; exit 0; fi; \
	  exec $(BIN)/demo-play down $(DEMO_FLAGS)

# Said before the long build and not after it.
.PHONY: demo-able
demo-able:
	@if [ "$$(uname -s)" != Linux ]; then \
	  echo "The demo makes Linux network namespaces: run it on Linux, in a virtual machine for example" >&2; exit 1; fi; \
	if [ "$$(id -u)" != 0 ]; then \
	  echo "The demo makes network namespaces and needs root: sudo env \"PATH=\$$PATH\" make demo" >&2; exit 1; fi

# They take minutes, and begin first: the last of them would run alone at the end. What takes the longest is said after each run.
LONG_TESTS := ./test/integration ./test/diagnosis ./test/install ./test/integration/crash ./test/demo ./test/integration/leader

.PHONY: test
test: assets $(TOOLS)/helm $(BIN)/checks ## Run every test, as CI does (as root also those with network namespaces)
	@$(STEP) "Testing" $(BIN)/checks tests -timeout 15m $(LONG_TESTS) ./...

# What depends on the version of the API server. The crash matrix, the paused leaders and the hostile
# answers take long and ask nothing of the server that these don't: make test plays them, on the newest.
# So it is with the files of test/integration that the build tag leaves out (its doc_test.go has the rule).
OLDEST_TESTS ?= ./test/install ./test/integration \
  $(filter-out $(addprefix ./test/integration/,crash leader bounds harness),$(patsubst %/,./%,$(wildcard test/integration/*/)))

.PHONY: oldest-assets
oldest-assets: ## Build the oldest Kubernetes that is promised into bin/kube-oldest, for make test-oldest
	@hack/localkube/build $(BIN)/kube-oldest oldest

.PHONY: test-oldest
test-oldest: oldest-assets $(TOOLS)/helm $(BIN)/checks ## Run the tests with an API server on the oldest Kubernetes that is promised (built the first time)
	@KUBEBUILDER_ASSETS=$(CURDIR)/$(BIN)/kube-oldest $(STEP) "Testing on $$($(BIN)/kube-oldest/kube-apiserver --version)" \
	  $(BIN)/checks tests -timeout 15m -tags oldest $(OLDEST_TESTS)

# Which runs of the crash matrix: a number of them, from one to another such as 225-1000, or all.
CELLS ?= all

.PHONY: crash-matrix
crash-matrix: assets $(BIN)/checks ## Stop the manager at every effect of every scenario, with every fault (about an hour; CELLS=1000 takes fewer)
	@VPCMIRROR_CRASH_CELLS=$(CELLS) $(STEP) "Stopping the manager everywhere" $(BIN)/checks tests -timeout 6h -run TestWhereverTheManagerStops ./test/integration/crash

.PHONY: lint
lint: $(TOOLS)/golangci-lint $(TOOLS)/apilint $(TOOLS)/controller-gen $(TOOLS)/helm $(BIN)/checks ## Check style, the API, imports, documents, generated files and both builds
	@status=0; \
	$(MAKE) verify-generated || status=1; \
	$(STEP) "Checking layers, imports, files and documents" $(BIN)/checks project || status=1; \
	$(STEP) "Running the Kubernetes API linter" $(TOOLS)/apilint ./api/... || status=1; \
	$(STEP) "Running golangci-lint" $(TOOLS)/golangci-lint run ./... || status=1; \
	$(MAKE) cross || status=1; \
	exit $$status

.PHONY: build
build: ## Build every program into bin/
	@for name in $(COMMANDS); do \
	  $(STEP) "Building $(BIN)/$$name" go build -ldflags "$(LDFLAGS)" -o $(BIN)/$$name ./cmd/$$name || exit 1; done
	@if ls test/cloudsim/*.go >/dev/null 2>&1; then $(STEP) "Building $(BIN)/cloudsim" go build -o $(BIN)/cloudsim ./test/cloudsim; fi
	@if ls test/demo/*.go >/dev/null 2>&1; then $(STEP) "Building $(BIN)/demo-play" go build -o $(BIN)/demo-play ./test/demo; fi

# Flags for bench, such as BENCH_FLAGS=--only=offline.
BENCH_FLAGS ?=

.PHONY: bench
bench: assets build $(BIN)/bench ## Measure against tcpdump and against the goals, on an idle machine (root; test/bench/README.md says how long)
	@$(STEP) "Measuring" $(BIN)/bench $(BENCH_FLAGS)

.PHONY: bench-quick
bench-quick: assets build $(BIN)/bench ## The same in short rounds, less than three minutes, failing only where a count is wrong (root)
	@$(STEP) "Measuring for a short time" $(BIN)/bench --quick $(BENCH_FLAGS)

##@ On a real account

# What live does (run, rehearse, clean, cases), and its flags, such as LIVE_FLAGS="--sources=ID,ID --target=ID --confirm=PROJECT".
LIVE ?= run
LIVE_FLAGS ?=

.PHONY: live
live: $(BIN)/live-program ## Ask a real account and the simulated cloud the same and print how they differ (opt-in; test/live/README.md)
	@$(BIN)/live-program $(LIVE) $(LIVE_FLAGS)

##@ On a real cluster

.PHONY: images
images: ## Build the images of manager and verifier into bin/images (docker, podman or buildah)
	@$(STEP) "Building the images" hack/images $(VERSION)

.PHONY: lab-up
lab-up: node-assets $(BIN)/lab-program ## Start three real nodes on this machine (root; then: source bin/lab/env)
	@$(STEP) "Starting the lab" $(BIN)/lab-program up $(foreach f,$(wildcard $(BIN)/images/*.tar),-image $(f))

.PHONY: lab-down
lab-down: $(BIN)/lab-program ## Take down what lab-up left running, or what a killed lab left
	@$(STEP) "Taking the lab down" $(BIN)/lab-program down

.PHONY: e2e
e2e: ## Install the product on three real nodes and play the scenarios (a quarter of an hour once built; Linux, root)
	@hack/e2e

##@ Now and then

.PHONY: generate
generate: $(TOOLS)/controller-gen $(TOOLS)/helm $(BIN)/checks ## Write the generated files (deep copies, CRDs, roles, kustomize folders, reference) anew
	@$(STEP) "Generating deep copies, CRDs, roles, the kustomize folders from the chart, and the reference" hack/generate
	@$(BIN)/checks table

.PHONY: verify-generated
verify-generated: $(TOOLS)/controller-gen $(TOOLS)/helm ## Check that the generated files are current
	@$(STEP) "Checking that generated files are current" hack/generate --check

.PHONY: cross
cross: ## Build everything for linux/amd64 and linux/arm64 without cgo
	@for arch in amd64 arm64; do \
	  CGO_ENABLED=0 GOOS=linux GOARCH=$$arch $(STEP) "Building all for linux/$$arch" go build ./... || exit 1; done

.PHONY: assets
assets: ## Fetch the local Kubernetes into bin/kube, or build it, unless KUBEBUILDER_ASSETS names one
ifeq ($(ASSETS_ARE_OURS),yes)
	@go build -o $(BIN)/assets ./hack/assets
	@$(BIN)/assets $(BIN)/kube
else
	@for name in etcd kube-apiserver kubectl; do \
	  if [ ! -x "$(KUBEBUILDER_ASSETS)/$$name" ]; then \
	    echo "KUBEBUILDER_ASSETS is $(KUBEBUILDER_ASSETS), which has no $$name: complete that folder, or unset the variable and one is built" >&2; \
	    exit 1; fi; done
endif

.PHONY: node-assets
node-assets: ## Build the local Kubernetes into bin/kube with what a node runs, for make lab-up and make e2e
	@hack/localkube/build $(BIN)/kube

.PHONY: tools
tools: $(TOOLS)/golangci-lint $(TOOLS)/apilint $(TOOLS)/controller-gen $(TOOLS)/helm ## Build the tools of make lint, make generate and make test

# What a release is told beside VERSION: where its images will be, where its files will be,
# and the file of a key of SSH that signs them.
REPOSITORY ?= localhost/vpcmirror
RELEASE_URL ?=
SIGNING_KEY ?=

# VERSION only where somebody gave it: what git describe says is no release.
RELEASED = $(if $(filter file,$(origin VERSION)),,$(VERSION))
RELEASE_FLAGS = --version="$(RELEASED)" --ldflags="$(LDFLAGS)" --repository="$(REPOSITORY)" --url="$(RELEASE_URL)" --signing-key="$(SIGNING_KEY)"

.PHONY: release
release: releasable $(TOOLS)/helm $(TOOLS)/cyclonedx-gomod ## Make the release VERSION in bin/release, from a clean tree (five minutes; hack/release/README.md)
	@$(STEP) "Making the release $(RELEASED)" $(BIN)/releaser make $(RELEASE_FLAGS)

# Said before tools are built and not after it.
.PHONY: releasable
releasable: $(BIN)/releaser
	@$(BIN)/releaser check $(RELEASE_FLAGS)

.PHONY: vulncheck
vulncheck: $(TOOLS)/govulncheck $(BIN)/vulncheck ## Look the programs and what they link up among known vulnerabilities (a minute; asks vuln.go.dev)
	@$(STEP) "Looking for known vulnerabilities" $(BIN)/vulncheck $(TOOLS)/govulncheck ./cmd/...

.PHONY: clean
clean: ## Remove what was built, but not bin/kube, bin/kube-oldest and the ledgers in bin/live (rm -r bin for these too)
	@$(STEP) "Removing what was built" find $(BIN) -mindepth 1 -maxdepth 1 ! -name kube ! -name kube-oldest ! -name live -exec rm -r {} +

# The version that --version prints.
LDFLAGS = -s -w -X main.version=$(VERSION)

$(TOOLS)/golangci-lint: hack/tools/go.mod hack/tools/go.sum
	@$(STEP) "Building golangci-lint (2 to 4 minutes the first time)" go -C hack/tools build -ldflags "-s -w" \
	  -o $(CURDIR)/$@ github.com/golangci/golangci-lint/v2/cmd/golangci-lint
	@touch $@

$(TOOLS)/apilint: hack/tools/apilint/go.mod hack/tools/apilint/go.sum hack/tools/apilint/main.go
	@$(STEP) "Building the Kubernetes API linter (about 20 seconds the first time)" go -C hack/tools/apilint build -ldflags "-s -w" \
	  -o $(CURDIR)/$@ .
	@touch $@

$(TOOLS)/controller-gen: hack/tools/go.mod hack/tools/go.sum
	@$(STEP) "Building controller-gen (about 40 seconds the first time)" go -C hack/tools build -ldflags "-s -w" \
	  -o $(CURDIR)/$@ sigs.k8s.io/controller-tools/cmd/controller-gen
	@touch $@

# Helm's own releases say with these which Kubernetes they stand for when they reach
# none; the minor version is that of the client library in hack/tools/helm/go.mod.
HELM_LDFLAGS = -s -w -X helm.sh/helm/v3/internal/version.version=v3.22.0 \
  $(foreach p,pkg/chartutil pkg/lint/rules,-X helm.sh/helm/v3/$(p).k8sVersionMajor=1 -X helm.sh/helm/v3/$(p).k8sVersionMinor=37)

$(TOOLS)/helm: hack/tools/helm/go.mod hack/tools/helm/go.sum
	@$(STEP) "Building helm (2 to 3 minutes the first time)" go -C hack/tools/helm build -ldflags "$(HELM_LDFLAGS)" \
	  -o $(CURDIR)/$@ helm.sh/helm/v3/cmd/helm
	@touch $@

$(TOOLS)/cyclonedx-gomod: hack/tools/release/go.mod hack/tools/release/go.sum
	@$(STEP) "Building cyclonedx-gomod (half a minute the first time)" go -C hack/tools/release build -ldflags "-s -w" \
	  -o $(CURDIR)/$@ github.com/CycloneDX/cyclonedx-gomod/cmd/cyclonedx-gomod
	@touch $@

$(TOOLS)/govulncheck: hack/tools/release/go.mod hack/tools/release/go.sum
	@$(STEP) "Building govulncheck (half a minute the first time)" go -C hack/tools/release build -ldflags "-s -w" \
	  -o $(CURDIR)/$@ golang.org/x/vuln/cmd/govulncheck
	@touch $@

# Always asked, as Go itself knows best what changed.
.PHONY: $(BIN)/lab-program
$(BIN)/lab-program:
	@go build -o $@ ./test/e2e/cmd/lab

.PHONY: $(BIN)/live-program
$(BIN)/live-program:
	@go build -o $@ ./test/live

.PHONY: $(BIN)/bench
$(BIN)/bench:
	@go build -o $@ ./test/bench

.PHONY: $(BIN)/checks
$(BIN)/checks:
	@go build -o $@ ./hack/checks

.PHONY: $(BIN)/releaser
$(BIN)/releaser:
	@go build -o $@ ./hack/release

.PHONY: $(BIN)/vulncheck
$(BIN)/vulncheck:
	@go build -o $@ ./hack/vulncheck
