# Every way to work on assay. `make help` lists it.
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
SHELL := /bin/bash

PYTHON ?= python3
VENV := .venv
PY := $(VENV)/bin/python
CLUSTER := hack/cluster/cluster
PYTEST := $(PY) -m pytest

.PHONY: help
help: ## List the targets
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sort | awk -F ':.*## ' '{printf "  %-20s %s\n", $$1, $$2}'

## ---- set-up

$(VENV)/.installed: requirements-dev.txt hack/uv.txt pyproject.toml
	@echo "==> Python environment in $(VENV)"
	@test -x $(PY) || $(PYTHON) -m venv $(VENV)
	@$(PY) -m pip install --quiet --require-hashes -r hack/uv.txt
	$(VENV)/bin/uv pip install --require-hashes -r requirements-dev.txt
	@$(VENV)/bin/uv pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

.PHONY: venv
venv: $(VENV)/.installed ## Make the Python environment with hash-pinned dependencies

.PHONY: lock
lock: ## Recompile the hash-pinned requirements from pyproject.toml
	$(VENV)/bin/uv pip compile -q --python-version 3.11 --generate-hashes --no-emit-index-url --no-header pyproject.toml -o requirements.txt
	$(VENV)/bin/uv pip compile -q --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --extra dev -c requirements.txt pyproject.toml -o requirements-dev.txt

.PHONY: cluster-build
cluster-build: ## Build Kubernetes and what runs beside it (10 to 12 minutes the first time, cached)
	$(CLUSTER) build

.PHONY: cluster-up
cluster-up: ## Start the local node: a real Kubernetes without Docker
	$(CLUSTER) up --profile node

.PHONY: cluster-down
cluster-down: ## Take the local node down; nothing is left behind
	$(CLUSTER) down

.PHONY: images
images: venv ## Build the images of operator, Triton and the demo's models
	hack/images/build

## ---- checks and tests

.PHONY: check
check: venv ## Format, lint, types, import contracts, generated files, unit tests
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/ruff check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports
	$(MAKE) --no-print-directory verify-generated
	$(PYTEST) tests/unit -q

.PHONY: generate
generate: venv ## Renew every generated file
	$(PY) -m assay crds --out crds
	$(PY) hack/generate_api_reference.py
	$(PY) hack/generate_conditions_reference.py
	$(PY) hack/generate_cli_reference.py
	$(PY) hack/generate_adr_index.py
	$(PY) hack/generate_metrics_reference.py
	$(PY) hack/generate_dashboards.py
	$(PY) hack/render_chart_crds.py

.PHONY: verify-generated
verify-generated: ## Fail if a generated file is not what its source says
	@out=$$(mktemp -d) && trap 'rm -rf "$$out"' EXIT && cp -r crds docs/reference docs/adr charts "$$out" \
	  && $(MAKE) --no-print-directory generate >/dev/null \
	  && diff -r crds "$$out/crds" && diff -r docs/reference "$$out/reference" && diff -r docs/adr "$$out/adr" && diff -r charts "$$out/charts" \
	  && echo "generated files are up to date"

.PHONY: test-integration
test-integration: venv ## Tests against the real API server
	$(PYTEST) tests/integration

.PHONY: test-e2e
test-e2e: venv ## Tests against the real node with real Triton pods
	$(PYTEST) tests/e2e

.PHONY: test
test: ## The gate: check, integration and e2e, with all their own set-up
	hack/test

.PHONY: demo
demo: venv ## From nothing to consensus weights on a real Kubernetes, with honest miners and cheats
	$(PY) -m examples.embeddings.demo up

.PHONY: demo-down
demo-down: venv ## Remove the demo and its cluster
	$(PY) -m examples.embeddings.demo down

.PHONY: dashboard-pictures
dashboard-pictures: venv ## Draw the dashboards from the running demo into docs/images (7 minutes)
	$(PY) hack/picture_dashboards.py

## ---- benchmarks and campaigns

.PHONY: bench-consensus
bench-consensus: venv ## Time the Yuma engine against a float64 engine of the same epoch
	$(PY) tests/benchmarks/consensus/bench.py

.PHONY: fuzz-consensus
fuzz-consensus: venv ## 100,000 random states against the second engine, and the properties
	ASSAY_CONSENSUS_CASES=100000 $(PYTEST) tests/unit/consensus/test_differential.py tests/unit/consensus/test_properties.py

.PHONY: campaign-kills
campaign-kills: venv ## Kill the operator hundreds of times (KILLS=200 SEED=1) and its leader a quarter as often
	KILLS=$(or $(KILLS),200) SEED=$(or $(SEED),1) $(PYTEST) -s tests/campaigns

.PHONY: clean
clean: ## Remove build output of this checkout; caches outside it stay
	rm -rf .build .venv .mypy_cache .ruff_cache .pytest_cache
