# Every target below builds .venv first, and again only when the lock file or pyproject.toml has changed.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.SUFFIXES:

PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.installed

.PHONY: help demo test slow lint types bench check surface wheel lock clean

help:
	@echo "make demo     a minute on two cores, offline: what a head start is worth, and every command once"
	@echo "make test     run the tests"
	@echo "make slow     the long tail: every backbone at every depth (half an hour)"
	@echo "make lint     ruff: lint and format"
	@echo "make types    mypy, strict"
	@echo "make bench    measure speed and quality into .bench/ (BENCH=\"name ...\" for some of them)"
	@echo "make check    what CI runs: lint, types, test"
	@echo "make surface  write the command line's options anew into tests/app/surface.txt"
	@echo "make wheel    build dist/*.whl"
	@echo "make lock     resolve pyproject.toml anew into requirements.lock"
	@echo "make clean    delete .venv and everything built"

demo: $(STAMP)
	@$(BIN)/headstart demo --force

# Every core runs tests; one that is idle takes some of another's.
test: $(STAMP)
	@$(BIN)/python -m pytest -m "not slow" -n auto --dist worksteal

slow: $(STAMP)
	@$(BIN)/python -m pytest -m slow

lint: $(STAMP)
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check

types: $(STAMP)
	@$(BIN)/mypy

check: lint types test

bench: $(STAMP)
	@$(BIN)/python -m tests.benchmarks $(BENCH)

surface: $(STAMP)
	@HEADSTART_WRITE_SURFACE=1 $(BIN)/python -m pytest -q tests/app/test_cli_surface.py

wheel: $(STAMP)
	@$(BIN)/python -m build --wheel --no-isolation

# One file for Linux, Python 3.11 and later: versions and hashes, no addresses.
lock: $(STAMP)
	@$(BIN)/uv pip compile pyproject.toml --extra dev --universal --python-version 3.11 --upgrade --quiet \
		--generate-hashes --no-header --no-annotate --no-emit-index-url --no-emit-find-links \
		--output-file requirements.lock

clean:
	@rm -rf .venv build dist .bench .pytest_cache .mypy_cache .ruff_cache
	@find app models pipelines tests -name __pycache__ -type d -prune -exec rm -rf {} +

$(STAMP): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("error: Python 3.11 or newer is needed, this is " + sys.version.split()[0] + "\nhint: make PYTHON=python3.12 ...")'
	@echo "installing into .venv (some minutes the first time)" >&2
	@$(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@
