# The recipes a person types are the recipes CI runs: `.ci/run` calls `make lint` and `make test`.

CARGO ?= cargo
# HYPERTIDE=PATH takes a binary that is there already instead of building one.
BUILD := $(if $(HYPERTIDE),,build)
BINARY := $(or $(HYPERTIDE),$(or $(CARGO_TARGET_DIR),target)/release/hypertide)

.DEFAULT_GOAL := help
.PHONY: help build up down destroy status test lint deny bench bench-failover ci

help: ## Say what can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

build: ## Build the release binary
	$(CARGO) build --release --locked

up: $(BUILD) ## Build, then provision or converge the cluster
	$(BINARY) up

down: $(BUILD) ## Stop the cluster; data and network stay
	$(BINARY) down

destroy: $(BUILD) ## Remove the cluster with all its data
	$(BINARY) destroy --yes

status: $(BUILD) ## Show nodes, roles, lag, completeness and holds
	$(BINARY) status

test: ## Run all tests; the container tests need a Docker engine
	$(CARGO) test --locked --no-fail-fast

lint: ## Check formatting and lints, warnings denied
	$(CARGO) fmt --check
	$(CARGO) clippy --all-targets --locked -- -D warnings
	@# Tests bring features into the dependencies that the program itself has to do without.
	$(CARGO) check --locked

deny: ## Check licences, advisories and sources, when cargo-deny is installed
	@if $(CARGO) deny --version >/dev/null 2>&1; then \
		$(CARGO) deny --locked check; \
	else \
		echo "cargo-deny is not installed, so nothing was checked: cargo install cargo-deny --locked"; \
	fi

bench: ## Measure; prints figures and asserts none
	$(CARGO) bench --locked --bench operate --bench replicate --bench backup --bench exporter --bench load

bench-failover: ## Measure how long nobody can write when the primary is killed
	$(CARGO) bench --locked --bench failover

ci: lint test ## What CI runs
