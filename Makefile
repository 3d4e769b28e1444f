# Every target makes what it needs: a virtual environment in .venv, filled from pyproject.toml and constraints.txt.
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.installed

SHELL := /bin/bash

.PHONY: demo test torture check format bench clean

demo: $(STAMP)
	$(BIN)/embedstore demo

test: $(STAMP)
	$(BIN)/python -m pytest

# The long version of tests/faults: half an hour. Its figures stand in docs/reliability.md.
torture: $(STAMP)
	EMBEDSTORE_TORTURE=1 $(BIN)/python -m pytest tests/faults
	$(BIN)/python tests/faults/table.py

check: $(STAMP)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	# mypy does not follow setuptools' package-dir: it gets the package as it is installed, by links.
	rm -rf build/types && mkdir -p build/types/embedstore
	ln -s $(CURDIR)/embedstore/* build/types/embedstore/ && ln -s $(CURDIR)/cli build/types/embedstore/cli
	cd build/types && $(CURDIR)/$(BIN)/mypy --config-file $(CURDIR)/pyproject.toml --cache-dir $(CURDIR)/.mypy_cache embedstore

format: $(STAMP)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

# CORPUS=FILE.csv TEXT=COLUMN takes reviews of your own instead of the shipped ones.
bench: $(STAMP)
	BENCH_CORPUS="$(CORPUS)" BENCH_TEXT="$(TEXT)" $(BIN)/python benchmarks/run.py

clean:
	rm -rf .venv build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache

# A failed installation leaves no stamp, so the next call starts again.
$(STAMP): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check "setuptools>=77" torch -c constraints.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e ".[bundled,tensorflow,dev]" -c constraints.txt
	touch $@
