# sessionproxy: `make run` shows it, `make test` proves it. There are two modules:
# the product, and e2e with what its tests need besides.

GO      ?= go
BIN     := bin/sessionproxy
LINT    := github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.12.2
TESTS   := gotest.tools/gotestsum@v1.13.0
VULN    := golang.org/x/vuln/cmd/govulncheck@latest

.PHONY: run build test test-deps lint vuln bench bench-short bench-compare trials-short stress fuzz clean

## run: the demo, two apps behind one proxy
run: build
	$(BIN) demo

## build: the Caddy binary with the module in it
build:
	$(GO) build -o $(BIN) ./cmd/sessionproxy

## test: everything, end to end included; installs what that needs. At the end
## it lists what failed, and what was skipped and why
test: test-deps
	GO="$(GO)" $(GO) run $(TESTS) --format pkgname --format-hide-empty-pkg --raw-command -- sh e2e/test-all.sh -race -timeout 30m

## test-deps: Debian packages of the end-to-end tests (says what it does, asks nothing)
test-deps:
	@sh e2e/install-deps.sh

## lint: formatting, vet and the linters of .golangci.yml
lint:
	$(GO) run $(LINT) run ./...
	$(GO) run -C e2e $(LINT) run ./...

## vuln: known vulnerabilities in what the binary and the tools of e2e use
vuln:
	$(GO) run $(VULN) ./...
	$(GO) run -C e2e $(VULN) ./...

## bench: the product against bare Caddy, long runs of one proxy, then Go
## benchmarks of the parts: an hour
bench:
	$(GO) run -C e2e ./bench
	$(GO) run -C e2e ./bench -trials
	$(GO) test -run '^$$' -bench . -benchmem ./store/... ./sessionproxy/...

## bench-short: the same in about a minute
bench-short:
	$(GO) run -C e2e ./bench -short

## bench-compare: the working tree against the commit BASE, a minute beside two builds; more
## rounds, or other flags of e2e/bench, in BENCH
BENCH ?= -short
bench-compare:
	@test -n "$(BASE)" || { echo "usage: make bench-compare BASE=<git ref>"; exit 2; }
	$(GO) run -C e2e ./bench -base "$(BASE)" $(BENCH)

## trials-short: the long runs in about four minutes
trials-short:
	$(GO) run -C e2e ./bench -trials -short

## stress: hours under load, kills, reloads, a full disk: DURATION=2h, and any
## flags of e2e/stress in STRESS; only root can fill a disk of its own
DURATION ?= 2h
stress:
	$(GO) run -C e2e ./stress -duration $(DURATION) $(STRESS)

## fuzz: every fuzz target for FUZZTIME each
FUZZTIME ?= 30s
fuzz:
	@sh e2e/fuzz-all.sh $(FUZZTIME)

clean:
	rm -rf bin
