# Every target makes what it needs: a virtual environment in .venv, filled from pyproject.toml and constraints.txt.
PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip
# What a user needs, and what developers need too. With the latter the former is there.
ALL := .venv/.installed
BASE := $(firstword $(wildcard $(ALL)) .venv/.base)

# Compiled by the installation, where there is a C++ compiler.
KERNELS := $(wildcard embedstore/*/native/*.cpp embedstore/*/native/*.h)

SHELL := /bin/bash
comma := ,

.PHONY: demo test torture check docs format bench tutorial dist clean compiled

demo: $(BASE)
	$(BIN)/embedstore demo

# pytest keeps what it makes of the tests' modules, unless it is kept from it.
test: $(ALL) compiled
	PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest

# The long version of tests/faults, of the tests with generated tables, of the demo and of the native encoder, and an hour
# of tests/fuzz: an hour and a half. The figures stand in docs/reliability.md.
torture: $(ALL) compiled
	EMBEDSTORE_TORTURE=1 $(BIN)/python -m pytest tests/faults tests/fuzz tests/test_values.py tests/test_reading.py tests/test_blank.py \
		tests/test_journeys.py tests/test_readme.py tests/test_guides.py tests/test_tutorial.py tests/test_native.py tests/test_hostile.py \
		tests/test_strange.py tests/test_tensorflow.py tests/test_classify.py tests/test_scan.py tests/test_beginnings.py \
		tests/test_ray.py tests/test_fetching.py tests/test_told.py tests/test_incoming.py tests/test_threads.py
	$(BIN)/python tests/faults/table.py

check: $(ALL) docs
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/clang-format --dry-run --Werror $(KERNELS) tests/native/*.cpp tests/native/*.h
	# mypy does not follow setuptools' package-dir: it gets the package as it is installed, by links.
	rm -rf build/types && mkdir -p build/types/embedstore
	ln -s $(CURDIR)/embedstore/* build/types/embedstore/ && ln -s $(CURDIR)/cli build/types/embedstore/cli
	cd build/types && $(CURDIR)/$(BIN)/mypy --config-file $(CURDIR)/pyproject.toml --cache-dir $(CURDIR)/.mypy_cache embedstore

# The site, in build/docs. A warning, such as one of a link that leads nowhere, is an error. All pages are written each
# time (-a), because each has the list of pages at its side.
docs: $(ALL)
	$(BIN)/python -m sphinx -W --keep-going --quiet -a -b html docs build/docs

format: $(ALL)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .
	$(BIN)/clang-format -i $(KERNELS) tests/native/*.cpp tests/native/*.h

# CORPUS=FILE.csv TEXT=COLUMN takes reviews of your own instead of the shipped ones.
bench: $(ALL)
	BENCH_CORPUS="$(CORPUS)" BENCH_TEXT="$(TEXT)" $(BIN)/python benchmarks/run.py
	$(BIN)/python benchmarks/desk.py
	$(BIN)/python benchmarks/desk_page.py

# DATA=FILE.csv OPTIONS='--text COLUMN --target COLUMN --map VALUE=Negative --map VALUE=Positive' (docs/tutorial.md). The
# first run downloads the model (400 MB) into .cache/tutorial.
tutorial: $(BASE)
	$(BIN)/python benchmarks/tutorial.py "$(DATA)" $(OPTIONS)

# A source distribution, and from it a wheel for this platform.
dist: $(ALL)
	rm -rf dist
	$(BIN)/python -m build
	$(BIN)/python tests/try_wheel.py dist/*.whl

# The tests start hundreds of processes, and some environments keep Python from writing what it compiled.
compiled: $(ALL)
	-$(BIN)/python -m compileall -q embedstore cli tests > /dev/null 2>&1

clean:
	rm -rf .venv build dist *.egg-info .hypothesis .mypy_cache .pytest_cache .ruff_cache

# A failed or interrupted installation leaves no stamp, so the next call starts again. For the demo, Python compiles
# the modules that are used when they are used: to compile all takes as long as the demo, and a fifth of the disk. The
# tests start hundreds of processes, so for them all modules are compiled once.
define install
	$(PIP) --version > /dev/null 2>&1 || $(PYTHON) -m venv --clear .venv
	$(PIP) install --quiet --no-compile --disable-pip-version-check "setuptools>=77" torch -c constraints.txt
	$(PIP) install --quiet --no-compile --disable-pip-version-check -e ".[$(1)]" -c constraints.txt
	touch $@
endef

.venv/.base: pyproject.toml constraints.txt $(KERNELS)
	$(call install,bundled$(comma)web)

$(ALL): pyproject.toml constraints.txt $(KERNELS)
	$(call install,bundled$(comma)tensorflow$(comma)dev)
	-$(BIN)/python -m compileall -q -j 0 .venv/lib > /dev/null 2>&1
