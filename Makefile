# What a person types. `make serve` and `make test` need nothing but Python >= 3.10, a C compiler and cargo;
# everything else goes into .venv. Stamps in .venv make a second run quick.

PYTHON3 ?= python3
VENV := .venv
BIN := $(VENV)/bin
PORT ?= 5000
# Workers of pytest; the machine's processors, unless told.
JOBS ?= $(shell nproc 2>/dev/null || echo 2)
# For each target of `make fuzz`.
FUZZ_SECONDS ?= 60
# What `make test-pythons` looks for.
PYTHONS ?= 3.10 3.11 3.12 3.13
BUILD_FLAGS ?= --release
PYTEST_FLAGS ?=
BENCH_FLAGS ?=
RELIABILITY_FLAGS ?=

# pyo3 must find the interpreter of the virtual environment, whatever is active.
export PYO3_PYTHON := $(abspath $(BIN)/python)
ifdef CARGO_TARGET_DIR
export CARGO_TARGET_DIR
endif

RUST_SOURCES := $(shell find src -name '*.rs') Cargo.toml Cargo.lock
PYTHON_SOURCES := $(wildcard python tests examples benches)

.PHONY: help serve build test test-rust test-python test-pythons soak check lint bench compare-reliability wheel wheel-test fuzz docs clean

help:
	@echo 'make serve   build, and serve examples/flask_app on http://127.0.0.1:$(PORT) with 4 workers'
	@echo 'make test    all tests, Rust and Python'
	@echo 'make check   what CI runs: formatting, lints, types, generated files, then all tests'
	@echo 'make soak    reloads, upgrades and crashes under load, many times; takes an hour'
	@echo 'make bench   rgunicorn beside other servers'
	@echo 'make compare-reliability   requests lost by rgunicorn, Gunicorn and Granian'
	@echo 'make wheel   a wheel and an sdist in dist/'
	@echo 'make wheel-test     both of them installed, and tried, in clean virtual environments'
	@echo 'make test-pythons   the Python tests on each of CPython $(PYTHONS) that this machine has'
	@echo 'make fuzz    random bytes for the parsers, $(FUZZ_SECONDS) seconds each'
	@echo 'make docs    write docs/settings.md anew'
	@echo 'make clean   remove what the above has made'

serve: build
	$(BIN)/rgunicorn --workers 4 --bind 127.0.0.1:$(PORT) --chdir examples/flask_app flask_app:app

build: $(VENV)/.built

test: test-rust test-python

test-rust: $(VENV)/.installed
	cargo test --no-default-features

test-python: build
	$(BIN)/pytest --numprocesses $(JOBS) $(PYTEST_FLAGS)

test-pythons:
	tests/pythons.sh $(PYTHONS)

check: lint test

lint: build
	cargo fmt --check
	cargo clippy --all-targets --no-default-features -- -D warnings
	cargo clippy --all-targets -- -D warnings
	RUSTDOCFLAGS='-D warnings' cargo doc --no-deps --document-private-items
	$(BIN)/ruff check $(PYTHON_SOURCES)
	$(BIN)/ruff format --check $(PYTHON_SOURCES)
	$(BIN)/mypy --strict python/rgunicorn
	$(BIN)/stubtest rgunicorn._native
	$(BIN)/pytest -q tests/test_layout.py
	$(BIN)/python -m rgunicorn.config --markdown | diff docs/settings.md -

# Writes the generated files anew.
docs: build
	$(BIN)/python -m rgunicorn.config --markdown > docs/settings.md

bench: build
	benches/setup.sh
	$(BIN)/python benches/run.py $(BENCH_FLAGS)

wheel: $(VENV)/.installed
	rm -rf dist
	$(BIN)/maturin build --release --out dist
	$(BIN)/maturin sdist --out dist

# Not part of `make check`: it compiles twice with optimizations.
wheel-test: wheel
	tests/smoke.sh $(BIN)/python dist/*.whl dist/*.tar.gz

# Every tests/test_loss*.py as often as that, and longer storms of signals. SOAK_FLAGS: -k, -x ...
SOAK_ROUNDS ?= 20
# One at a time, for the latencies.
SOAK_JOBS ?= 1
SOAK_FLAGS ?=
STORM_SECONDS ?= 120

soak: build
	rm -f $(VENV)/soak.jsonl
	LOSS_ROUNDS=$(SOAK_ROUNDS) STORM_SECONDS=$(STORM_SECONDS) LOSS_REPORT=$(abspath $(VENV))/soak.jsonl \
		$(BIN)/pytest --numprocesses $(SOAK_JOBS) --dist=load -rP $(SOAK_FLAGS) tests/test_loss_*.py
	PYTHONPATH=benches $(BIN)/python -m reliability.soaked $(VENV)/soak.jsonl

# Less than ten minutes; nothing else may run meanwhile.
compare-reliability: build benches/.venv/bin/granian
	PYTHONPATH=benches:tests $(BIN)/python -m reliability $(RELIABILITY_FLAGS)

benches/.venv/bin/granian:
	test -x benches/.venv/bin/python || $(PYTHON3) -m venv benches/.venv
	benches/.venv/bin/python -m pip install --quiet --disable-pip-version-check granian

fuzz:
	@cargo +nightly fuzz --version >/dev/null 2>&1 || \
		{ echo >&2 'first: rustup toolchain install nightly && cargo install cargo-fuzz'; exit 1; }
	for target in $$(cargo +nightly fuzz list); do \
		cargo +nightly fuzz run $$target -- -max_total_time=$(FUZZ_SECONDS) || exit 1; \
	done

clean:
	rm -rf $(VENV) .venv-3.* dist target
	rm -f python/rgunicorn/_native*.so

$(VENV)/.built: $(VENV)/.installed $(RUST_SOURCES) pyproject.toml
	VIRTUAL_ENV=$(abspath $(VENV)) $(BIN)/maturin develop --quiet $(BUILD_FLAGS)
	@touch $@

$(VENV)/.installed: requirements-dev.txt
	@$(PYTHON3) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || \
		{ echo >&2 'rgunicorn needs Python >= 3.10: set PYTHON3=/path/to/python3'; exit 1; }
	@$(PYTHON3) -c 'import ensurepip, venv' 2>/dev/null || \
		{ echo >&2 "$(PYTHON3) has no venv module. On Debian: apt-get install python3-venv python3-dev"; exit 1; }
	@command -v cargo >/dev/null || { echo >&2 'cargo is missing: https://rustup.rs'; exit 1; }
	@command -v cc >/dev/null || { echo >&2 'a C compiler is missing. On Debian: apt-get install gcc libc6-dev'; exit 1; }
	test -x $(BIN)/python || $(PYTHON3) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	@touch $@
