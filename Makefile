# Everything here makes .venv and installs what it needs first; Python 3.11+ is all you bring.
#
#   make demo PORT=9000              make test ARGS="unit live"
#   make demo ARGS="--upstream URL --api-key KEY"

PORT ?= 8000
ARGS ?=
BIN := .venv/bin

.DEFAULT_GOAL := help
.PHONY: help demo cluster test lint format bench venv clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' Makefile

demo: .venv/.installed-demo ## Start a voice-isolation service and a site in front of it
	@exec $(BIN)/python manage.py demo --port $(PORT) $(ARGS)

cluster: .venv/.installed-cluster ## The same with 2 web processes and 2 workers on PostgreSQL and Valkey
	@exec $(BIN)/python manage.py cluster --port $(PORT) $(ARGS)

test: .venv/.installed-dev ## Run every tier of tests (ARGS="unit db ..." for some)
	@exec $(BIN)/python scripts/tiers.py $(ARGS)

lint: .venv/.installed-dev ## Check style, types, layers, migrations and settings
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	scripts/check-js
	$(BIN)/python manage.py makemigrations --check --dry-run
	$(BIN)/python manage.py check --fail-level WARNING

format: .venv/.installed-dev ## Mend what can be mended by a tool
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: .venv/.installed-bench ## Measure the relay beside its rivals, and write docs/performance.md
	@exec $(BIN)/python -m bench $(ARGS)

venv: .venv/.installed-dev ## Only install

clean: ## Remove what was installed and built; your data in var/ stays
	rm -rf .venv .nox node_modules .mypy_cache .ruff_cache .pytest_cache .import_linter_cache dist build

# A stamp each: the demo need not wait for the test tools.
.venv/.installed-demo .venv/.installed-cluster .venv/.installed-dev .venv/.installed-bench: pyproject.toml constraints.txt
	@scripts/bootstrap $(patsubst .venv/.installed-%,%,$@)
