# Two commands do everything: `make demo` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
PEERS := .venv-bench
export HF_HUB_OFFLINE := 1
export DO_NOT_TRACK := 1
export PREFECT_SERVER_ANALYTICS_ENABLED := false

.PHONY: help install demo test lint bench gpu kills lock clean

help:  ## this list
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

install: $(STAMP)  ## make .venv and install everything

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "dataforge needs Python 3.11 or newer: make PYTHON=python3.12"; exit 2; }
	test -d $(VENV) || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install -q --disable-pip-version-check -c constraints.txt -e '.[all,test]'
	touch $(STAMP)

demo: $(STAMP)  ## run the bundled sample end to end and say where things are
	$(BIN)/dataforge run configs/demo --direct

test: $(STAMP)  ## all tests
	$(BIN)/python -m pytest -n 2 --dist worksteal

lint: $(STAMP)  ## ruff, and mypy strict on schemas, kernels and core
	$(BIN)/ruff check .
	$(BIN)/mypy schemas kernels dataforge/*.py dataforge/engine

bench: $(STAMP) $(PEERS)/.installed  ## our figures beside the peers', into build/bench.json
	$(BIN)/python -m tests.benchmarks.run --peers $(PEERS)

gpu: $(STAMP)  ## tests and figures of the GPU, where one is (needs .[gpu])
	$(BIN)/python -m pytest -m gpu -rs
	$(BIN)/python -m tests.benchmarks.gpu

$(PEERS)/.installed: constraints-bench.txt
	test -d $(PEERS) || $(PYTHON) -m venv $(PEERS)
	$(PEERS)/bin/pip install -q --disable-pip-version-check -r constraints-bench.txt
	$(PEERS)/bin/pip install -q --disable-pip-version-check --no-deps $$(sed -n 's/^# no-deps: //p' constraints-bench.txt)
	touch $(PEERS)/.installed

kills: $(STAMP)  ## kill the demo at random moments and compare every byte
	$(BIN)/python -m tests.kill_demo 100

lock: $(STAMP)  ## constraints with hashes for one platform, not committed
	$(BIN)/pip install -q pip-tools && $(BIN)/pip-compile -q --generate-hashes --all-extras -c constraints.txt -o build/lock.txt pyproject.toml

clean:  ## remove what was built, keep .venv
	rm -rf build .pytest_cache .mypy_cache .ruff_cache
