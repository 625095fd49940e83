# make demo | make test | make test-all | make docs | make perf: each sets itself up from nothing.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
# one BLAS thread a process: the work is parallel over networks, seeds and tests
export OMP_NUM_THREADS ?= 1

.PHONY: demo test test-all lint types docs tests perf perf-peers clean

demo: $(VENV)/.core
	$(BIN)/foretell demo --out demo

test: lint types docs tests

# with the tests that are marked slow: every recipe, every block of every page
test-all: lint types docs
	$(BIN)/python -m pytest -n auto --dist worksteal

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.dev
	$(BIN)/mypy

# README, docs and one page a component: site/index.html, built without a network, read without one
docs: $(VENV)/.dev
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict  # --quiet would hide warnings

# unit, contract and oracle tests, doctests, and every command of README from the built wheel
tests: $(VENV)/.dev
	$(BIN)/python -m pytest -n auto --dist worksteal -m "not slow"

# the figures of README and docs: slow, needs FORETELL_DATA (default ../shared/data)
perf: $(VENV)/.dev
	$(BIN)/python perf/run.py

# searches of other packages, in an environment of their own
perf-peers: $(VENV)/.dev .venv-peers/.made
	$(BIN)/python perf/bench_peers.py --python .venv-peers/bin/python

.venv-peers/.made: perf/requirements-peers.txt
	test -x .venv-peers/bin/python || $(PYTHON) -m venv .venv-peers
	.venv-peers/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -r perf/requirements-peers.txt
	touch $@

$(VENV)/.core: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e .
	touch $@

$(VENV)/.dev: $(VENV)/.core requirements-dev.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -r requirements-dev.txt
	touch $@

clean:
	rm -rf $(VENV) demo site dist build .pytest_cache .mypy_cache .ruff_cache .hypothesis
