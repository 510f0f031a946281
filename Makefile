# make demo   the main job: train, serve, inspect, record, on simulated vials (needs no torch)
# make test   everything that CI runs: style, types, import rule, tests
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

.PHONY: demo test lint tests browser broker camera database clean

demo: $(VENV)/.runtime
	$(BIN)/inspection demo

test: $(VENV)/.dev browser broker camera database
	$(MAKE) --no-print-directory lint tests

lint:
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/bandit -q -c pyproject.toml -r inspection models data training serve

tests:
	$(BIN)/pytest -n 2 --dist loadfile

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.runtime: pyproject.toml constraints.txt | $(BIN)/python
	@echo "Installing the runtime into $(VENV) (about a minute)"
	$(PIP) -e .
	@touch $@

$(VENV)/.dev: pyproject.toml constraints.txt | $(BIN)/python
	@echo "Installing what the tests use into $(VENV) (torch is large: some minutes)"
	$(PIP) -e '.[train,dev]'
	@touch $@ $(VENV)/.runtime

# The page is tested in a real browser. Elsewhere than on Debian, install Chromium by hand.
browser:
	@command -v chromium >/dev/null || { \
	  echo "Installing Chromium for the tests of the page"; \
	  apt-get update -qq >/dev/null && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq chromium >/dev/null; \
	} || echo "Chromium could not be installed: the tests of the page say so"

# Outputs are tested with a real MQTT broker. Elsewhere than on Debian, install mosquitto by hand.
broker:
	@PATH="$$PATH:/usr/sbin" command -v mosquitto >/dev/null || { \
	  echo "Installing mosquitto for the tests of the outputs"; \
	  apt-get update -qq >/dev/null && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq mosquitto >/dev/null; \
	} || echo "mosquitto could not be installed: the tests of the outputs say so"

# The archive is tested with a real PostgreSQL server. Elsewhere than on Debian, install PostgreSQL by hand.
database:
	@ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || command -v initdb >/dev/null || { \
	  echo "Installing PostgreSQL for the tests of the archive"; \
	  apt-get update -qq >/dev/null && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq postgresql >/dev/null; \
	} || echo "PostgreSQL could not be installed: the tests of the archive say so"

# Cameras are tested with libaravis' fake GigE Vision camera. Elsewhere than on Debian, install aravis by hand.
camera:
	@command -v arv-fake-gv-camera-0.8 >/dev/null || { \
	  echo "Installing aravis for the tests of the cameras"; \
	  apt-get update -qq >/dev/null && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq aravis-tools >/dev/null; \
	} || echo "aravis could not be installed: the tests of the cameras say so"

clean:
	rm -rf $(VENV) build *.egg-info
