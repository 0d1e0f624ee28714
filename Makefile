# Two commands on a fresh machine: `make run` and `make test`.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
# The simulated shop of the default size has too few customers for profiling's gate to tell its gain from chance.
DOMAINS ?= $(if $(filter simulated,$(SOURCE)),recommendation)
UV := $(shell command -v uv 2>/dev/null)

export PATH := $(CURDIR)/$(BIN):$(PATH)
unexport VIRTUAL_ENV PYTHONPATH PYTHONHOME

.PHONY: help run test lint up clean install extras

help:
	@echo "make run    install, run the whole road on the sample data, say where to look"
	@echo "make run SOURCE=simulated   the same on a simulated shop, in a workspace of its own: shops/simulated"
	@echo "make run DOMAINS=profiling  one kind of decision (several in quotes)"
	@echo "make test   install, run the tests"
	@echo "make up     start the control room: Prefect's UI with the deployments"
	@echo "make lint   ruff, mypy, import rules"
	@echo "make extras install Spark and the database drivers too"
	@echo "make clean  remove what runs have made (your own data in data/raw stays)"

run: install
	@ecomine run $(DOMAINS) $(if $(SOURCE),--source $(SOURCE))

test: install
	@python -m pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder $(PYTEST_ARGS)

lint: install
	@ruff check .
	@ruff format --check .
	@mypy
	@lint-imports --no-logo

up: install
	@ecomine up

install: $(INSTALLED)

extras: install
	@echo "Installing the extras (Spark and the drivers) into $(VENV) …"
ifneq ($(UV),)
	@$(UV) pip install --quiet --python $(BIN)/python --require-hashes -r requirements-extras.lock
else
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --require-hashes -r requirements-extras.lock -c requirements-extras.lock
endif

$(INSTALLED): requirements.lock pyproject.toml
	@command -v $(PYTHON) >/dev/null || { echo "ecomine needs Python 3.11: install it, or name it: make run PYTHON=/path/to/python3.11"; exit 1; }
	@echo "Installing into $(VENV) (once) …"
ifneq ($(UV),)
	@$(UV) venv --quiet --allow-existing --python $(PYTHON) $(VENV)
	@$(UV) pip install --quiet --python $(BIN)/python --require-hashes -r requirements.lock
	@$(UV) pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation -e .
else
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --require-hashes -r requirements.lock -c requirements.lock
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --no-deps --no-build-isolation -e .
endif
	@touch $@

clean:
	@find data -mindepth 1 -maxdepth 1 ! -name raw -exec rm -rf {} +
	@rm -rf models metrics decisions deployments reports dvc.lock .dvc/cache .dvc/tmp
