# SPDX-FileCopyrightText: 2026 the octofleet.octopus authors
# SPDX-License-Identifier: GPL-3.0-or-later
#
#   make demo     rotate a Server certificate over an embedded fleet, with an independent witness
#   make test     all the tests
#
# Both work from a fresh clone with Python 3.11 or later and make: they build their own virtual environment in .venv.

SHELL := /bin/bash
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { command -v $$p; break; }; done)
VENV := .venv
BIN := $(CURDIR)/$(VENV)/bin
# PYTHONUNBUFFERED makes pipelined modules read their payload byte by byte (design/performance.md 4.6);
# PYTHONDONTWRITEBYTECODE makes every stand-in of the lab compile its sources anew.
RUN := env -u PYTHONUNBUFFERED -u PYTHONDONTWRITEBYTECODE PATH=$(BIN):$$PATH ANSIBLE_COLLECTIONS_PATH=$(CURDIR)/$(VENV)/collections \
	ANSIBLE_HOME=$(CURDIR)/$(VENV)/ansible ANSIBLE_LOCALHOST_WARNING=False PYTHONPATH=$(CURDIR)/tests

.PHONY: demo test bench proof estate lint sanity clean venv
venv: $(VENV)/.ready

$(VENV)/.ready: tests/requirements.txt tests/tools/windows_collection.py
	@test -n "$(PYTHON)" || { echo "Python 3.11 or later was not found. Install it, or name it: make PYTHON=/path/to/python3 $(MAKECMDGOALS)"; exit 1; }
	@echo "Making the virtual environment $(VENV) (once) ..."
	@$(PYTHON) -m venv --clear $(VENV)
	@$(BIN)/python -m pip --quiet --disable-pip-version-check install -r tests/requirements.txt
	@mkdir -p $(VENV)/collections/ansible_collections/octofleet
	@ln -sfn $(CURDIR) $(VENV)/collections/ansible_collections/octofleet/octopus
	@$(BIN)/python tests/tools/windows_collection.py $(VENV)/collections
	@touch $@

demo: $(VENV)/.ready
	@$(RUN) $(BIN)/python -m lab.demo

test: $(VENV)/.ready
	@$(RUN) $(BIN)/python -m pytest -q -n 2 --maxschedchunk=1 -m "not estate and not proof" tests/e2e tests/model tests/unit
	@$(RUN) $(BIN)/python -m pytest -q tests/browser

bench: $(VENV)/.ready
	@$(RUN) $(BIN)/python -m pytest -q tests/bench

proof: $(VENV)/.ready
	@$(RUN) $(BIN)/python -m pytest -q -n 2 --maxschedchunk=1 tests/proof
	@$(RUN) $(BIN)/python -m pytest -q -n 2 --maxschedchunk=1 -m proof tests/e2e

# Larger estates end to end; the end-to-end tests once more with every second host on Windows; a mixed fleet of 120, there and back.
# An hour and more on two cores, so no part of .ci/run.
estate: $(VENV)/.ready
	@$(RUN) $(BIN)/python -m pytest -q -n 2 --maxschedchunk=1 -m estate tests/e2e
	@OCTO_MIXED=1 $(RUN) $(BIN)/python -m pytest -q -n 2 --maxschedchunk=1 tests/e2e/test_rotation.py tests/e2e/test_refusals.py \
		tests/e2e/test_disturbed.py tests/e2e/test_polling.py tests/e2e/test_secrets.py tests/e2e/test_stopped.py
	@$(RUN) $(BIN)/python -m pytest -q tests/estate

lint: $(VENV)/.ready .venv-lint/.ready
	@tests/tools/lint

.venv-lint/.ready: tests/requirements-lint.txt
	@echo "Making the virtual environment .venv-lint (once) ..."
	@$(PYTHON) -m venv --clear .venv-lint
	@.venv-lint/bin/python -m pip --quiet --disable-pip-version-check install -r tests/requirements-lint.txt
	@touch $@

sanity:
	@tests/tools/sanity

clean:
	rm -rf .venv .venv-lint .build demo .pytest_cache .mypy_cache .ruff_cache .hypothesis
