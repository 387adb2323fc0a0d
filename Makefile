# What people and CI run. Tools are pinned here.
SHELL = bash
.SHELLFLAGS = -euo pipefail -c
GOLANGCI_LINT_VERSION = v2.15.0
FUZZTIME ?= 10s
BIN = $(CURDIR)/bin

.PHONY: all build test lint race fuzz interop bench rivals demo

all: build lint race

build: ## every platform that users have
	go build ./...
	GOOS=windows go build ./...
	GOOS=darwin go build ./...

test:
	go test ./...

lint: $(BIN)/golangci-lint-$(GOLANGCI_LINT_VERSION)
	go vet ./...
	go vet -tags interop ./interop
	cd bench && go vet ./...
	$< run --allow-parallel-runners ./...

race:
	go test -race ./...

fuzz: ## each target for FUZZTIME
	@grep -rlE '^func Fuzz' --include='*_test.go' . | xargs -n1 dirname | sort -u | while read -r dir; do \
		for target in $$(grep -hoE '^func Fuzz\w+' $$dir/*_test.go | cut -d' ' -f2); do \
			echo "$$dir $$target"; \
			go test $$dir -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 5x | tail -n 2; \
		done; \
	done

interop: ## real programs against ours; needs Node 20 or newer
	npm --prefix interop ci --no-audit --no-fund
	go test -tags interop -count=1 -timeout 10m ./interop

bench: ## ours beside the code, then beside the rivals
	go test -run '^$$' -bench . ./...
	cd bench && go run ./compare

rivals: ## ours must be right where theirs are compared
	cd bench && go test -count=1 ./...

demo:
	go run ./examples/server -demo

$(BIN)/golangci-lint-$(GOLANGCI_LINT_VERSION):
	GOBIN=$(BIN) go install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_LINT_VERSION)
	mv $(BIN)/golangci-lint $@
