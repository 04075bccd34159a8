# Two commands do everything on a fresh machine: `make demo` and `make test`. The others are for daily work.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DEMO := build/demo

.PHONY: help install demo test lint types unit mutate bench clean image

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "make %-10s %s\n", $$1, $$2}'

install: $(VENV)/.core ## set up .venv with the tocsin command

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.core: requirements/core.lock pyproject.toml | $(VENV)/bin/python
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/core.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/.dev: requirements/dev.lock pyproject.toml | $(VENV)/bin/python
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@ $(VENV)/.core

demo: install ## simulate a small city, watch it, score the alerts against the truth
	$(BIN)/tocsin demo --out $(DEMO)

test: $(VENV)/.dev lint types unit ## everything from lint and types to properties and oracles

lint: $(VENV)/.dev ## ruff and the import directions
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports

types: $(VENV)/.dev ## mypy, strict
	$(BIN)/mypy

unit: $(VENV)/.dev ## pytest with coverage
	$(BIN)/pytest --cov --cov-report=term:skip-covered

mutate: $(VENV)/.dev ## break each rule of docs/semantics.md once; a test must notice (minutes; before a release)
	$(BIN)/python -m tests.mutate

bench: $(VENV)/.dev ## speed and memory, as ratios from one run; writes bench/results.json (minutes)
	$(BIN)/python -m bench

image: ## build the image with buildah on the base image BASE
	buildah --storage-driver vfs bud --isolation chroot --build-arg BASE=$(BASE) -t tocsin .

clean: ## remove what was built, not the environment
	rm -rf build .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage
