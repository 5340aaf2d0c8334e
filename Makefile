# Headwind. `make run` and `make test` set up whatever is missing.
PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
VENV := .venv
PY := $(VENV)/bin/python
STAMP := $(VENV)/.set-up

.PHONY: run demo test setup check bench soak docs clean

run: setup ## worker and dashboard on port 8501; Ctrl-C stops both
	@exec $(PY) -m monitor up

demo: setup ## the same on a throw-away store with our sample news and a negative spike on the way
	@exec $(PY) -m monitor demo

test: setup ## every test
	@$(PY) -m pytest

setup: $(STAMP) ## .venv with everything that the product and its tests need

# torch goes first: whatever depends on it then finds it installed and does not choose another build.
$(STAMP): requirements.txt requirements-dev.txt
	@test -n "$(PYTHON)" || { echo "Headwind needs Python 3.11 or newer; install it and run make again" >&2; exit 1; }
	@test -x $(PY) || $(PYTHON) -m venv $(VENV)
	@echo "Setting up $(VENV) (once; a few minutes) ..."
	@$(PY) -m pip install --quiet --disable-pip-version-check "$$(grep '^torch==' requirements.txt)"
	@$(PY) -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	@touch $@

check: setup ## lint, types, layers
	@$(PY) -m ruff check .
	@$(PY) -m ruff format --check .
	@$(PY) -m mypy
	@$(PY) -m pytest tests/test_layers.py

bench: $(VENV)/.set-up-bench ## benchmarks, side by side with their peers; results in bench/RESULTS.md
	@$(PY) -m bench

$(VENV)/.set-up-bench: $(STAMP) requirements-bench.txt
	@$(PY) -m pip install --quiet --disable-pip-version-check -r requirements-bench.txt
	@touch $@

soak: setup ## the long fault runs (200 kills and the like)
	@$(PY) -m pytest -m soak --timeout 3600 --run-soak

docs: setup ## the screenshots of the user guide, made by the browser tests
	@HEADWIND_SCREENSHOTS=docs/images $(PY) -m pytest tests/browser/test_pictures.py

clean: ## remove what setup made
	@rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache
