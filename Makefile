# make demo   runs the main job on the embedded AWS
# make test   runs every test on the embedded AWS
# make help   lists the rest
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
# The benchmarks' peers have an environment of their own: their libraries do not fit beside ours.
PEERS  := .venv-bench
PEERS_STAMP := $(PEERS)/.installed
PYTEST_ARGS ?=
# Tests wait more than they work, so more run at a time than there are cores; each process has an embedded AWS of its own.
# A file stays in one process, which makes once what the file shares; tests/conftest.py puts them in order.
TEST_PROCESSES ?= 4

.DEFAULT_GOAL := help
.PHONY: help install demo up test test-engine simulate bench bench-install screenshots settings check format lock clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 26

$(STAMP): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(0 if (3, 11) <= v < (3, 15) else f"Kinfold needs Python 3.11 to 3.14, this is {v[0]}.{v[1]}: make PYTHON=python3.12 ...")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

install: $(STAMP) ## install Kinfold and everything it needs into .venv

demo: $(STAMP) ## the main job, end to end, on the embedded AWS
	$(BIN)/kinfold demo $(ARGS)

up: $(STAMP) ## the embedded AWS and all services until Ctrl-C
	$(BIN)/kinfold up $(ARGS)

test: $(STAMP) ## every test, on the embedded AWS
	$(BIN)/python -m pytest -n $(TEST_PROCESSES) --dist loadfile --no-loadscope-reorder $(PYTEST_ARGS)

# Each file has containers of its own, which wait more than they work once they have started.
test-engine: $(STAMP) ## the image and docker-compose.yml on a Docker engine
	$(BIN)/python -m pytest --engine -n 3 --dist loadfile -p no:schemathesis $(PYTEST_ARGS) tests/acceptance/engine

simulate: $(STAMP) ## bad days by their numbers: SEEDS=1000 of them, or ARGS="--seed 4711 --trace"
	$(BIN)/python -m simulation $(if $(SEEDS),--seeds $(SEEDS)) $(ARGS)

$(PEERS_STAMP): requirements-bench.lock $(STAMP)
	$(BIN)/python -m venv --clear $(PEERS)
	$(PEERS)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-bench.lock
	@touch $@

bench-install: $(STAMP) $(PEERS_STAMP) ## install what the benchmarks compare with, into .venv-bench

bench: bench-install ## every benchmark at modest sizes, and the tables: some 50 minutes
	$(BIN)/python -m bench all $(ARGS)

screenshots: $(STAMP) ## pictures of the console's screens for docs/console.md; needs Chromium
	SCREENSHOTS=docs/console $(BIN)/python -m pytest -q -p no:schemathesis tests/acceptance/console/test_browser.py -k 'every_screen and desktop'

settings: $(STAMP) ## docs/settings.md from the settings, the read models in infra/access.yaml from the domain
	$(BIN)/kinfold settings --markdown > docs/settings.md
	$(BIN)/kinfold domain --access infra/access.yaml > infra/access.new && mv infra/access.new infra/access.yaml

check: $(STAMP) ## linters, the type checker, and who may import whom
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

format: $(STAMP) ## put the code into the house style
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

lock: $(STAMP) ## resolve the dependencies again, for every supported Python
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate --no-header --all-extras -o requirements.lock pyproject.toml
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate --no-header --extra kcl --extra local --extra otel -c requirements.lock -o requirements-runtime.lock pyproject.toml
	printf 'hatchling\nuv\n' | $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate --no-header -c requirements.lock -o requirements-build.lock -
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate --no-header --group pyproject.toml:bench -o requirements-bench.lock

clean: ## remove what install and the tests made
	rm -rf $(VENV) $(PEERS) .prometheus .import_linter_cache .mypy_cache .pytest_cache .ruff_cache .hypothesis
