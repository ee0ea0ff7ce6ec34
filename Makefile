# The one list of commands. Target names and places of results are those of DuckDB's extension template;
# `make help` lists them. A fresh machine needs Rust, Python 3.11 or newer with venv, and GNU make.

.DEFAULT_GOAL := help
.NOTPARALLEL:
MAKEFLAGS += --no-builtin-rules
SHELL := /bin/bash

EXTENSION_NAME := questdb

# The only place that decides which release of DuckDB this is for; tools/check_versions.py compares all others with it.
TARGET_DUCKDB_VERSION ?= v2.0.0
# The v2 C API has no stable part yet: a build loads in exactly the release named in its footer.
DUCKDB_ABI := C_STRUCT_UNSTABLE
EXTENSION_VERSION ?= v$(shell sed -n '/^\[workspace.package\]/,/^\[/s/^version = "\(.*\)"/\1/p' Cargo.toml)

OS := $(shell uname -s)
ARCH := $(shell uname -m)
DUCKDB_PLATFORM ?= $(if $(filter Darwin,$(OS)),osx,linux)_$(if $(filter arm64 aarch64,$(ARCH)),arm64,amd64)
LIBRARY := lib$(EXTENSION_NAME).$(if $(filter Darwin,$(OS)),dylib,so)

PYTHON ?= python3
VENV := configure/venv
VENV_PYTHON := $(VENV)/bin/python
TARGET_DIR := $(or $(CARGO_TARGET_DIR),target)
FIXTURES := build/fixtures
EXTENSION_FILE := $(EXTENSION_NAME).duckdb_extension

# What to run, and how much of it.
TESTS ?= test/sql
JOBS ?= 2
BENCH_ARGS ?=
EXPORT_BENCH_ARGS ?= $(filter --quick,$(BENCH_ARGS))
FUZZ_SECONDS ?= 60
FUZZ_TARGETS ?=
# All checks; the advisories come from GitHub, so without it: DENY='licenses bans sources'.
DENY ?=

# Tests of all kinds find their data here; nothing is written outside build/, configure/ and target/, but for `make fuzz`.
export QUESTDB_FIXTURES := $(abspath $(FIXTURES))
export QUESTDB_EXTENSION = $(abspath build/release/$(EXTENSION_FILE))
export PYTHONPYCACHEPREFIX := $(abspath build/pycache)
PYTEST = $(VENV_PYTHON) -m pytest -q -o cache_dir=$(abspath build/pytest_cache)
SQLLOGIC = $(VENV_PYTHON) tools/sqllogic.py --fixtures $(FIXTURES) --jobs $(JOBS)

##@ Use
.PHONY: demo help
demo: release fixtures ## Show the extension at work on a bundled table
	$(VENV_PYTHON) tools/demo.py

help: ## List the targets
	@awk 'BEGIN {FS = ":.*## "} /^##@/ {printf "\n%s\n", substr($$0, 5)} \
		/^[a-z_-]+:.*## / {printf "  %-15s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

##@ Build
.PHONY: configure configure-test release debug
configure: $(VENV)/.installed ## Make the Python environment, configure/venv

configure-test: $(VENV)/.test_installed ## Add what the tests in Python need (large: other readers of Parquet)

# The stamp is newer than the list if and only if everything on the list is installed.
$(VENV)/.installed: requirements.txt
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("DuckDB needs Python 3.11 or newer, this is " \
		+ sys.version.split()[0] + "; name another: make PYTHON=python3.12")'
	rm -rf $(VENV)
	$(PYTHON) -m venv $(VENV)
	$(VENV_PYTHON) -m pip install --quiet --disable-pip-version-check --no-compile -r requirements.txt
	touch $@

$(VENV)/.test_installed: requirements-test.txt $(VENV)/.installed
	$(VENV_PYTHON) -m pip install --quiet --disable-pip-version-check --no-compile -r requirements-test.txt
	touch $@

release: ## Build build/release/questdb.duckdb_extension
	$(call build,release,--release)

debug: ## Build build/debug/questdb.duckdb_extension
	$(call build,debug,)

# $(1) profile, $(2) Cargo's option for it. The second name is where DuckDB's distribution workflow looks.
define build
cargo build --locked $(2) -p $(EXTENSION_NAME) -p footer
@mkdir -p build/$(1)/extension/$(EXTENSION_NAME)
$(TARGET_DIR)/$(1)/footer $(TARGET_DIR)/$(1)/$(LIBRARY) build/$(1)/$(EXTENSION_FILE) \
	--extension-version $(EXTENSION_VERSION) --duckdb-version $(TARGET_DUCKDB_VERSION) \
	--platform $(DUCKDB_PLATFORM) --abi $(DUCKDB_ABI)
@ln -f build/$(1)/$(EXTENSION_FILE) build/$(1)/extension/$(EXTENSION_NAME)/
endef

##@ Test
.PHONY: test test_release test_debug test-live fixtures lint check_versions docs-check deny fuzz bench
test: check_versions lint release debug fixtures configure-test ## Run every test, as CI does
	cargo test --locked --workspace
	$(PYTEST) tools
	$(PYTEST) -n $(JOBS) --dist worksteal test/python
	$(SQLLOGIC) --extension build/debug/$(EXTENSION_FILE) $(TESTS)
	$(SQLLOGIC) --extension build/release/$(EXTENSION_FILE) $(TESTS)

test_release: release fixtures ## Run the sqllogictests on the release build (TESTS=test/sql/...)
	$(SQLLOGIC) --extension build/release/$(EXTENSION_FILE) $(TESTS)

test_debug: debug fixtures ## Run the sqllogictests on the debug build (TESTS=test/sql/...)
	$(SQLLOGIC) --extension build/debug/$(EXTENSION_FILE) $(TESTS)

test-live: release fixtures ## Test beside a running QuestDB server (LIVE_ARGS='--seconds 600')
	$(VENV_PYTHON) test/live/run.py $(LIVE_ARGS)

fixtures: configure ## Unpack test/data to build/fixtures
	@$(VENV_PYTHON) tools/unpack_fixtures.py test/data $(FIXTURES)

lint: ## Check formatting, and for warnings
	cargo fmt --all --check
	cargo clippy --locked --workspace --all-targets -- -D warnings

check_versions: configure ## Check that all version numbers agree
	@$(VENV_PYTHON) tools/check_versions.py $(TARGET_DUCKDB_VERSION)

docs-check: ## Check the Rust documentation for warnings, such as broken links
	RUSTDOCFLAGS='-D warnings' cargo doc --locked --workspace --no-deps --document-private-items

deny: ## Check licences and advisories of the dependencies
	@cargo deny --version >/dev/null 2>&1 || { echo 'needs cargo-deny: cargo install --locked cargo-deny'; exit 1; }
	cargo deny --locked check $(DENY)

fuzz: fixtures ## Fuzz every parser for FUZZ_SECONDS each (FUZZ_TARGETS='meta txn')
	@cargo +nightly fuzz --version >/dev/null 2>&1 || { echo 'needs cargo-fuzz and a nightly toolchain:' \
		'rustup toolchain install nightly && cargo install --locked cargo-fuzz'; exit 1; }
	cargo run --quiet --locked -p questdb-fuzzing --bin seeds -- fuzz/corpus
	@targets=$$(cargo +nightly fuzz list) && for target in $(or $(FUZZ_TARGETS),$$targets); do \
		cargo +nightly fuzz run $$target -- -max_total_time=$(FUZZ_SECONDS) -timeout=20 || exit 1; done

bench: release fixtures configure-test ## Compare with DuckDB's own tables and Parquet (BENCH_ARGS=--quick)
	$(VENV_PYTHON) benches/bench.py $(BENCH_ARGS)
	$(VENV_PYTHON) benches/bench_export.py $(EXPORT_BENCH_ARGS)

##@ Clean
.PHONY: clean clean_all
clean: ## Remove what was built, keep what was downloaded
	cargo clean
	rm -rf $(addprefix build/,release debug fixtures pycache pytest_cache)

clean_all: clean ## Remove everything that is not in the repository
	rm -rf build configure $(addprefix fuzz/,artifacts corpus coverage target)
