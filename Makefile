# The commands people type. Nothing here uses sudo, apt or files outside this folder, except `make system`.
# Variables: PYTHON=python3.12  ONCE=1 JSON=1 (demo)  STRICT=1 (test, check, system)  SIZE=400 SEED=... (demo)
#            CASES=20000 PARSER="roster ask" (fuzz)  FAULTS=500 SEED=7 (faults)
#            FULL=1 PUBLISH=1 RECORDS=300000 (bench)

PYTHON ?= python3
ONCE ?=
JSON ?=
STRICT ?=
SIZE ?=
SEED ?=
FULL ?=
PUBLISH ?=
RECORDS ?=
CASES ?= 1000000
PARSER ?=
FAULTS ?= 200
export STRICT

BIN := .venv/bin
.DEFAULT_GOAL := help
.PHONY: help demo test fuzz bench check proto system clean run-environment dev-environment

help:  ## say what can be made
	@sed -n 's/^\([a-z]*\):.*## /  make \1\t/p' $(MAKEFILE_LIST) | expand -t 16

demo: run-environment  ## a gateway and four agencies on this machine; asks about three children, and one total
	@$(BIN)/elsewhere demo run $(if $(ONCE),--once) $(if $(JSON),--json) \
	  $(if $(SIZE),--size $(SIZE)) $(if $(SEED),--seed $(SEED))

test: dev-environment  ## every test; the last line names what could not run and how to allow it
	@$(BIN)/python -m pytest

fuzz: dev-environment  ## hours: a million cases for each parser; CASES=20000 PARSER=roster for fewer
	@$(BIN)/pip install --quiet --constraint constraints.txt atheris
	@$(BIN)/python -m tests.fuzz --cases $(CASES) $(PARSER)

bench: dev-environment  ## times beside their floors, in ten minutes; FULL=1: a million records; PUBLISH=1: to docs
	@$(BIN)/python -m bench $(if $(FULL),--full) $(if $(RECORDS),--records $(RECORDS)) \
	  $(if $(PUBLISH),--publish docs/benchmarks.md)

faults: dev-environment  ## two hundred faults, and as many kills of each kind, half an hour; FAULTS=500 SEED=7
	@KILLS=$$(($(FAULTS) / 2)) $(BIN)/python -m pytest -q tests/fault/test_log_killed.py
	@KILLS=$(FAULTS) $(BIN)/python -m pytest -q tests/fault/test_study_killed.py \
	  tests/fault/test_study_steps_killed.py
	@$(BIN)/python -m tests.campaign --faults $(FAULTS) $(if $(SEED),--seed $(SEED))

check: dev-environment  ## style, types, who may import whom, and the wire contract
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@tools/wire.sh

proto: dev-environment  ## write elsewhere/wire/v1 again from proto/
	@$(BIN)/python tools/generate_wire.py --out .

system:  ## install the Debian packages wanted here (uses apt-get); STRICT=1: npm too, for make check
	@tools/system.sh

clean:  ## remove what make has built; nothing else
	rm -rf .venv .tools build *.egg-info .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis

run-environment:
	@tools/environment.sh run "$(PYTHON)"

dev-environment:
	@tools/environment.sh dev "$(PYTHON)"
