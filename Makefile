# What people and CI run. Tools are pinned here.
SHELL = bash
.SHELLFLAGS = -euo pipefail -c
GOLANGCI_LINT_VERSION = v2.15.0
ACTIONLINT = github.com/rhysd/actionlint/cmd/actionlint@v1.7.12
GOVULNCHECK = golang.org/x/vuln/cmd/govulncheck@v1.9.0
export GORELEASE = golang.org/x/exp/cmd/gorelease@v0.0.0-20261113113407-e3970619a1a4
export CYCLONEDX = github.com/CycloneDX/cyclonedx-gomod/cmd/cyclonedx-gomod@v1.10.0
export GOLICENSES = github.com/google/go-licenses@v1.6.0
NEXT_GO = go1.27.4
FUZZTIME ?= 10s
BIN = $(CURDIR)/bin
MODULES = $(patsubst %/,%,$(dir $(shell git ls-files go.mod '*/go.mod')))
# What go.work lists: not bench/toolhive, which needs 500 packages more.
WORKSPACE = $(addsuffix /...,$(shell grep -oE '^[[:space:]]+\./?[^ ]*' go.work))
# What users get or read. The rest are measurements and other people's programs.
OURS = $(filter-out ./bench/% ./interop/%,$(WORKSPACE))

.PHONY: all build compile test long tidy lint race fuzz interop bench rivals demo

all: build lint race

build: ## every platform that users have
	go build ./...
	GOOS=windows go build ./...
	GOOS=darwin go build ./...

# Compilers collect garbage for a third of their time; memory is cheaper.
compile: export GOGC = off
compile: export GOMEMLIMIT = 3GiB
compile: ## what tests and lint use, into the build cache; RACE=-race for the race detector
	go list $(RACE) -export -test -deps $(if $(RACE),$(OURS),$(WORKSPACE)) > /dev/null

test:
	go test ./...

long: ## setup disturbed at each of its writes; go test ./... disturbs it at some
	go test -count=1 ./cmd/mcp-entra -long -run '^Test(Setup|Script)'

tidy: ## each module by itself, as those who get it see it
	for dir in $(MODULES); do (cd $$dir && GOWORK=off go mod tidy -diff); done

lint: $(BIN)/golangci-lint-$(GOLANGCI_LINT_VERSION) ## go vet's checks are among it
	$< run --allow-parallel-runners $(WORKSPACE)

race: ## vet has seen it in test and lint
	go test -race -vet=off $(OURS)

PART ?= 0/1
fuzz: ## each target for FUZZTIME; a package is built once for all of its targets; PART=3/8 takes every eighth package
	@temp=$$(mktemp -d) && trap 'rm -rf "$$temp"' EXIT && \
	git grep -lE '^func Fuzz' -- '*_test.go' ':!bench' | xargs -n1 dirname | sort -u | \
	awk -v part=$(PART) 'BEGIN { split(part, p, "/") } NR % p[2] == p[1]' | while read -r dir; do \
		GOGC=off GOMEMLIMIT=3GiB go test -c -vet=off -fuzz . -o "$$temp/fuzz.test" "./$$dir" > /dev/null || exit 1; \
		for target in $$(grep -hoE '^func Fuzz\w+' $$dir/*_test.go | cut -d' ' -f2); do \
			echo "$$dir $$target"; \
			out=$$(cd "$$dir" && "$$temp/fuzz.test" -test.run '^$$' -test.fuzz "^$$target\$$" -test.fuzztime $(FUZZTIME) -test.fuzzminimizetime 5x -test.fuzzcachedir "$$temp/cache/$$dir" 2>&1) || { \
				echo "$$out"; \
				: 'fuzzing fails now and then for no more than that the time was up (golang/go#75804, fixed in Go 1.27)'; \
				grep -q 'context deadline exceeded' <<< "$$out" && ! grep -q 'Failing input' <<< "$$out" || exit 1; \
			}; \
			tail -n 2 <<< "$$out" | head -n 1; \
		done; \
	done

interop: interop-programs interop-tests ## real programs against ours; see there for what they need

.PHONY: interop-tests
interop-tests:
	cd interop && go test -count=1 -timeout 10m -skip '^TestReplicas' . ./live ./deploy
	cd interop && go test -count=1 -timeout 5m -v -run '^TestReplicas' .
	cd interop && go test -count=1 -timeout 10m -v ./conformance
	cd interop && go test -count=1 -timeout 10m ./mcpclients
	cd interop && go test -count=1 -timeout 10m -v ./soak
	cd redisstore && go test -tags redis -count=1 ./...
	cd examples/production && go test -tags interop -count=1 -timeout 10m -run '^Test(Watched|Rules)$$' -v .

SOAK ?= 10m
.PHONY: soak
soak: ## a thousand users on three replicas, faults and deploys, for a while; interop has it for half a minute
	cd interop && SOAK=$(SOAK) go test -count=1 -timeout 0 -v ./soak

# Node 20 or newer, Python 3.11 or newer with venv, and on Debian what apt-get brings as root.
PYTHON_CLIENTS = interop/clients/python interop/mcpclients/python
.PHONY: interop-programs
interop-programs:
	npm --prefix interop ci --no-audit --no-fund
	npm --prefix interop/conformance ci --no-audit --no-fund
	npm --prefix interop/clients/node ci --no-audit --no-fund
	npm --prefix interop/mcpclients/node ci --no-audit --no-fund
	command -v chromium && command -v redis-server && command -v prometheus || \
		{ apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium redis-server prometheus python3-venv; }
	cd interop/collector && GOWORK=off go build -o /dev/null . # minutes with a cold cache, which a test's time-out should not bear
	for dir in $(PYTHON_CLIENTS); do \
		python3 -m venv $$dir/.venv; \
		$$dir/.venv/bin/pip install -q --disable-pip-version-check --require-hashes -r $$dir/requirements.txt; \
	done

.PHONY: image
image: ## builds the Dockerfile without a registry, and runs it unprivileged; as root on Debian
	command -v buildah && command -v busybox || \
		{ apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends buildah busybox-static; }
	cd interop && go test -tags image -count=1 -timeout 20m -run '^TestImage$$' ./deploy

.PHONY: recipes
recipes: ## docs/deploy's lines for the Azure CLI, and its Bicep
	release/recipes

bench: ## ours beside the code, then beside the rivals
	go test -run '^$$' -bench . ./...
	cd bench && go run ./compare
	cd bench && go run ./onbehalf/compare
	cd bench && go run ./calls/compare

rivals: ## ours must be right where theirs are compared
	cd bench && go test -count=1 ./...

demo:
	go run ./examples/server -demo

.PHONY: links workflows licenses vulnerabilities release-check reproduce dist next nightly

LYCHEE = $(BIN)/lychee/bin/lychee
links: $(LYCHEE) ## every link and anchor within the repository; with ONLINE=1 those out of it too
	git ls-files -z '*.md' | xargs -0 $(LYCHEE) $(if $(ONLINE),,--offline) --no-progress --include-fragments --

workflows: ## what GitHub runs
	go run $(ACTIONLINT)

# Licenses that ask for no more than a notice. Ours need no check, and segmentio/asm is MIT-0, which go-licenses does not know.
LICENSES = go run $(GOLICENSES) check --allowed_licenses=MIT,BSD-2-Clause,BSD-3-Clause,Apache-2.0 --ignore=github.com/mcpentra/mcp-entra-go,github.com/segmentio/asm ./...
licenses: ## of what users get
	GOWORK=off $(LICENSES)
	cd redisstore && GOWORK=off $(LICENSES)

vulnerabilities: ## known ones that our code reaches; needs vuln.go.dev
	for dir in $(filter-out bench% interop%,$(MODULES)); do (cd $$dir && GOWORK=off go run $(GOVULNCHECK) ./...); done

release-check: tidy links workflows licenses recipes $(if $(ONLINE),vulnerabilities) ## what must hold before make dist and release/tag
	$(MAKE) reproduce
	release/rehearse
	@$(if $(ONLINE),:,printf 'not checked: %s\n' 'links out of the repository (ONLINE=1)' 'known vulnerabilities (ONLINE=1)')
	@printf 'not checked: %s\n' 'that GitHub runs the workflows as written'

reproduce: ## two builds, one hash
	release/reproduce

dist: ## the command for each platform, as a release has it
	rm -rf dist
	release/build dist

next: ## with the next version of Go, and each benchmark once
	GOTOOLCHAIN=$(NEXT_GO) go test -bench . -benchtime 1x $(OURS)

nightly: build fuzz next soak release-check image ## what is too slow for every change

$(BIN)/golangci-lint-$(GOLANGCI_LINT_VERSION):
	GOBIN=$(BIN) go install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_LINT_VERSION)
	mv $(BIN)/golangci-lint $@

$(LYCHEE): release/requirements.txt
	python3 -m venv $(BIN)/lychee
	$(BIN)/lychee/bin/pip install -q --disable-pip-version-check --require-hashes -r $<
	touch $@
