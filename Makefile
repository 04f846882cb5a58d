# make demo: set everything up and run the whole chain small, to demo/report.html
# make test: set everything up and run all tests
# PYTHON chooses the interpreter (3.11 or newer) that the environment .venv is made from.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet --constraint constraints.txt

.PHONY: demo test lint docs clean

# each step leaves a file or a folder; what is there already is not made again
demo: demo/report.html
	@echo "open demo/report.html in a browser"

demo/units.h5: | $(VENV)/ready-demo
	mkdir -p demo
	$(BIN)/homog generate $@ --count 300 --seed 7

demo/labelled.h5: demo/units.h5
	$(BIN)/homog label $< -o $@ --E 70e3 --nu 0.33 --scatter 0.01 --seed 2

demo/gallery.png: demo/units.h5
	$(BIN)/homog view $< --sample 24 -o $@ --force

demo/evaluation: demo/labelled.h5
	$(BIN)/homog evaluate default $< -o $@

demo/run/designs.h5: demo/labelled.h5
	$(BIN)/homog design --maximize K --density 0.299:0.301 --risk 5 --units $< \
		--population 50 --generations 50 -o demo/run

demo/to/designs.h5: | $(VENV)/ready-demo
	$(BIN)/homog topopt --maximize K --density 0.3 --start void --start plates \
		--iterations 60 -o demo/to

demo/report.html: demo/gallery.png demo/evaluation demo/run/designs.h5 demo/to/designs.h5
	$(BIN)/homog verify demo/run
	$(BIN)/homog report demo/run --rival demo/to -o $@ --force

test: $(VENV)/ready-dev
	NUMBA_DISABLE_JIT=1 $(BIN)/python -m pytest -q tests/test_kernels.py tests/test_component_kernels.py tests/test_voxel_kernels.py tests/test_thickness_kernels.py tests/test_duplicate_kernels.py --cov=homog --cov-report=
	$(BIN)/python -m pytest --cov=homog --cov=learn --cov=design --cov-append --cov-report=term-missing:skip-covered --cov-fail-under=95

lint: $(VENV)/ready-dev
	$(BIN)/ruff check
	$(BIN)/ruff format --check

docs: $(VENV)/ready-dev
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet --site-dir build/site

clean:
	rm -rf $(VENV) build demo .coverage

$(VENV)/ready: pyproject.toml constraints.txt
	$(PYTHON) -c "import sys; sys.exit('homog needs Python 3.11 or newer, try make PYTHON=...' if sys.version_info < (3, 11) else 0)"
	$(PYTHON) -m venv $(VENV)
	$(PIP) --editable .
	touch $@

$(VENV)/ready-demo: $(VENV)/ready
	$(PIP) --editable ".[design,view]"
	touch $@

$(VENV)/ready-dev: $(VENV)/ready
	$(PIP) --editable ".[dev]"
	touch $@
