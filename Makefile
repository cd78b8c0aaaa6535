# `make help` lists the targets. demo and test bring what they lack (scripts/setup.sh): Go and apt are enough.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

GO ?= go
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
LDFLAGS := -s -w -X main.version=$(VERSION)
# Pinned: a newer linter's findings come with a commit, not with the morning.
GOLANGCI := github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.5.0
STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.6.1
FUZZTIME ?= 20s

.PHONY: help
help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: build
build: ## build bin/serval, one static binary
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '$(LDFLAGS)' -o bin/serval ./cmd/serval

.PHONY: test
test: setup-test build ## vet and all tests, on real MySQL and MariaDB servers
	$(GO) vet -tags soak ./...
	$(GO) test -count=1 -timeout 780s ./integration ./... # the longest first; not from the cache: integration runs a binary the cache knows nothing of

.PHONY: race
race: setup-test build ## all tests with the race detector
	$(GO) test -race -count=1 -timeout 900s ./...

.PHONY: lint
lint: ## golangci-lint if it can be had, else staticcheck; always go vet
	$(GO) vet ./...
	@if command -v golangci-lint >/dev/null; then golangci-lint run; \
	elif $(GO) run $(GOLANGCI) version >/dev/null 2>&1; then $(GO) run $(GOLANGCI) run; \
	elif $(GO) run $(STATICCHECK) -version >/dev/null 2>&1; then $(GO) run $(STATICCHECK) ./...; \
	else echo "no linter to be had here: install golangci-lint v2, or make $(GOLANGCI) reachable for go run" >&2; exit 1; fi

.PHONY: fuzz
fuzz: ## every fuzz target for FUZZTIME (20s) each
	@$(GO) list -f '{{$$p := .ImportPath}}{{range .TestGoFiles}}{{$$.Dir}}/{{.}} {{$$p}}{{"\n"}}{{end}}{{range .XTestGoFiles}}{{$$.Dir}}/{{.}} {{$$p}}{{"\n"}}{{end}}' ./... | \
	while read -r file package; do \
	  for target in $$(sed -n 's/^func \(Fuzz[A-Za-z0-9_]*\)(.*/\1/p' "$$file"); do \
	    echo "$$package $$target"; $(GO) test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) "$$package"; \
	  done; \
	done

.PHONY: bench
bench: setup-bench build ## throughput, p99 and proxy CPU: direct, Serval and MySQL Router in one run
	$(GO) run ./bench $(BENCHFLAGS)

.PHONY: demo
demo: build ## a sharded shop on real servers: two clusters, Serval, things to paste
	scripts/setup.sh engine
	bin/serval demo $(DEMOFLAGS)

.PHONY: soak
soak: setup-test build ## a minute of sysbench on each engine, the union of the shards checked; a million rows streamed
	scripts/setup.sh sysbench
	$(GO) test -tags soak -v -timeout 1800s -run 'Soak' ./integration

.PHONY: clean
clean: ## remove what the build made (the unpacked MySQL stays in the user's cache)
	rm -rf bin dist
	$(GO) clean -testcache

.PHONY: setup-test setup-bench
setup-test:
	scripts/setup.sh mysql mariadb pymysql
setup-bench:
	scripts/setup.sh mysql sysbench
