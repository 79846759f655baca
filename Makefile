# `make run` and `make test` need nothing but Python 3.11 or later, pip and make.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: run test test-interpreter check long clean

run: $(VENV)/.installed
	$(BIN)/sourceswap run --env local

test: $(VENV)/.installed-dev
	$(BIN)/python -m pytest -n auto

# What may differ between versions of Python: `make test-interpreter PYTHON=python3.13 VENV=.venv-3.13`.
test-interpreter: $(VENV)/.installed-dev
	$(BIN)/python -m pytest -n auto tests/caching tests/checking tests/loaders

check: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -n auto

# Hundreds of kills, long fuzzing: minutes, on demand.
long: $(VENV)/.installed-dev
	$(BIN)/python -m pytest -m long

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: pyproject.toml $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --editable .
	touch $@

$(VENV)/.installed-dev: pyproject.toml $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	touch $@ $(VENV)/.installed

clean:
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
