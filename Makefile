# Two commands do everything on a fresh machine: `make demo` and `make test`. The others are for daily work.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DEMO := build/demo
# pip keeps nothing outside of this folder; `make install PIP_CACHE=` uses its cache.
PIP_CACHE ?= --no-cache-dir
PIP := $(BIN)/pip install --quiet --disable-pip-version-check $(PIP_CACHE)
# A quarter of the time of `tocsin check` where Python is told to keep no bytecode of its own.
COMPILE = $(BIN)/python -m compileall -q tocsin operators streams sinks monitoring
UV ?= uv
LOCK = $(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-emit-index-url
BASE ?= python:3.11-slim
# What the image runs: local, or flink.
RUNTIME ?= local
IMAGE = tocsin$(if $(filter flink,$(RUNTIME)),-flink)
IMAGE_FLAGS ?=

.PHONY: help install demo stack stack-down test lint types unit chaos mutate bench clean image lock

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "make %-10s %s\n", $$1, $$2}'

install: $(VENV)/.core ## set up .venv with the tocsin command

# A half-made environment would look like a finished one to make.
$(VENV)/bin/python:
	@command -v $(PYTHON) >/dev/null || { echo "make: no $(PYTHON) here; install Python 3.11 or newer, or name one: make PYTHON=/path/to/python3" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "make: $(PYTHON) is $$($(PYTHON) --version 2>&1), Tocsin needs 3.11 or newer; name another one: make PYTHON=python3.12" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); exit 1; }

$(VENV)/.core: requirements/core.lock pyproject.toml | $(VENV)/bin/python
	$(PIP) --require-hashes -r requirements/core.lock
	$(PIP) --no-deps --no-build-isolation -e .
	@$(COMPILE)
	@touch $@

$(VENV)/.dev: requirements/dev.lock pyproject.toml | $(VENV)/bin/python
	$(PIP) --require-hashes -r requirements/dev.lock
	$(PIP) --no-deps --no-build-isolation -e .
	@$(COMPILE)
	@touch $@ $(VENV)/.core

# What the servers of `make stack` and of the tests need on the machine; fetched once.
$(VENV)/.stack: stack/pom.xml stack/jars.lock streams/flink/pom.xml streams/flink/jars.lock $(wildcard streams/flink/java/*/*/*.java) deploy/flink/operator/pom.xml deploy/flink/operator/jars.lock stack/packages.py | $(VENV)/bin/python
	$(BIN)/python -m stack fetch
	@touch $@

demo: install ## simulate a small city, watch it, score the alerts against the truth
	$(BIN)/tocsin demo --out $(DEMO)

stack: | $(VENV)/bin/python ## start Kafka, Redis, ClickHouse, Prometheus, Alertmanager, Flink (fetches them the first time)
	$(BIN)/python -m stack up

stack-down: | $(VENV)/bin/python ## end them; their data stays (python -m stack down --forget removes it)
	$(BIN)/python -m stack down

test: $(VENV)/.dev $(VENV)/.stack lint types unit ## everything from lint and types to properties and oracles

lint: $(VENV)/.dev ## ruff and the import directions
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports

types: $(VENV)/.dev ## mypy, strict
	$(BIN)/mypy

unit: $(VENV)/.dev $(VENV)/.stack ## pytest on two cores, with coverage
	POLARS_MAX_THREADS=1 $(BIN)/pytest -n 2 --dist worksteal --cov --cov-report=term:skip-covered

chaos: $(VENV)/.dev $(VENV)/.stack ## one input, many ways: all cases of tests/chaos (hours; CASES="city and faust3" for some)
	POLARS_MAX_THREADS=1 $(BIN)/pytest tests/chaos --all-cases -n 2 --dist worksteal $(if $(CASES),-k "$(CASES)")

mutate: $(VENV)/.dev ## break each rule of docs/semantics.md once; a test must notice (minutes; before a release)
	$(BIN)/python -m tests.mutate

bench: $(VENV)/.dev ## speed and memory, as ratios from one run; writes bench/results.json (two hours; NAMES="flink steady" for some)
	@$(COMPILE)
	$(BIN)/python -m bench $(NAMES)

image: ## build the image with buildah on the base image BASE (RUNTIME=flink for Flink; CONTRIBUTING.md)
	buildah --storage-driver vfs bud --isolation chroot --build-arg BASE=$(BASE) --build-arg RUNTIME=$(RUNTIME) --target $(RUNTIME) $(IMAGE_FLAGS) -t $(IMAGE) .

lock: ## pin what pyproject.toml asks for, with hashes (needs uv)
	$(LOCK) --all-extras pyproject.toml requirements/build.in requirements/python-3.13.in -o requirements/dev.lock
	$(LOCK) -c requirements/dev.lock pyproject.toml requirements/build.in -o requirements/core.lock
	$(LOCK) $(addprefix --extra ,flink kafka servers metrics) -c requirements/dev.lock pyproject.toml requirements/build.in requirements/python-3.13.in -o requirements/flink.lock

clean: ## remove what was built, not the environment
	rm -rf build .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage
