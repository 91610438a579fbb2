# make run    set up and bring the mesh up: three services, two replicas each
# make test   set up, install what the tests need, and run every test
# make check  the quick command: lint, types, imports, unit and simulation tests (under 60 s)
# make bench  compare the data path with its peers (about four minutes)
# make clean  remove everything that these made

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SETUP := $(VENV)/.setup-done
BENCH_SETUP := $(VENV)/.bench-done
# Two workers for two cores; each replica that a test starts is a process of its own.
WORKERS ?= 2
# Some machines are set to keep no bytecode; each process that starts here would compile all of its
# code again, for half a second of CPU.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help setup run test check bench clean system-packages

help:
	@sed -n 's/^# //p' Makefile | sed -n '1,5p'

setup: $(SETUP)

$(SETUP): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "txmesh needs Python 3.11 or newer; this is $$($(PYTHON) --version). Try: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || \
	  { rm -rf $(VENV); echo "No virtual environment could be made. On Debian: apt-get install python3-venv"; exit 1; }
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@

$(BENCH_SETUP): $(SETUP)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev,bench]'
	@touch $@

run: $(SETUP)
	$(BIN)/txmesh up

system-packages:
	@./deploy/system-packages.sh

test: $(SETUP) system-packages
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadgroup --ignore tests/chaos
	# Load and deadlines on real processes: these have the machine to themselves.
	$(BIN)/python -m pytest -rP tests/chaos

check: $(SETUP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/python -m pytest -q -n $(WORKERS) -m "not slow" tests/unit tests/contract tests/simulation

bench: $(BENCH_SETUP)
	$(BIN)/python -m bench

clean:
	rm -rf $(VENV) .mesh dist build .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -prune -exec rm -rf {} +
	rm -f twisted/plugins/dropin.cache twistd.pid
