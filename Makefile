# What a fresh machine needs is Go and make. `make demo` shows what Evoke does, `make test` runs every test.
SHELL := /bin/sh
GO ?= go
VERSION ?= 0.1.0-dev
BIN := bin
LDFLAGS := -s -w -X github.com/evoke-run/evoke/node.Version=$(VERSION)
# The race detector needs a C compiler; without one the tests run without it and say so.
CC_FOUND := $(shell command -v "$${CC:-cc}" 2>/dev/null || command -v gcc 2>/dev/null || command -v clang 2>/dev/null)

# The Rust SDK is tested where there is a cargo.
CARGO_FOUND := $(shell command -v cargo 2>/dev/null)

.DEFAULT_GOAL := help

.PHONY: help
help: ## show the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: build
build: ## build bin/runtime and bin/fnctl
	$(GO) build -trimpath -ldflags '$(LDFLAGS)' -o $(BIN)/ ./cmd/runtime ./cmd/fnctl

.PHONY: demo
demo: build ## run the main job on real GitHub webhooks and print what happened
	$(GO) run -trimpath ./e2e/demo -runtime $(BIN)/runtime -fnctl $(BIN)/fnctl

.PHONY: test
test: vet ## run all tests, with the race detector when there is a C compiler
ifeq ($(CC_FOUND),)
	@echo 'no C compiler found: the tests run WITHOUT the race detector (Debian: apt-get install gcc; Alpine: apk add gcc musl-dev)'
	$(GO) test -timeout 20m ./...
else
	CGO_ENABLED=1 $(GO) test -vet=off -race -timeout 75m ./... # vet has been
	$(GO) test -vet=off -trimpath ./sandbox ./sandbox/rewrite ./sandbox/wasmtest/hostile # too slow under the race detector: more Go guests, WebAssembly's specification, floods
endif
	EVOKE_SIM_SEEDS=10000 $(GO) test -vet=off -trimpath -run '^(TestSimulation|TestHundredThousandTopics)' ./partition ./registry # without the race detector: nothing runs at once in a simulation, and the topics measure memory
	cd sdk/go && $(GO) test ./...
	cd examples/github && $(GO) test ./...
ifneq ($(CARGO_FOUND),)
	cd sdk/rust && cargo test --quiet --lib
endif

.PHONY: vet
vet: ## gofmt and go vet
	@unformatted=$$(gofmt -l $$(find . -name '*.go' -not -path './.git/*')); \
	if [ -n "$$unformatted" ]; then echo "not gofmt-ed:"; echo "$$unformatted"; exit 1; fi
	$(GO) vet -trimpath ./... # as make build has compiled what it needs
	cd sdk/go && $(GO) vet ./... && GOOS=wasip1 GOARCH=wasm $(GO) vet .
	GOOS=darwin $(GO) vet ./sandbox/... ./cmd/fnctl
	GOARCH=arm64 $(GO) vet ./sandbox/...

.PHONY: lint
lint: ## staticcheck, the version this repository is clean with
	$(GO) run honnef.co/go/tools/cmd/staticcheck@v0.8.2 ./...

.PHONY: fuzz
fuzz: ## fuzz every parser for 30 seconds each
	@for pkg in $$($(GO) list ./...); do \
		for f in $$($(GO) test -list '^Fuzz' $$pkg | grep '^Fuzz'); do \
			echo "$$pkg $$f"; $(GO) test -run '^$$' -fuzz "^$$f$$" -fuzztime 30s $$pkg || exit 1; \
		done; \
	done

.PHONY: crash
crash: ## kill the runtime 100 times under load and count every event
	EVOKE_CRASH_ROUNDS=100 $(GO) test -run Crash -timeout 60m -v ./e2e

SOAK ?= 1h

.PHONY: soak
soak: ## simulate and kill for SOAK (1h) and count every event
	EVOKE_SOAK=$(SOAK) $(GO) test -run '^TestSimulation$$' -timeout 0 -v ./partition
	EVOKE_SOAK=$(SOAK) $(GO) test -run '^TestCrash$$' -timeout 0 -v ./e2e

.PHONY: bench
bench: ## the figures of README.md and docs, against yardsticks of the same run
	$(GO) run ./bench log
	$(GO) run ./bench pipeline
	$(GO) run ./bench backlog
	$(GO) run ./bench http
	$(GO) run ./bench scheduler
	$(GO) run ./bench routing
	$(GO) run ./bench sandbox
	$(GO) run ./bench authoring

.PHONY: generate
generate: ## remake the SDK archive inside fnctl after a change under sdk/go, server/openapi.json after one of the API, docs/reference-* after one of fn.yaml or fnctl
	$(GO) generate ./cmd/fnctl
	$(GO) test ./server -run '^TestOpenAPIIsUpToDate$$' -update
	$(GO) test ./manifest ./cmd/fnctl -run '^TestReferenceIsUpToDate$$' -update

.PHONY: clean
clean: ## remove what was built
	rm -rf $(BIN)
