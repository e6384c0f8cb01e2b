# Each target makes what it needs; `make demo` and `make test` are all that a fresh machine has to be told.

PYTHON ?= python3
BIN := .venv/bin
ARGS ?=

.DEFAULT_GOAL := help
.PHONY: setup demo test faults up check lint types arch sql format lock clean help

setup: ## make .venv from requirements.lock (others do this first; nothing happens when it is made)
	@$(PYTHON) -m salesmatter.environment

demo: setup ## the main job from a CSV file to the campaign table, against the Everlytic sandbox
	@$(BIN)/salesmatter demo $(ARGS)

up: setup ## API, worker, Everlytic sandbox, Dagster and dbt docs, until Ctrl-C
	@$(BIN)/salesmatter up $(ARGS)

test: setup ## all tests, in parallel and in random order (ARGS="tests/ai -x" for some of them; SALESMATTER_TEST_CLOCK=ahead or behind)
	@$(BIN)/python -m pytest -n auto --dist loadfile $(ARGS)

faults: setup ## plant faults one by one and report which the tests miss (AREA="domain api/delivery/sending", ARGS="--help")
	@$(BIN)/python -m faults $(AREA) $(ARGS)

check: lint types arch sql ## all that CI checks besides `make test`: lint, types, import contracts, SQL

lint: setup ## ruff: rules and format
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check

types: setup ## mypy, strict
	@$(BIN)/mypy

arch: setup ## import contracts: which room may import which
	@$(BIN)/lint-imports

sql: setup ## sqlfluff on the dbt project
	@$(BIN)/sqlfluff lint dbt_project

format: setup ## let ruff write the format and the fixes it is sure of
	@$(BIN)/ruff check --fix
	@$(BIN)/ruff format

lock: setup ## resolve requirements.lock anew from pyproject.toml
	@$(BIN)/uv pip compile pyproject.toml --group dev --universal --generate-hashes --no-header \
		--python-version 3.11 --quiet -o requirements.lock

clean: ## forget the environment, the embedded database and all caches
	@test "$$(sed -n 2p .salesmatter/postgres/place 2>/dev/null)" != "$(CURDIR)/.salesmatter/postgres" || \
		rm -rf "$$(sed -n 1p .salesmatter/postgres/place)"
	@rm -rf .venv .salesmatter .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis \
		dbt_project/target dbt_project/logs
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

help: ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
