# Every target sets up what it needs. `make` alone prints this help.
VENV := .venv
FITS := import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))
# The first that runs and is of a fitting version; a name on PATH may be a stand-in for a Python that is not there.
PYTHON ?= $(shell for name in python3 python3.13 python3.12 python3.11; do \
  "$$name" -c '$(FITS)' 2>/dev/null && echo "$$name" && break; done)
RUN := $(VENV)/bin/python -P
LOCK := $(VENV)/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header
# Images get the versions that are tested.
LOCK_IMAGE := $(LOCK) --constraint requirements/dev.lock
# Of every extra but bench, which only a benchmark needs.
LOCK_DEV := $(LOCK) $(patsubst %,--extra %,server h2o inference embedded pandas parquet mlflow demo dev)
# torch is in no lock file: pip installs it before, from requirements/torch.txt.
LOCK_INFERENCE := $(LOCK_IMAGE) --extra inference --override requirements/without-torch.txt
# These start clusters of their own; the other tests of H2O share one, so they run in one process.
CLUSTERS := $(patsubst %,tests/contract/h2o/test_%.py,external_cluster recycling two_nodes)
INSTALL := $(VENV)/bin/python -m pip install --quiet --disable-pip-version-check

.DEFAULT_GOAL := help
.PHONY: contract-h2o contract-others help demo up inference test check types fix test-unit test-contract test-integration test-acceptance bench migration kind lock clean

help: ## print this help
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-18s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(VENV)/.demo ## run one AutoML job from submission to leaderboard (KEEP=1 leaves it running)
	@$(RUN) examples/circle.py

up: $(VENV)/.demo ## start everything on this machine, until Ctrl-C
	@$(VENV)/bin/turnout up

inference: $(VENV)/.inference ## install what jobs of inference need, torch above all, for `make up` and for workers

test: check test-contract test-integration test-acceptance ## all tests

check: $(VENV)/.dev ## format, lint, types, import rules, containers and unit tests
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/ruff check .
	$(VENV)/bin/lint-imports
	$(VENV)/bin/hadolint deploy/*.Dockerfile
	$(VENV)/bin/check-jsonschema --quiet --builtin-schema vendor.compose-spec deploy/compose.yaml
	@$(MAKE) --no-print-directory -j 2 types test-unit

types: $(VENV)/.dev ## check the types
	$(VENV)/bin/mypy

fix: $(VENV)/.dev ## format, and mend what the linter can
	$(VENV)/bin/ruff format .
	$(VENV)/bin/ruff check --fix .

test-unit: $(VENV)/.dev ## no sockets, fakes only
	$(RUN) -m pytest tests/unit -q -n 2

test-contract: $(VENV)/.dev ## the runtimes against the real thing (starts H2O)
	@$(MAKE) --no-print-directory -j 2 contract-h2o contract-others

contract-h2o: $(VENV)/.dev
	$(RUN) -m pytest tests/contract/h2o -q $(CLUSTERS:%=--ignore=%)

contract-others: $(VENV)/.dev
	$(RUN) -m pytest $(filter-out tests/contract/h2o/ tests/contract/__pycache__/,$(wildcard tests/contract/*/)) $(CLUSTERS) -q

test-integration: $(VENV)/.dev ## real Redis and SQL: migrations, claim races, fencing, the janitor
	$(RUN) -m pytest tests/integration -q -n 4

test-acceptance: $(VENV)/.dev ## the real program as processes, one story a file
	$(RUN) -m pytest tests/acceptance -q -n 2 --dist loadfile

bench: $(VENV)/.bench ## benchmarks, one after the other; let nothing else run meanwhile
	-PYTHONPATH=. $(RUN) -m bench.automl
	-PYTHONPATH=. $(RUN) -m bench.submit_broker_away
	-PYTHONPATH=. $(RUN) -m bench.refusals
	-PYTHONPATH=. $(RUN) -m bench.large_table
	-PYTHONPATH=. $(RUN) -m bench.queue
	-PYTHONPATH=. $(RUN) -m bench.inference
	-PYTHONPATH=. $(RUN) -m bench.inference --words 40 --inputs 512 --singles 512 --only a c
	-PYTHONPATH=. $(RUN) -m bench.scaling
	-PYTHONPATH=. $(RUN) -m bench.chaos
	-PYTHONPATH=. $(RUN) -m bench.chaos --stream inference --jobs 3000 --minutes 5

migration: $(VENV)/.dev ## write a migration from the change of db/rows.py: make migration M="what changes"
	rm -rf .turnout/migration && mkdir -p .turnout/migration
	TURNOUT_HOME=.turnout/migration $(RUN) -m db upgrade
	TURNOUT_HOME=.turnout/migration $(RUN) -m db revision "$(M)"

kind: ## begin a new kind of job: make kind NAME=verb_noun
	@$(PYTHON) deploy/new_kind.py "$(NAME)"

lock: $(VENV)/.dev ## resolve the pinned versions anew
	$(LOCK) --extra server --extra h2o --extra embedded --extra demo --output-file requirements/demo.lock pyproject.toml
	$(LOCK_DEV) --constraint requirements/demo.lock --override requirements/without-torch.txt --output-file requirements/dev.lock pyproject.toml
	$(LOCK_INFERENCE) --output-file requirements/inference.lock pyproject.toml
	$(LOCK_IMAGE) --extra bench --output-file requirements/bench.lock pyproject.toml
	$(LOCK_IMAGE) --output-file deploy/locks/build.lock deploy/locks/build.in
	$(LOCK_IMAGE) --output-file deploy/locks/h2o.lock deploy/locks/h2o.in
	$(LOCK_IMAGE) --extra server --output-file deploy/locks/server.lock pyproject.toml
	$(LOCK_INFERENCE) --extra server --output-file deploy/locks/worker-cpu.lock pyproject.toml deploy/locks/worker-cpu.in
	$(LOCK_INFERENCE) --extra server --override requirements/without-onnxruntime.txt --output-file deploy/locks/worker-gpu.lock pyproject.toml deploy/locks/worker-gpu.in
	$(LOCK_IMAGE) --extra server --output-file deploy/locks/worker-h2o.lock pyproject.toml deploy/locks/worker-h2o.in

clean: ## remove what was installed and made here
	rm -rf $(VENV) .turnout .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis *.egg-info

$(VENV)/bin/python:
	@$(PYTHON) -c '$(FITS)' 2>/dev/null || { echo "Python 3.11, 3.12 or 3.13 is needed. Set PYTHON=… to one." >&2; exit 1; }
	@echo "Making $(VENV) …"
	@$(PYTHON) -m venv $(VENV)

$(VENV)/.demo: $(VENV)/bin/python requirements/demo.lock
	@echo "Installing the pinned dependencies (about 500 MB, mostly H2O) …"
	@$(INSTALL) --require-hashes --requirement requirements/demo.lock
	@PYTHONWARNINGS="ignore:Editable installation" $(INSTALL) --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/.inference: $(VENV)/.demo requirements/torch.txt requirements/inference.lock
	@echo "Installing torch and what else inference needs (about 1 GB, with CUDA more) …"
	@$(INSTALL) --requirement requirements/torch.txt
	@$(INSTALL) --require-hashes --requirement requirements/inference.lock
	@touch $@

$(VENV)/.dev: $(VENV)/.demo requirements/torch.txt requirements/dev.lock
	@echo "Installing the development tools and torch (about 1 GB, with CUDA more) …"
	@$(INSTALL) --requirement requirements/torch.txt
	@$(INSTALL) --require-hashes --requirement requirements/dev.lock
	@touch $@

$(VENV)/.bench: $(VENV)/.dev requirements/bench.lock
	@echo "Installing what the benchmarks compare Turnout with …"
	@$(INSTALL) --require-hashes --requirement requirements/bench.lock
	@touch $@
