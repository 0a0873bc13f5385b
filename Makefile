# SPDX-License-Identifier: MIT
# Every target does all of its own set-up; a second run finds it done.
PY := .venv/bin/python
# PyTest's workers and BLAS's threads would otherwise fight for the same cores.
export OPENBLAS_NUM_THREADS ?= 1
WORKERS ?= auto
EXTRAS := test dask search notebooks synth dev

.PHONY: help demo test test-all lint bench synth mutation mutation-python proof golden clean python simulators
help:
	@echo 'make demo      train, quantise, sweep, emit and verify a network that writes French names (4 minutes)'
	@echo 'make test      the quick suite (12 minutes at most, on 2 cores)'
	@echo 'make test-all  all of it, with the slow tests and the peers'
	@echo 'make lint      ruff, mypy and the import contracts'
	@echo 'make bench     speed, side by side with other packages'
	@echo 'make synth     size and clock of the engine, by yosys and nextpnr'
	@echo 'make mutation  does the verification notice a broken engine?'
	@echo 'make mutation-python  do the tests notice a broken Python core? (hours; ROOMS="numerics numbers")'
	@echo 'make proof     mutation, formal proofs, exhaustive runs and coverage'
	@echo 'make golden    write golden_vectors/ again'

demo:
	@.ci/setup python
	@.ci/setup iverilog
	@$(PY) -m fixedpoint_nn demo

test: simulators
	@.ci/setup chromium
	@.ci/setup python $(EXTRAS)
	$(PY) -m pytest -n $(WORKERS) --dist worksteal $(ARGS)

test-all: simulators
	@.ci/setup chromium
	@.ci/setup python $(EXTRAS)
	@.ci/setup peers
	$(PY) -m pytest -n $(WORKERS) --dist worksteal -m "" $(ARGS)

lint:
	@.ci/setup python $(EXTRAS)
	$(PY) -m ruff check
	$(PY) -m ruff format --check
	.venv/bin/lint-imports
	$(PY) -m mypy

bench:
	@.ci/setup python $(EXTRAS)
	@.ci/setup peers
	$(PY) -m benchmarks

synth:
	@.ci/setup python $(EXTRAS)
	$(PY) -m fixedpoint_nn.hardware.tools.synthesis

mutation: simulators
	@.ci/setup python $(EXTRAS)
	$(PY) -m tests.proof mutation

mutation-python:
	@.ci/setup python $(EXTRAS)
	$(PY) -m tests.proof.mutation_python $(ROOMS) $(ARGS)

proof: simulators
	@.ci/setup python $(EXTRAS)
	$(PY) -m tests.proof

golden: simulators
	@.ci/setup python $(EXTRAS)
	$(PY) -m tests.proof.conformance

simulators:
	@.ci/setup iverilog
	@.ci/setup verilator

clean:
	rm -rf .venv .tools build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
