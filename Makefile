# make run    installs what is missing, builds, and compares two kernels
# make test   installs what is missing, builds, and runs every test
# make help   lists the rest

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := build

GO ?= go
VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
# What go build would read: a change in any of it makes bin/ stale. Go's own
# cache then makes the build short.
SOURCES := go.mod go.sum $(shell find cmd framework guest images internal kernels suites -type f -not -path '*/testdata/*')

.PHONY: build
build: bin/.built ## build bin/: the command with all suites, and the guest's programs
	@:

# The guest's programs are built as framework/machine/vm does it for tests, so that
# both get the same bytes and share the templates in the cache. The command is the
# same bytes wherever a commit is built: merge compares its digest. All is built with
# -trimpath, here and by tests, so that nothing is compiled twice.
bin/.built: $(SOURCES) Makefile bin/.version
	@mkdir -p bin/guest
	@$(GO) build -trimpath -buildvcs=false -ldflags='-X main.version=$(VERSION)' -o bin/faultline ./cmd/faultline
	@CGO_ENABLED=0 GOFLAGS= $(GO) build -trimpath -buildvcs=false -ldflags='-s -w -buildid=' -o bin/guest/ ./guest/init ./guest/agent
	@rm -rf bin/suites # of earlier versions
	@touch $@

# Changes when the version does, as after a commit.
bin/.version: FORCE
	@mkdir -p bin
	@echo '$(VERSION)' | cmp -s - $@ || echo '$(VERSION)' > $@
FORCE:

.PHONY: man
man: build ## write the manual page to bin/faultline.1
	@bin/faultline man > bin/faultline.1

.PHONY: deps
deps: ## install what is missing (as root), or name the command that does
	@GO='$(GO)' tools/deps

.PHONY: test-deps
test-deps:
	@GO='$(GO)' tools/deps test

.PHONY: run
run: deps build ## compare the two default kernels
	@bin/faultline run

# One package at a time (-p 1): packages with real guests would starve each other on
# two cores, and a starved guest looks like one that hangs. vet -race first compiles, in
# parallel, most of what the tests need. -count=1: Go's cache of test results knows
# nothing of QEMU and of kernels. The race detector by default waits a second at each
# process' end.
.PHONY: test
test: test-deps build ## run every test, those with real guests included, and the fuzz targets on their corpus
	@$(GO) vet -race ./...
	@GORACE=atexit_sleep_ms=0 $(GO) test -race -cover -vet=off -p 1 -count=1 -timeout 30m ./...

.PHONY: test-short
test-short: ## run the tests that need no guest and no network
	@$(GO) test -short ./...

.PHONY: test-long
test-long: test-deps build ## run the long tests only: backports, bisections, CI jobs, in half an hour
	@FAULTLINE_LONG=1 $(GO) test -p 1 -count=1 -timeout 120m -run Long -skip Reliability ./...

# The tests that disturb what they test: TestReliability… and TestHostile… They are
# in make test, too. LONG=1 does them as docs/evidence/reliability.md describes, in one to two hours.
.PHONY: test-reliability
test-reliability: test-deps build ## kill, stop, starve and repeat runs, and boot hostile kernels; LONG=1 for one to two hours
	@FAULTLINE_LONG=$(LONG) $(GO) test -p 1 -count=1 -v -timeout $(if $(LONG),360m,30m) -run 'Reliability|Hostile' ./...

.PHONY: test-hosts
test-hosts: ## run make run in fresh roots of other Debians, as root and as a user, and compare (as root)
	@GO='$(GO)' tools/hosts

.PHONY: test-kvm
test-kvm: ## as root: observe with KVM in a nested machine, and compare with TCG, in 40 minutes; into results/kvm
	@tools/kvm results/kvm

.PHONY: fuzz
fuzz: ## try random inputs on every fuzz target, FUZZTIME=5s each
	@tools/fuzz

.PHONY: bench
bench: deps build ## measure boots, clones, scenarios and runs into bench.json
	@$(GO) run ./tools/bench

.PHONY: variants
variants: ## make the repository of test kernels in variants/
	@$(GO) run ./tools/variants variants

# The linters are a module of their own, so that theirs are no dependencies of ours.
LINT := $(GO) tool -modfile=tools/lint/go.mod golangci-lint

.PHONY: lint
lint: vet ## look for bugs, as .golangci.yml says, on both architectures, and check the workflows
	@GOARCH=arm64 $(GO) vet ./...
	@$(LINT) run ./...
	@$(GO) tool -modfile=tools/readers/go.mod actionlint

.PHONY: vet
vet: ## look for mistakes, and for source that gofmt would change
	@unformatted=$$("$$($(GO) env GOROOT)/bin/gofmt" -l cmd docs framework guest images internal kernels suites tools) && \
		if [ -n "$$unformatted" ]; then echo "not formatted (make fmt formats it):" $$unformatted >&2; exit 1; fi
	@$(GO) vet ./...

.PHONY: fmt
fmt: ## format the source
	@$(LINT) fmt

.PHONY: clean
clean: ## remove what make built; results and the cache stay
	@rm -rf bin

.PHONY: help
help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' Makefile | expand -t 18
