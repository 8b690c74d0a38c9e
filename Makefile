# Thaw: the commands of everyday work. `make help` lists them.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
UV_VERSION := 0.13.8
UV := $(BIN)/uv
STAMP := $(VENV)/.installed

RECIPE ?= freqmedclip
DATA ?=
OUT ?= runs/$(RECIPE)-demo
DOCKER ?= docker
TARGETS ?= cpu gpu

# Tests run in several processes of one thread each (tests/conftest.py); more than four gain nothing.
PYTEST := $(BIN)/python -m pytest --numprocesses logical --maxprocesses 4 --dist loadfile

.PHONY: help setup demo dashboards test test-slow test-services test-docker check policy format ci lock image-locks images sbom clean

help: ## List the commands.
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(STAMP) ## Install Thaw and everything it needs into .venv, at the locked versions.

# uv pip sync makes the environment equal to the lock; bytecode is compiled once here, not at every start.
$(STAMP): requirements.lock pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@test "$$($(UV) --version 2>/dev/null | cut -d ' ' -f 2)" = "$(UV_VERSION)" \
	  || $(BIN)/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
	$(UV) pip sync --python $(BIN)/python --require-hashes --compile-bytecode requirements.lock
	$(UV) pip install --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@touch $(STAMP)

demo: setup ## Train, judge and export RECIPE at demo size (DATA=folder for your own images, OUT=folder for results).
	$(BIN)/thaw run $(RECIPE) --size demo $(if $(DATA),--data "$(DATA)") --out "$(OUT)" --seed 0

dashboards: setup ## Write alert rules and Grafana dashboards anew from pipelines/monitoring.
	$(BIN)/thaw monitoring write --out manifests/base/monitoring

test: setup ## Run the fast tests.
	$(PYTEST)

test-slow: setup ## Run the whole-system tests: doors agree, twenty kills, the text matters, third-party oracles.
	$(PYTEST) -m slow

test-services: setup ## Run the tests that need servers of this machine: Prometheus, Pushgateway, Alertmanager, Ceph.
	$(BIN)/python -m pytest -m services

test-docker: setup ## Run the tests of the images (`make images` first) and of graphs in containers; needs Docker.
	$(BIN)/python -m pytest -m docker tests/containers

check: setup ## Check formatting, lint, types, the direction of imports, and the Dockerfiles.
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/hadolint images/*.Dockerfile

# checkov asks for a packaging that pytest refuses: it lives in an environment of its own. No check is left out.
policy: setup ## Check the rendered manifests against security policies (checkov).
	@test -x build/policy/venv/bin/python || $(PYTHON) -m venv --without-pip build/policy/venv
	$(UV) pip sync --python build/policy/venv/bin/python --require-hashes --quiet .ci/policy.lock
	rm -rf build/policy/rendered
	$(BIN)/python .ci/policy.py build/policy/rendered
	build/policy/venv/bin/checkov --directory build/policy/rendered --framework kubernetes --compact --quiet --skip-download

format: setup ## Format the code and mend what lint can mend.
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

ci: ## Do what continuous integration does, in a fresh environment.
	.ci/run

RESOLVE = $(UV) pip compile --universal --python-version 3.11 --generate-hashes \
	  --no-annotate --no-header --no-emit-index-url --no-emit-find-links --quiet

lock: setup ## Resolve requirements anew into the lock files (hashes, no addresses).
	$(RESOLVE) --all-extras -o requirements.lock pyproject.toml
	$(RESOLVE) -o .ci/policy.lock - <<< "checkov==3.3.30"
	$(MAKE) --no-print-directory image-locks

# What the images hold, as subsets of requirements.lock: nothing is resolved a second time to another version.
SUBSET = $(RESOLVE) --constraint requirements.lock

image-locks: setup ## Cut images/*.lock out of requirements.lock.
	$(SUBSET) pyproject.toml --extra volumes -o images/cpu.lock
	$(SUBSET) pyproject.toml --extra train --extra volumes --no-emit-package triton -o images/gpu.lock
	echo triton | $(SUBSET) --no-deps - -o images/gpu-compile.lock

images: ## Build the container images (BASE=image, BUILD_FLAGS=..., PUSH=repository; TARGETS="cpu gpu gpu-compile").
	DOCKER="$(DOCKER)" BASE="$(BASE)" PUSH="$(PUSH)" BUILD_FLAGS="$(BUILD_FLAGS)" images/build $(TARGETS)

sbom: setup ## Write build/sbom/*.json (CycloneDX), what the images hold by their locks; needs no network.
	mkdir -p build/sbom
	for name in cpu gpu gpu-compile; do \
	  $(BIN)/cyclonedx-py requirements images/$$name.lock --pyproject pyproject.toml --output-reproducible \
	    --of JSON -o build/sbom/$$name.json; \
	done

clean: ## Remove caches and build products; environments, data and results stay.
	rm -rf build dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache *.egg-info
	find components pipelines tests -name __pycache__ -type d -prune -exec rm -rf {} +
