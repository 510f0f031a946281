# make demo   the main job: train, serve, inspect, log, on simulated vials (no torch)
# make test   everything that CI runs: style, types, import rule, tests
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

.PHONY: demo test lint tests clean

demo: $(VENV)/.runtime
	$(BIN)/inspection demo

test: $(VENV)/.dev
	$(MAKE) --no-print-directory lint tests

lint:
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

tests:
	$(BIN)/pytest

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.runtime: pyproject.toml constraints.txt | $(BIN)/python
	@echo "Installing the runtime into $(VENV)"
	$(PIP) -e .
	@touch $@

$(VENV)/.dev: pyproject.toml constraints.txt | $(BIN)/python
	@echo "Installing everything the tests use into $(VENV) (torch is large: some minutes)"
	$(PIP) -e '.[train,openvino,dev]'
	@touch $@ $(VENV)/.runtime

clean:
	rm -rf $(VENV) build *.egg-info
