# Commands of coalition. `make` alone lists them.
# Python tools live in .venv (made from requirements.lock), buf lives in node_modules (made from package-lock.json).

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

PYTHON ?= python3
UV ?= uv
VENV := .venv
BIN := $(VENV)/bin

# Two cores are what the suite is timed on; `make test WORKERS=8` on a larger machine.
WORKERS ?= 2
# For example `make test TESTS=tests/domain` or `make test PYTEST_FLAGS="-k refund -x"`.
TESTS ?= tests
PYTEST_FLAGS ?=
# For example `make demo DEMO_FLAGS="--months 1-12"`.
DEMO_FLAGS ?=
SERVE_FLAGS ?=
BENCH_FLAGS ?=
SETTLE_FLAGS ?=

# Folders that may not exist in a partial checkout are skipped instead of failing the tool that reads them.
PYTHON_PATHS := $(wildcard src settlement keys bench tests protos .ci deploy)
TYPED_PATHS := $(wildcard src/coalition settlement keys bench tests protos)
MIGRATIONS := $(wildcard src/coalition/storage/*/env.py)
CONTAINER_FILES := $(wildcard deploy/Containerfile deploy/Containerfile.* deploy/Dockerfile deploy/Dockerfile.*)
COMPOSE_FILES := $(wildcard deploy/compose*.yaml deploy/compose*.yml)
SHELL_SCRIPTS := $(wildcard .ci/run .ci/*.sh deploy/*.sh deploy/*/*.sh)
DEPLOY_LINT := $(wildcard deploy/lint.sh)

.PHONY: help dev demo serve settle test soak bench format lint proto lock clean
.PHONY: lint-python lint-types lint-doors lint-dependencies lint-protos lint-migrations lint-shell lint-deploy

help: ## list these commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

dev: $(VENV)/.installed ## make .venv with every pinned package (other commands do it when needed)
	@echo "$(VENV) is ready; \`make\` lists what to do next"

demo: $(VENV)/.installed ## clear and settle a real month of trade, end to end (DEMO_FLAGS="--months 1-12")
	@$(BIN)/coalition demo $(DEMO_FLAGS)

serve: $(VENV)/.installed ## start a server on the embedded database and print what to type next
	@$(BIN)/coalition serve $(SERVE_FLAGS)

settle: $(VENV)/.installed ## show where the settlement windows stand
	@$(BIN)/python -m settlement status $(SETTLE_FLAGS)

# loadgroup: a worker runs whole modules, and one worker all that are marked xdist_group("serial"); see tests/schedule.py.
test: $(VENV)/.installed ## run the tests (TESTS=tests/domain, WORKERS=4, PYTEST_FLAGS="-k refund")
	@$(BIN)/python -m pytest -n $(WORKERS) --dist loadgroup $(PYTEST_FLAGS) $(TESTS)

soak: $(VENV)/.installed ## run the long tests: minutes of load, memory and crash counts
	@$(BIN)/python -m pytest -m soak $(PYTEST_FLAGS) tests/soak

bench: $(VENV)/.installed ## measure rates and latencies on this machine, write bench/latest.json
	@$(BIN)/python -m bench $(BENCH_FLAGS)

format: $(VENV)/.installed ## rewrite the Python files in the house format
	@$(BIN)/ruff check --fix-only --quiet $(PYTHON_PATHS)
	@$(BIN)/ruff format $(PYTHON_PATHS)

lint: lint-python lint-types lint-doors lint-dependencies lint-protos lint-migrations lint-shell lint-deploy ## check style, types, doors, protos and deploy files
	@echo "lint: all checks passed"

lint-python: $(VENV)/.installed
	@$(BIN)/ruff format --check $(PYTHON_PATHS)
	@$(BIN)/ruff check $(PYTHON_PATHS)

lint-types: $(VENV)/.installed
	@$(BIN)/mypy $(TYPED_PATHS)

lint-doors: $(VENV)/.installed
	@$(BIN)/lint-imports

lint-dependencies: $(VENV)/.installed
	@$(BIN)/deptry src settlement keys

lint-protos: $(VENV)/.installed node_modules/.installed
	@$(BIN)/python protos/lint.py

lint-migrations: $(VENV)/.installed
	@$(if $(MIGRATIONS),$(BIN)/python .ci/lint_migrations.py $(MIGRATIONS),echo "lint-migrations: no migrations yet")

lint-shell: $(VENV)/.installed
	@$(if $(SHELL_SCRIPTS),$(BIN)/shellcheck $(SHELL_SCRIPTS),true)

# deploy/lint.sh holds the checks that know the installed paths (systemd-analyze verify of the units).
lint-deploy: $(VENV)/.installed
	@$(if $(CONTAINER_FILES),$(BIN)/hadolint $(CONTAINER_FILES),true)
	@$(if $(COMPOSE_FILES),$(BIN)/check-jsonschema --builtin-schema vendor.compose-spec $(COMPOSE_FILES),true)
	@$(if $(DEPLOY_LINT),PATH="$(CURDIR)/$(BIN):$$PATH" bash $(DEPLOY_LINT),true)

proto: $(VENV)/.installed ## regenerate src/coalition/v1 from protos/
	@$(BIN)/python protos/generate.py

lock: ## resolve requirements.lock and package-lock.json again (needs uv and npm)
	@command -v $(UV) >/dev/null || { echo "make lock needs uv: pipx install uv, or make lock UV=/path/to/uv" >&2; exit 1; }
	@$(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links \
		--no-header --no-annotate --extra archive --extra bank --extra demo --extra hsm --extra kms --group dev $(LOCK_FLAGS) pyproject.toml --output-file requirements.lock
	@command -v npm >/dev/null || { echo "make lock needs npm: apt install npm" >&2; exit 1; }
	@npm install --package-lock-only --ignore-scripts --no-audit --no-fund

clean: ## remove .venv, node_modules and caches (var/, which holds databases and keys, stays)
	@rm -rf $(VENV) node_modules dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	@find src settlement keys bench tests protos .ci -name __pycache__ -type d -prune -exec rm -rf {} + 2>/dev/null || true

$(VENV)/.installed: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' 2>/dev/null || \
		{ echo "coalition needs Python 3.11, 3.12 or 3.13; $(PYTHON) is $$($(PYTHON) --version 2>&1). Choose one: make dev PYTHON=python3.11" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
		{ echo "$(PYTHON) cannot make a virtual environment. On Debian: apt install python3-venv" >&2; exit 1; }
	@# An environment whose interpreter still answers is updated in place; one left behind by another Python is made anew.
	@$(BIN)/python -c '' 2>/dev/null || $(PYTHON) -m venv --clear $(VENV)
	@echo "installing the packages of requirements.lock into $(VENV) ..."
	@$(BIN)/python -m pip install --disable-pip-version-check --no-input --quiet --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install --disable-pip-version-check --no-input --quiet --no-deps --no-build-isolation -e .
	@touch $@

node_modules/.installed: package.json package-lock.json
	@command -v npm >/dev/null || \
		{ echo "buf, the linter of protos/, comes from npm, and npm is missing. On Debian: apt install nodejs npm" >&2; exit 1; }
	@npm ci --ignore-scripts --no-audit --no-fund
	@touch $@
