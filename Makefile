# make run    install what is missing, build, and compare two kernels
# make test   install what is missing, build, and run all tests
# make help   list all targets

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := build

GO ?= go
VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
# The inputs of go build: a change of any makes bin/ stale. Go's build cache keeps the
# rebuild short.
SOURCES := go.mod go.sum $(shell find cmd framework guest images internal kernels suites -type f -not -path '*/testdata/*')

.PHONY: build
build: bin/.built ## build bin/: the command with all suites, the guest programs
	@:

# The guest programs are built with the flags of framework/machine/vm for tests, so that
# the binaries are identical and share the templates in the cache. The command does not
# depend on the build path, because merge compares its digest. It is static, and so runs on
# any distribution. Tests use the same flags, so that nothing is compiled twice.
bin/.built: $(SOURCES) Makefile bin/.version
	@mkdir -p bin/guest
	@CGO_ENABLED=0 $(GO) build -trimpath -buildvcs=false -ldflags='-s -w -X main.version=$(VERSION)' -o bin/faultline ./cmd/faultline
	@CGO_ENABLED=0 GOFLAGS= $(GO) build -trimpath -buildvcs=false -ldflags='-s -w -buildid=' -o bin/guest/ ./guest/init ./guest/agent
	@CGO_ENABLED=0 GOFLAGS= GOARCH=386 $(GO) build -trimpath -buildvcs=false -ldflags='-s -w -buildid=' -o bin/guest/ ./guest/victim32
	@rm -rf bin/suites # of earlier versions
	@touch $@

# Changes with the version, such as after a commit.
bin/.version: FORCE
	@mkdir -p bin
	@echo '$(VERSION)' | cmp -s - $@ || echo '$(VERSION)' > $@
FORCE:

.PHONY: man
man: build ## write the manual page to bin/faultline.1
	@bin/faultline man > bin/faultline.1

PREFIX ?= /usr/local
LIB = $(DESTDIR)$(PREFIX)/lib/faultline
SHARE = $(DESTDIR)$(PREFIX)/share

# The command finds the guest programs beside itself, through the link in bin/.
.PHONY: install
install: man ## install below DESTDIR and PREFIX (/usr/local)
	@install -D -m 755 -t $(LIB) bin/faultline
	@install -D -m 755 -t $(LIB)/guest bin/guest/init bin/guest/agent bin/guest/victim32
	@mkdir -p $(DESTDIR)$(PREFIX)/bin $(SHARE)/man/man1 $(SHARE)/bash-completion/completions
	@mkdir -p $(SHARE)/zsh/site-functions $(SHARE)/fish/vendor_completions.d $(SHARE)/doc/faultline
	@ln -sfn ../lib/faultline/faultline $(DESTDIR)$(PREFIX)/bin/faultline
	@gzip -9nc bin/faultline.1 > $(SHARE)/man/man1/faultline.1.gz
	@bin/faultline completion bash > $(SHARE)/bash-completion/completions/faultline
	@bin/faultline completion zsh > $(SHARE)/zsh/site-functions/_faultline
	@bin/faultline completion fish > $(SHARE)/fish/vendor_completions.d/faultline.fish
	@install -m 644 -t $(SHARE)/doc/faultline README.md
	@find docs -name '*.md' -o -name '*.svg' | while read -r f; do \
		install -D -m 644 "$$f" "$(SHARE)/doc/faultline/$$f" || exit; done
	@gzip -9nc CHANGELOG.md > $(SHARE)/doc/faultline/changelog.gz
	@install -m 644 tools/package/copyright $(SHARE)/doc/faultline/copyright
	@GO='$(GO)' tools/package/licenses bin/faultline | gzip -9n > $(SHARE)/doc/faultline/licenses.gz

.PHONY: package
package: build ## make the deb, rpm and tar packages in dist/, with checksums and an SBOM
	@GO='$(GO)' tools/package/build

.PHONY: deps
deps: ## install what is missing (as root), or print the command that does
	@GO='$(GO)' tools/deps

.PHONY: test-deps
test-deps:
	@GO='$(GO)' tools/deps test

.PHONY: run
run: deps build ## compare the two default kernels
	@bin/faultline run

# -p 1 runs one package at a time: packages with real guests would starve each other on
# two cores, and a starved guest looks like a hang. vet -race compiles most of what the
# tests need first, in parallel. -count=1: Go's test cache does not track QEMU and
# kernels. By default the race detector waits a second at the exit of each process.
.PHONY: test
test: test-deps build ## run all tests, including those with real guests
	@$(GO) vet -race ./...
	@GORACE=atexit_sleep_ms=0 $(GO) test -race -cover -vet=off -p 1 -count=1 -timeout 30m ./...

.PHONY: test-short
test-short: ## run the tests that need no guest and no network
	@$(GO) test -short ./...

.PHONY: test-long
test-long: test-deps build ## run the long tests only (half an hour)
	@FAULTLINE_LONG=1 $(GO) test -p 1 -count=1 -timeout 120m -run Long -skip Reliability ./...

# Tests that disturb runs: TestReliability… and TestHostile… make test runs them, too, in
# short form. LONG=1 runs them as described in docs/evidence/reliability.md, in one to two hours.
.PHONY: test-reliability
test-reliability: test-deps build ## disturb runs, and boot hostile kernels (LONG=1: 1 to 2 hours)
	@FAULTLINE_LONG=$(LONG) $(GO) test -p 1 -count=1 -v -timeout $(if $(LONG),360m,30m) -run 'Reliability|Hostile' ./...

.PHONY: test-hosts
test-hosts: ## as root: run make run in fresh Debian roots, and compare
	@GO='$(GO)' tools/hosts

.PHONY: test-kvm
test-kvm: ## as root: compare KVM, in a nested machine, with TCG (40 minutes)
	@tools/kvm results/kvm

.PHONY: fuzz
fuzz: ## try random inputs on every fuzz target, FUZZTIME=5s each
	@tools/fuzz

.PHONY: bench
bench: deps build ## measure boots, clones, scenarios and runs into bench.json
	@$(GO) run ./tools/bench

.PHONY: variants
variants: ## create the repository of test kernels in variants/
	@$(GO) run ./tools/variants variants

# The linters have their own module, so that their dependencies are not those of Faultline.
LINT := $(GO) tool -modfile=tools/lint/go.mod golangci-lint

.PHONY: lint
lint: vet ## run go vet on both architectures, and the linters
	@GOARCH=arm64 $(GO) vet ./...
	@$(LINT) run ./...
	@$(GO) tool -modfile=tools/readers/go.mod actionlint

.PHONY: vet
vet: ## run go vet, and check the formatting
	@unformatted=$$("$$($(GO) env GOROOT)/bin/gofmt" -l cmd docs framework guest images internal kernels suites tools) && \
		if [ -n "$$unformatted" ]; then echo "not formatted (make fmt formats it):" $$unformatted >&2; exit 1; fi
	@$(GO) vet ./...

.PHONY: fmt
fmt: ## format the source
	@$(LINT) fmt

.PHONY: clean
clean: ## remove bin/; keep results and the cache
	@rm -rf bin

.PHONY: help
help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' Makefile | expand -t 18
