# `make` lists the targets. Everything runs in .venv, built once and again only when the dependencies change.
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
PY := $(VENV)/bin/python
# Ray's launcher needs older packages than constraints.txt names, so that its tests have an environment of their own.
RAY := .venv-ray
RAY_TESTS := test_cluster and ray
INSTALL := -m pip install --quiet --disable-pip-version-check
STUDY ?= quick
WORKERS ?= 2
EXAMPLES ?= 2000
SEEDS ?= 3
PYTHONS ?= 3.11 3.12 3.13
PORT ?= 5000
OPTUNA_PORT ?= 8080
export MLFLOW_DISABLE_TELEMETRY = true

.DEFAULT_GOAL := help
.PHONY: help quick reproduce inside notebooks test test-all pythons fuzz lint gallery docs calibrate dashboard optuna-dashboard bench clean

# What can be set, as in `make quick STUDY=smoke`; the help of a target names its own, as `$(STUDY)`, with their values.
SETTINGS := $(shell sed -n 's/^\([A-Z_]*\) ?= .*/\1/p' $(firstword $(MAKEFILE_LIST)))

help: ## list the targets, and in brackets what can be set for each (Python of the environment: PYTHON=$(PYTHON))
	@sed -n 's/^\([a-z-]*\):.*## /\1|/p' $(firstword $(MAKEFILE_LIST)) \
	  | sed $(foreach name,$(SETTINGS),-e 's|$$($(name))|$($(name))|g') \
	  | awk -F '|' '{ \
	      line = sprintf("  make %-17s", $$1); count = split($$2, words, " "); \
	      for (k = 1; k <= count; k++) { \
	        if (length(line " " words[k]) > 80) { print line; line = sprintf("%24s", "") } \
	        line = line " " words[k] \
	      } \
	      print line }'

$(VENV)/.installed: pyproject.toml constraints.txt
	@command -v $(PYTHON) >/dev/null || { echo "python3 is needed: install Python 3.11 or later"; exit 1; }
	@$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(0 if v >= (3, 11) else f"Python >= 3.11 is needed, {v[0]}.{v[1]} is here: make PYTHON=python3.12 ...")'
	test -x $(PY) || $(PYTHON) -m venv $(VENV)
	$(PY) $(INSTALL) --constraint constraints.txt --editable '.[dev]'
	@touch $@

$(VENV)/.installed-extras: $(VENV)/.installed
	$(PY) $(INSTALL) --constraint constraints.txt --editable '.[dev,postgres,joblib,slurm,onnx,dashboard,notebooks,peers,music,speech,browser]'
	@touch $@

$(RAY)/.installed: pyproject.toml
	test -x $(RAY)/bin/python || $(PYTHON) -m venv $(RAY)
	@$(RAY)/bin/python $(INSTALL) --editable '.[dev,ray]' && touch $@ || echo "$(RAY) cannot be installed here: Ray's tests are skipped"

quick: $(VENV)/.installed ## a small real study, its figures and report; installs first (STUDY=$(STUDY) WORKERS=$(WORKERS))
	$(PY) -m runs.sweep study=$(STUDY) workers=$(WORKERS)
	$(PY) -m analysis study=$(STUDY)

reproduce: $(VENV)/.installed ## published numbers again, in minutes, and which are reproduced (SEEDS=$(SEEDS) of the networks of 1997, WORKERS=$(WORKERS))
	for study in reproduce_adding reproduce_order; do \
	  $(PY) -m runs.sweep study=$$study points=$(SEEDS) workers=$(WORKERS) tracking=none || exit; \
	done
	for study in reproduce_ablation reproduce_chrono reproduce_forget_bias; do \
	  $(PY) -m runs.sweep study=$$study workers=$(WORKERS) tracking=none || exit; \
	done
	$(PY) -m analysis.reproductions

inside: $(VENV)/.installed ## weights, gradients and gates of the best trials of a study, and its report again (STUDY=$(STUDY) WORKERS=$(WORKERS))
	$(PY) -m runs.inside study=$(STUDY) workers=$(WORKERS)
	$(PY) -m analysis study=$(STUDY)

notebooks: inside ## run the notebooks on a study; .ipynb and HTML go to results/$(STUDY)/notebooks (STUDY=$(STUDY) WORKERS=$(WORKERS))
	@$(PY) -c 'import jupytext, nbclient, nbconvert, ipykernel' 2>/dev/null || \
	  $(PY) $(INSTALL) --constraint constraints.txt --editable '.[dev,notebooks]'
	$(PY) -m analysis.notebooks study=$(STUDY)

test: $(VENV)/.installed ## the fast tests
	$(PY) -m pytest -q -n 2 -m "not slow"

test-all: $(VENV)/.installed-extras $(RAY)/.installed ## all tests with the extras they need; ends with what was skipped, and why
	@failed=0; rest=""; \
	if test -f $(RAY)/.installed; then \
	  $(RAY)/bin/python -m pytest -q -k "$(RAY_TESTS)" || failed=1; rest="not ($(RAY_TESTS))"; \
	fi; \
	$(PY) -m pytest -q -n 2 -k "$$rest" || failed=1; \
	exit $$failed

pythons: ## a smoke study and the fast tests of cells and tasks with other Pythons (PYTHONS="$(PYTHONS)" WORKERS=$(WORKERS))
	@for version in $(PYTHONS); do \
	  env=.venv-$$version; results=$$(mktemp -d); \
	  $(MAKE) VENV=$$env PYTHON=python$$version $$env/.installed && \
	  $$env/bin/python -m runs.sweep study=smoke workers=$(WORKERS) results=$$results && \
	  $$env/bin/python -m analysis study=smoke results=$$results && \
	  $$env/bin/python -m pytest -q -n 2 -m "not slow" tests/variants tests/tasks || exit; \
	done

fuzz: $(VENV)/.installed ## property tests on random cells and calls (EXAMPLES=$(EXAMPLES) of each)
	FUZZ_EXAMPLES=$(EXAMPLES) $(PY) -m pytest -q -n 2 --hypothesis-show-statistics tests/variants/test_properties.py

lint: $(VENV)/.installed ## ruff and mypy
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy

gallery: $(VENV)/.installed ## a page of all cells: drawn, in equations, what studies found; results/cells.html
	$(PY) -m analysis.gallery_of_cells

docs: $(VENV)/.installed ## write the generated pages again: docs/variants.md, docs/tasks.md, docs/reference.md
	$(PY) -m docs

calibrate: $(VENV)/.installed ## measure how often comparisons err and what they find, and write it into docs/statistics.md
	$(PY) -m analysis.calibration write=docs/statistics.md
	$(PY) -m analysis.calibration of=effects studies=400 points=10,20,50 write=docs/statistics.md

dashboard: $(VENV)/.installed ## MLflow on http://127.0.0.1:$(PORT) (PORT=$(PORT))
	@$(PY) -m runs.dashboard port=$(PORT)

optuna-dashboard: $(VENV)/.installed ## Optuna's view of a study on http://127.0.0.1:$(OPTUNA_PORT) (STUDY=$(STUDY) OPTUNA_PORT=$(OPTUNA_PORT))
	@test -x $(VENV)/bin/optuna-dashboard || $(PY) $(INSTALL) --constraint constraints.txt --editable '.[dashboard]'
	@$(PY) -m runs.dashboard optuna=$(STUDY) port=$(OPTUNA_PORT)

bench: $(VENV)/.installed ## speed of every variant beside its peers
	$(PY) -m runs.bench

clean: ## remove the environments and caches; results, and kernels in ~/.cache/lstm-variants, stay
	rm -rf $(VENV) $(RAY) $(PYTHONS:%=.venv-%) *.egg-info build dist .pytest_cache .mypy_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
