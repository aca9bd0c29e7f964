# Everything a newcomer needs. The only requirements are Python 3.11 and make.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
MESH := $(BIN)/mesh
CLAIMS ?= 100000
SEED ?= 7
LANDING := $(or $(MESH_LANDING),$(or $(MESH_HOME),.mesh)/landing)

.PHONY: install run up down test torture lint format bench clean

install: $(VENV)/installed

# uv resolves the locked set in seconds, and compiles it once instead of at every start; where it cannot be had, pip does
# the same more slowly.
$(VENV)/installed: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info[:2] == (3, 11) else "Python 3.11 is needed: make PYTHON=python3.11")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing the locked dependencies (about 1.6 GB)"
	( $(BIN)/python -m pip install -q -c constraints.txt uv \
	  && $(BIN)/uv pip install -q --compile-bytecode --python $(BIN)/python -c constraints.txt -e '.[dev]' ) \
	  || $(BIN)/python -m pip install -q -c constraints.txt -e '.[dev]'
	@echo "Compiling what scores large tables for this processor (once, some 15 seconds)"
	$(BIN)/python -m mesh.model.warming || echo "That failed; the first scoring compiles it instead"
	touch $@

$(LANDING)/manifest.json: | $(VENV)/installed
	$(MESH) simulate --claims $(CLAIMS) --seed $(SEED) --out $(LANDING)

run: $(VENV)/installed $(LANDING)/manifest.json
	$(MESH) run --landing $(LANDING)

up: $(VENV)/installed
	$(MESH) up

down: $(VENV)/installed
	$(MESH) down

# Three at a time, as many tests wait for a server; a file in one process, in the order of tests/conftest.py: the tests of
# a file share what they set up.
test: $(VENV)/installed
	$(BIN)/python -m pytest -n 3 --dist loadfile --no-loadscope-reorder

torture: $(VENV)/installed
	$(BIN)/python -m pytest -m torture --timeout 7200

lint: $(VENV)/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	DBT_TARGET_PATH=$(CURDIR)/.mesh/dbt/lint $(BIN)/sqlfluff lint dbt
	$(MESH) contract lint
	$(MESH) contract lint examples/*/contracts/*/*.yaml

format: $(VENV)/installed
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(VENV)/installed
	$(BIN)/python -m benchmarks.spine
	$(BIN)/python -m benchmarks.real_claims
	$(BIN)/python -m benchmarks.contracts
	$(BIN)/python -m benchmarks.insight

clean:
	-$(MESH) down
	rm -rf .mesh
