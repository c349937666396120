# Every target sets up what it needs. Works with GNU make 3.81 and later.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
# Tests run in two processes with one thread each: the same numbers on every machine, and no fight for cores. A file of
# tests stays in one process: what its tests share is made once.
ONE_THREAD := OMP_NUM_THREADS=1 MKL_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1

.PHONY: install demo test check format ci results constraints clean

install: $(STAMP)

$(BIN)/uv:
	$(PYTHON) -m venv --without-pip $(VENV)
	$(PYTHON) -m pip --python $(BIN)/python install --quiet uv

$(STAMP): pyproject.toml constraints.txt | $(BIN)/uv
	VIRTUAL_ENV=$(VENV) $(BIN)/uv pip install --quiet -c constraints.txt -e '.[dev]'
	touch $(STAMP)

demo: install
	$(BIN)/m3h demo --out runs/demo

test: install
	$(ONE_THREAD) $(BIN)/python -m pytest -n 2 --dist loadfile

check: install
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python .ci/sizes.py
	$(BIN)/python benchmarks/results.py --check

format: install
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

results: install
	$(BIN)/python benchmarks/results.py

ci: install
	bash .ci/run

constraints: $(BIN)/uv
	$(BIN)/uv pip compile --universal --python-version 3.11 --all-extras --no-header --no-annotate --no-emit-index-url --quiet pyproject.toml -o constraints.txt

clean:
	rm -rf $(VENV) build dist src/*.egg-info .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
