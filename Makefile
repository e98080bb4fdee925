# The commands of this project. `make` alone lists them.
#
# Everything runs as root or with sudo: network namespaces and FRR's private
# directories need it. Compiling never does, so target/ stays yours.

SHELL     := /bin/bash
CARGO     ?= cargo
# SETUP=skip: install nothing (another distribution, or no network).
SETUP     ?= run
# What the tests and labs run under when make is not root.
SUDO      := $(shell [ "$$(id -u)" = 0 ] || echo sudo -E env PATH="$$PATH")
# cargo runs test binaries through this.
ifneq ($(SUDO),)
RUNNER    := --config 'target."cfg(unix)".runner = ["sudo", "-E"]'
endif
NETLOOM   := $(or $(CARGO_TARGET_DIR),target)/release/netloom
LAB       ?= examples/clos-bgp/lab.yaml

.DEFAULT_GOAL := help
.PHONY: help setup setup-demo setup-bench build demo test test-rust test-vm test-setup bench soak fuzz gates lint deny generate

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## Install the system packages that tests need (Debian, Ubuntu); starts no daemon
	@[ "$(SETUP)" = skip ] || tools/setup.sh test

setup-demo:
	@[ "$(SETUP)" = skip ] || tools/setup.sh demo

setup-bench:
	@[ "$(SETUP)" = skip ] || tools/setup.sh bench

build: ## Build the netloom command, optimised
	$(CARGO) build --release --locked --package netloom

demo: setup-demo build ## Build netloom and test a leaf-spine fabric of real FRR routers with it
	$(SUDO) $(NETLOOM) ci $(LAB) --junit out.xml

test: setup gates test-rust test-vm ## Run every test and the fast gates

test-rust:
	$(CARGO) test --workspace --locked --no-fail-fast $(RUNNER)

test-vm: ## Run what this kernel may lack (netem) under Debian's, in a virtual machine
	$(CARGO) dev vm-tests

test-setup: setup ## Prove the set-up on a bare Debian made by debootstrap (a minute, needs a mirror)
	$(CARGO) dev setup-proof $(PROOF)

bench: setup-bench build ## Measure against the floor, ip, mininet and hand-made links; fails below the goals
	$(CARGO) run --quiet --release --locked --package netloom-dev -- bench

soak: setup ## Repeat the chaos tests with many more kills (SOAK=runs), fuzz each reader for an hour (FUZZ_SECONDS); writes benches/SOAK.md
	SOAK=$(or $(SOAK),2000) FUZZ_SECONDS=$(or $(FUZZ_SECONDS),3600) FUZZ_JOBS=$(or $(FUZZ_JOBS),2) tools/soak.sh $(RUNNER)

fuzz: ## Feed every reader of foreign bytes with made-up ones (FUZZ_SECONDS each, 60; FUZZ=targets; FUZZ_JOBS at once)
	FUZZ_SECONDS=$(or $(FUZZ_SECONDS),60) FUZZ_JOBS=$(or $(FUZZ_JOBS),1) tools/fuzz.sh $(FUZZ)

gates: ## The fast gates: formatting, clippy, direction of the crates, generated files
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets --locked -- -D warnings
	$(CARGO) dev layers
	$(CARGO) dev generate --check

lint: gates deny ## The fast gates and `deny`

deny: ## Licences, bans and sources of every dependency (installs cargo-deny once: 2.5 minutes)
	tools/deny.sh

generate: ## Rewrite the generated files: schema, command reference, man pages, completions
	$(CARGO) dev generate
