# What people and CI run. Tools are pinned here.
SHELL = bash
.SHELLFLAGS = -euo pipefail -c
GOLANGCI_LINT_VERSION = v2.15.0
FUZZTIME ?= 10s
BIN = $(CURDIR)/bin
# The modules of go.work, and bench/toolhive, which stands outside: it needs 500 packages more.
MODULES = . bench interop redisstore examples/services bench/toolhive
WORKSPACE = ./... ./bench/... ./interop/... ./redisstore/... ./examples/services/...

.PHONY: all build test long tidy lint race fuzz interop bench rivals demo

all: build lint race

build: ## every platform that users have
	go build ./...
	GOOS=windows go build ./...
	GOOS=darwin go build ./...

test:
	go test ./...

long: ## setup disturbed at each of its writes; go test ./... disturbs it at some
	go test -count=1 ./cmd/mcp-entra -long -run '^Test(Setup|Script)'

tidy: ## each module by itself, as those who get it see it
	for dir in $(MODULES); do (cd $$dir && GOWORK=off go mod tidy -diff); done

lint: $(BIN)/golangci-lint-$(GOLANGCI_LINT_VERSION) ## go vet's checks are among it
	$< run --allow-parallel-runners $(WORKSPACE)

race: ## vet has seen it in test and lint
	go test -race -vet=off ./... ./redisstore/... ./examples/services/...

fuzz: ## each target for FUZZTIME; a package is built once for all of its targets
	@temp=$$(mktemp -d) && trap 'rm -rf "$$temp"' EXIT && \
	git grep -lE '^func Fuzz' -- '*_test.go' ':!bench' | xargs -n1 dirname | sort -u | while read -r dir; do \
		go test -c -fuzz . -o "$$temp/fuzz.test" "./$$dir" > /dev/null || exit 1; \
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

interop: interop-programs ## real programs against ours; see there for what they need
	cd interop && go test -count=1 -timeout 10m . ./live
	cd interop && go test -count=1 -timeout 10m -v ./conformance
	cd interop && go test -count=1 -timeout 10m ./mcpclients
	cd redisstore && go test -tags redis -count=1 ./...

# Node 20 or newer, Python 3.11 or newer with venv, and on Debian what apt-get brings as root.
PYTHON_CLIENTS = interop/clients/python interop/mcpclients/python
.PHONY: interop-programs
interop-programs:
	npm --prefix interop ci --no-audit --no-fund
	npm --prefix interop/conformance ci --no-audit --no-fund
	npm --prefix interop/clients/node ci --no-audit --no-fund
	npm --prefix interop/mcpclients/node ci --no-audit --no-fund
	command -v chromium && command -v redis-server || \
		{ apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium redis-server python3-venv; }
	for dir in $(PYTHON_CLIENTS); do \
		python3 -m venv $$dir/.venv; \
		$$dir/.venv/bin/pip install -q --disable-pip-version-check --require-hashes -r $$dir/requirements.txt; \
	done

bench: ## ours beside the code, then beside the rivals
	go test -run '^$$' -bench . ./...
	cd bench && go run ./compare
	cd bench && go run ./onbehalf/compare
	cd bench && go run ./calls/compare

rivals: ## ours must be right where theirs are compared
	cd bench && go test -count=1 ./...

demo:
	go run ./examples/server -demo

$(BIN)/golangci-lint-$(GOLANGCI_LINT_VERSION):
	GOBIN=$(BIN) go install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_LINT_VERSION)
	mv $(BIN)/golangci-lint $@
