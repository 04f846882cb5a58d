# make demo: set everything up and solve the shipped units
# make test: set everything up and run all tests
# PYTHON chooses the interpreter (3.11 or newer) that the environment .venv is made from.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet --constraint constraints.txt

.PHONY: demo test lint docs clean

demo: $(VENV)/ready
	$(BIN)/homog solve examples/units/*.npy --E 70e3 --nu 0.33

test: $(VENV)/ready-dev
	NUMBA_DISABLE_JIT=1 $(BIN)/python -m pytest -q tests/test_kernels.py tests/test_component_kernels.py tests/test_voxel_kernels.py tests/test_thickness_kernels.py tests/test_duplicate_kernels.py --cov=homog --cov-report=
	$(BIN)/python -m pytest --cov=homog --cov=learn --cov=design --cov-append --cov-report=term-missing:skip-covered --cov-fail-under=95

lint: $(VENV)/ready-dev
	$(BIN)/ruff check
	$(BIN)/ruff format --check

docs: $(VENV)/ready-dev
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet --site-dir build/site

clean:
	rm -rf $(VENV) build .coverage

$(VENV)/ready: pyproject.toml constraints.txt
	$(PYTHON) -c "import sys; sys.exit('homog needs Python 3.11 or newer, try make PYTHON=...' if sys.version_info < (3, 11) else 0)"
	$(PYTHON) -m venv $(VENV)
	$(PIP) --editable .
	touch $@

$(VENV)/ready-dev: $(VENV)/ready
	$(PIP) --editable ".[dev]"
	touch $@
