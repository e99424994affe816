# Every check and every chore of this repository, one target each; `make` alone lists them.
#
# Needs Python 3.11 or later, make and git, nothing else. The targets build their own virtual
# environment from hash-pinned requirements, and build it again only when those change. Where
# packages come from is pip's own configuration; nothing here names a place.
#
#   make test PYTHON=python3.13 VENV=/tmp/py313    another Python, beside the usual environment
#   make test ARGS="-k digest -x"                  arguments for pytest (and coverage, bench)

PYTHON ?= python3
VENV ?= .venv
BENCH ?= build/bench
WORKERS ?= auto
ARGS ?=
BIN := $(VENV)/bin
# Twice quiet: warnings about the machine's own pip settings would drown the rest; errors are shown.
PIP := $(BIN)/python -m pip --disable-pip-version-check -qq

.DEFAULT_GOAL := help
.NOTPARALLEL:
.DELETE_ON_ERROR:
.SUFFIXES:
.PHONY: help setup test torture demo lint format types layers schemas current workflows check \
	coverage bench lock clean

help: ## List the targets
	@echo "usage: make TARGET [PYTHON=python3] [VENV=.venv] [ARGS=...]"; echo
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  \1#\2/p' $(firstword $(MAKEFILE_LIST)) \
		| while IFS='#' read -r name what; do printf '%-14s%s\n' "$$name" "$$what"; done

setup: $(VENV)/.dev ## Build the development environment, or bring it up to date

test: $(VENV)/.dev ## Run the tests, one worker for each processor
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal $(ARGS)

torture: $(VENV)/.dev ## Kill, stall and race runs at every boundary, with state in git: minutes
	TORTURE=whole $(BIN)/python -m pytest -n $(WORKERS) --dist worksteal tests/torture $(ARGS)

demo: $(VENV)/.runtime ## Plan and apply the example batches against the embedded API: no token, no calls
	@RECONCILER=$(BIN)/reconciler ./demo/run

lint: $(VENV)/.dev ## Check style (ruff) and formatting
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: $(VENV)/.dev ## Apply the formatter and the safe fixes of the style check
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

types: $(VENV)/.dev ## Check types (mypy, strict)
	$(BIN)/mypy

layers: $(VENV)/.dev ## Check that imports point down only
	$(BIN)/lint-imports

schemas: $(VENV)/.dev ## Write the JSON Schemas into schemas/ from the models
	$(BIN)/reconciler schema --out schemas

current: $(VENV)/.dev ## Check that the generated files are what would be generated now
	@rm -rf build/schemas && mkdir -p build/schemas
	$(BIN)/reconciler schema --out build/schemas >/dev/null
	@diff -r schemas build/schemas || { echo "schemas/ is out of date: run 'make schemas'" >&2; exit 1; }
	$(BIN)/python -m pip --disable-pip-version-check check

workflows: $(VENV)/.dev ## Check workflows and action: security (zizmor), form (JSON Schema)
	$(BIN)/zizmor --offline --no-progress . reconciler/scaffold/workflows/*.yml
	$(BIN)/check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml \
		reconciler/scaffold/workflows/*.yml
	$(BIN)/check-jsonschema --builtin-schema vendor.github-actions .github/actions/*/action.yml
	$(BIN)/check-jsonschema --builtin-schema vendor.dependabot .github/dependabot.yml

check: lint types layers current workflows ## All of the above that only read: what a commit must pass beside the tests

coverage: $(VENV)/.dev ## Run the tests and report the lines and branches they miss, sub-processes included
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest -n $(WORKERS) --dist worksteal $(ARGS)
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report

bench: $(VENV)/.dev $(BENCH)/.built ## Measure against limits taken in the same run (ARGS=--quick for a short look)
	$(BIN)/python -m bench --beside $(BENCH)/bin/python $(ARGS)

# What we are compared with has an environment of its own: none of it is a dependency of ours.
$(BENCH)/.built: $(BIN)/python requirements/bench.txt
	$(BIN)/python -m venv $(if $(wildcard $(BENCH)/pyvenv.cfg),--clear) $(BENCH)
	$(BENCH)/bin/python -m pip --disable-pip-version-check -qq \
		install --require-hashes -r requirements/bench.txt
	@touch $@

# Pins stay as they are unless pyproject.toml asks for something else; ARGS=--upgrade moves them.
# The resolver itself comes from a pinned list too, into an environment that is thrown away.
COMPILE = $(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-header --no-annotate --no-emit-index-url $(ARGS)
UV ?= build/lock/bin/uv

lock: $(UV) ## Pin the requirements again from pyproject.toml (ARGS=--upgrade for newer versions)
	$(COMPILE) pyproject.toml --all-extras --group dev --output-file requirements/dev.txt
	$(COMPILE) pyproject.toml --all-extras --constraint requirements/dev.txt \
		--output-file requirements/runtime.txt
	$(COMPILE) --group pyproject.toml:build --constraint requirements/dev.txt \
		--output-file requirements/build.txt
	$(COMPILE) --group pyproject.toml:bench --output-file requirements/bench.txt
	$(COMPILE) --group pyproject.toml:lock --output-file requirements/lock.txt
	rm -rf build/lock

build/lock/bin/uv: $(BIN)/python requirements/lock.txt
	$(BIN)/python -m venv build/lock
	build/lock/bin/python -m pip --disable-pip-version-check --quiet \
		install --require-hashes -r requirements/lock.txt

clean: ## Remove the environment and everything else that can be made again
	rm -rf $(VENV) build dist htmlcov .hypothesis .mypy_cache .pytest_cache .ruff_cache \
		.import_linter_cache .coverage .coverage.*
	find reconciler tests bench -name __pycache__ -type d -prune -exec rm -rf {} +

# --- environments -----------------------------------------------------------------------------
# One virtual environment, two stamps: .runtime says "enough to run the product", .dev says
# "enough to develop it" and implies the first. An existing directory is only ever emptied when it
# is a virtual environment whose interpreter has gone.

$(VENV)/.dev: $(BIN)/python requirements/dev.txt pyproject.toml
	$(PIP) install --require-hashes -r requirements/dev.txt
	$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $(VENV)/.runtime $@

$(VENV)/.runtime: $(BIN)/python requirements/runtime.txt requirements/build.txt pyproject.toml
	$(PIP) install --require-hashes -r requirements/build.txt -r requirements/runtime.txt
	$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

$(BIN)/python:
	@command -v $(PYTHON) >/dev/null 2>&1 || { \
		echo "There is no '$(PYTHON)' here. Install Python 3.11 or later," \
			"or name one: make PYTHON=/path/to/python3" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "'$(PYTHON)' is $$($(PYTHON) --version 2>&1); this needs Python 3.11 or later." \
			"Name one: make PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
		echo "'$(PYTHON)' cannot make virtual environments: its venv or ensurepip module is" \
			"missing. On Debian and Ubuntu: apt install python3-venv" >&2; exit 1; }
	$(PYTHON) -m venv $(if $(wildcard $(VENV)/pyvenv.cfg),--clear) $(VENV)
