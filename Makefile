# make demo    the main job, on a simulated plant and on this very machine
# make test    lint, types, import contracts and all tests
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
CONSTRAINTS := .ci/constraints.txt
TORCH := $(shell grep '^torch==' $(CONSTRAINTS))
SECONDS_OF_DEMO ?=

.PHONY: install install-dev demo test lint types contracts pytest benchmark image soak clean

install: $(VENV)/.installed
install-dev: $(VENV)/.installed-dev

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "aemon needs Python 3.11 or newer; this is $$($(PYTHON) --version 2>&1)."; \
	  echo "Name another one: make PYTHON=python3.12"; exit 1; }
	$(PYTHON) -m venv $(VENV) || { \
	  echo "On Debian and Ubuntu: apt-get install python3-venv"; rm -rf $(VENV); exit 1; }

# A CPU build of torch is a tenth of the default one. Three ways to it, then the default:
# a wheel pip can already see, uv's own knowledge of where the CPU builds are, plain torch.
$(VENV)/.torch: $(BIN)/python $(CONSTRAINTS)
	@$(BIN)/python -c 'import torch' 2>/dev/null \
	  || $(PIP) install --quiet "$(TORCH)+cpu" 2>/dev/null \
	  || { $(PIP) install --quiet uv 2>/dev/null \
	       && $(BIN)/uv pip install --quiet --python $(BIN)/python --torch-backend=cpu "$(TORCH)" 2>/dev/null; } \
	  || $(PIP) install --quiet "$(TORCH)"
	@touch $@

$(VENV)/.installed: $(VENV)/.torch pyproject.toml $(CONSTRAINTS)
	$(PIP) install --quiet --constraint $(CONSTRAINTS) --editable .
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	$(PIP) install --quiet --constraint $(CONSTRAINTS) --editable '.[dev]'
	@touch $@

demo: install
	@$(BIN)/aemon demo $(if $(SECONDS_OF_DEMO),--seconds $(SECONDS_OF_DEMO))

test: lint types contracts pytest

lint: install-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: install-dev
	$(BIN)/mypy

contracts: install-dev
	$(BIN)/lint-imports

export OPENBLAS_NUM_THREADS ?= 1
# Tests start the program hundreds of times: it is compiled once.
unexport PYTHONDONTWRITEBYTECODE
# Many tests wait for processes: with four at a time, two cores always have something to do.
TESTS_AT_ONCE ?= 4

# What measures the machine's time and memory has it to itself.
pytest: install-dev
	$(BIN)/python -m pytest -n $(TESTS_AT_ONCE) --dist worksteal -m "not soak and not alone" $(PYTEST_ARGS)
	$(BIN)/python -m pytest -m "alone and not soak" $(PYTEST_ARGS) || [ $$? -eq 5 ] # 5: none is chosen

benchmark: install-dev
	$(PIP) install --quiet --constraint $(CONSTRAINTS) --editable '.[benchmark]'
	$(BIN)/python tests/benchmarks/bench_start.py
	$(BIN)/python tests/benchmarks/bench_scoring.py
	$(BIN)/python tests/benchmarks/bench_store.py
	$(BIN)/python tests/benchmarks/bench_mqtt.py
	$(BIN)/python tests/benchmarks/bench_push.py
	$(BIN)/python tests/benchmarks/bench_scrape.py
	$(BIN)/python tests/benchmarks/bench_api.py
	$(BIN)/python tests/benchmarks/bench_training.py
	$(BIN)/python tests/benchmarks/bench_detection.py
	$(BIN)/python tests/benchmarks/bench_causes.py
	$(BIN)/python tests/benchmarks/bench_promise.py

# With BUILDAH_FORMAT, podman and buildah keep the health check, too.
image:
	BUILDAH_FORMAT=docker $(firstword $(shell command -v docker podman buildah)) build --file deploy/Dockerfile --tag aemon \
	  --build-arg VERSION=$(shell sed -n 's/^__version__ = "\(.*\)"/\1/p' aemon/__init__.py) .

soak: install-dev
	$(BIN)/python -m pytest -s -m soak

clean:
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache
