# `make run` tries it, `make test` proves it, `make check` keeps it tidy. `make help` lists the rest.
SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

VENV := .venv
BIN := $(VENV)/bin
PY := $(BIN)/python
# The oldest Python that the project supports; PYTHON=… chooses another.
PYTHON ?= $(shell for p in python3.11 python3 python3.12 python3.13; do $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
PIP := $(PY) -m pip --disable-pip-version-check --no-input -qq
ARGS ?=
# The project under its tests' settings, for commands that need no database of one's own.
TEST_ENV := DJANGO_SETTINGS_MODULE=tests.settings

.PHONY: help env run test attack test-fast services check format bench bench-quick coverage messages docs screenshots lock

help: ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | while IFS=$$'\t' read -r name what; do printf '  make %-11s %s\n' "$$name" "$$what"; done

# --- Environment ------------------------------------------------------------------------------
env: $(VENV)/.dev ## .venv with every locked dependency

$(VENV)/.created:
	@scripts/create-venv "$(PYTHON)" "$(VENV)"
	@touch $@

$(VENV)/.runtime: requirements.txt $(VENV)/.created
	@echo "Installing what running needs (requirements.txt) …"
	@$(PIP) install --require-hashes --no-compile -r requirements.txt
	@touch $@

$(VENV)/.dev: requirements-dev.txt $(VENV)/.runtime
	@echo "Installing what testing and checking need (requirements-dev.txt) …"
	@$(PIP) install --require-hashes --no-compile -r requirements-dev.txt
	@touch $@

lock: $(VENV)/.created ## compile requirements*.txt anew from pyproject.toml (ARGS=--upgrade)
	@$(PIP) install 'uv>=0.8'
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --custom-compile-command "make lock" $(ARGS) --extra crm pyproject.toml -o requirements.txt
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --custom-compile-command "make lock" $(ARGS) --extra crm --group dev -c requirements.txt pyproject.toml -o requirements-dev.txt

# --- Try it -----------------------------------------------------------------------------------
run: $(VENV)/.runtime ## the CRM, a worker and a receiver, with demo data
	@$(PY) scripts/first-env
	@exec $(PY) manage.py demo $(ARGS)

# --- Prove it ---------------------------------------------------------------------------------
services: ## install the servers and the browser that the tests start
	@scripts/install-services

test: env services ## everything, on PostgreSQL, and again on SQLite what both must do alike
	@$(PY) scripts/test $(ARGS)

attack: env services ## a longer schemathesis than that of make test: SCHEMATHESIS_SECONDS, or a minute
	@$(PY) -m pytest --db=sqlite -m attack $(ARGS)

test-fast: env ## what needs no server, on SQLite
	@$(PY) -m pytest --db=sqlite -m "not slow and not services and not attack" $(ARGS)

bench: env services ## measure all beside what it is held against (20 minutes); writes docs/performance.md
	@$(PY) -m benchmarks $(ARGS)

bench-quick: env services ## an impression of the same in some three minutes; writes nothing
	@$(PY) -m benchmarks --quick $(ARGS)

coverage: env services ## the tests again, with the share of lines and branches they reach
	@$(BIN)/coverage erase
	@$(BIN)/coverage run -m pytest --db=postgres $(ARGS)
	@$(BIN)/coverage run -m pytest --db=sqlite -m "both_databases or sqlite_only" $(ARGS)
	@$(BIN)/coverage combine --quiet
	@$(BIN)/coverage report

# --- Keep it tidy -----------------------------------------------------------------------------
CHECKS := format lint types contracts migrations messages docs links audit

check: env ## format, lint, types, import contracts, migrations, translations, links, advisories
	@failed=; for name in $(CHECKS); do echo "── $$name"; $(MAKE) check-$$name || failed+=" $$name"; done; [ -z "$$failed" ] || { echo "Failed:$$failed"; exit 1; }

.PHONY: $(CHECKS:%=check-%)
check-format: env
	@$(BIN)/ruff format --check --quiet . || { echo "Not formatted: run 'make format'."; exit 1; }

# Ruff's S rules are bandit's.
check-lint: env
	@$(BIN)/ruff check --quiet .

check-types: env
	@$(BIN)/mypy

check-contracts: env
	@report=$$($(BIN)/lint-imports --no-cache) || { echo "$$report"; exit 1; }

check-migrations: env
	@$(TEST_ENV) $(PY) manage.py makemigrations --check --dry-run --skip-checks

check-messages: env
	@$(PY) scripts/check-messages

check-docs: env
	@$(TEST_ENV) $(PY) scripts/event-reference --check

check-links: env
	@$(PY) scripts/check-links

check-audit: env
	@scripts/audit

messages: env ## collect the texts to translate, and compile the translations
	@$(PY) scripts/messages

docs: env ## write the pages that are made from the code
	@$(TEST_ENV) $(PY) scripts/event-reference

screenshots: env services ## take the pictures of the admin that the documentation shows
	@SCREENSHOTS=docs/images $(PY) -m pytest -q tests/browser/test_screenshots.py

format: env ## format the code, and mend what the linter can
	@$(BIN)/ruff check --fix --quiet . || true
	@$(BIN)/ruff format .
