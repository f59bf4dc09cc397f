# `make demo` and `make test` need python3 (3.11 or newer) and make, and set up the rest themselves
# in .venv: once, and again when pyproject.toml or the Python changes.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin

# Which peers `make bench` measures: the extra `bench`, or `bench-all`.
PEERS ?= bench

# The stamps below say what .venv holds: which Python, and which extras.
VERSION := $(shell $(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null)
VENV_MADE     := $(VENV)/.python-$(or $(VERSION),missing)
DEV_INSTALLED := $(VENV)/.dev-installed
BENCH_INSTALLED := $(VENV)/.$(PEERS)-installed
DOCS_INSTALLED := $(VENV)/.docs-installed

export PIP_DISABLE_PIP_VERSION_CHECK := 1

.DEFAULT_GOAL := help
.PHONY: help demo test lint types pytest bench docs fuzz mutate format clean

help: ## list these targets
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | while IFS="$$(printf '\t')" read -r name what; \
		do printf '  make %-8s %s\n' "$$name" "$$what"; done

demo: $(DEV_INSTALLED) ## the whole pipeline on a small network
	$(BIN)/wengert demo

test: lint types pytest ## lint, types, and every test, on an installed wheel too

lint: $(DEV_INSTALLED) ## style and likely bugs
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(DEV_INSTALLED) ## mypy, strict, on src
	$(BIN)/mypy

pytest: $(DEV_INSTALLED) ## the tests alone; ARGS go to pytest
	$(BIN)/pytest -n auto --dist loadgroup $(ARGS)

bench: $(BENCH_INSTALLED) ## speed, beside the peers; PEERS=bench-all for more, ARGS to bench.py
	$(BIN)/python benchmarks/bench.py $(ARGS)

docs: $(DOCS_INSTALLED) ## the documentation as a site, in build/site
	$(BIN)/mkdocs build --strict --quiet
	@echo 'build/site/index.html'

fuzz: $(DEV_INSTALLED) ## random graphs for an hour, or FUZZ_SECONDS
	$(BIN)/python -m wengert.testing

mutate: $(DEV_INSTALLED) ## break the source in small ways and see whether tests notice
	$(BIN)/python tests/mutate.py $(ARGS)

format: $(DEV_INSTALLED) ## rewrite the code in the project's style
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean: ## remove what make and the tools made, .venv too
	rm -rf $(VENV) build dist *.egg-info .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV_MADE):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo 'wengert needs Python 3.11 or newer: make $(MAKECMDGOALS) PYTHON=/path/to/python3' >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
		{ echo '$(PYTHON) cannot make virtual environments. On Debian or Ubuntu: apt-get install python3-venv' >&2; exit 1; }
	@echo 'Setting up $(VENV): about a minute, once.'
	@rm -rf $(VENV)
	@$(PYTHON) -m venv $(VENV)
	@touch $@

$(DEV_INSTALLED): pyproject.toml $(VENV_MADE)
	$(BIN)/python -m pip install --quiet --editable '.[dev,jax]'
	@touch $@

$(BENCH_INSTALLED): $(DEV_INSTALLED)
	$(BIN)/python -m pip install --quiet --editable '.[$(PEERS)]'
	@touch $@

$(DOCS_INSTALLED): $(DEV_INSTALLED)
	$(BIN)/python -m pip install --quiet --editable '.[docs]'
	@touch $@
