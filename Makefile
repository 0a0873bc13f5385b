# SPDX-License-Identifier: MIT
# Every target does all of its own set-up; a second run finds it done.
PY := .venv/bin/python
# PyTest's workers and BLAS's threads would otherwise fight for the same cores.
export OPENBLAS_NUM_THREADS ?= 1
WORKERS ?= auto
# What a developer runs before every commit: a minute at most on two cores. The compiled kernels are left to `make test`.
CHECKED := tests/numerics tests/numbers tests/layers --ignore=tests/numbers/networks --ignore=tests/numerics/native \
    tests/project/test_sources.py \
    "tests/hardware/rtl/test_golden.py::test_a_golden_pack_passes_in_icarus_with_every_write_traced[moons]"
EXTRAS := test dask search notebooks synth onnx tflite board axi docs dev

.PHONY: help demo check test test-all coverage lint docs bench synth mutation mutation-python proof golden release clean python simulators
help:
	@echo 'make demo      train, quantise, sweep, emit and verify a network that writes French names (4 minutes)'
	@echo 'make check     formats, numbers, layers and one pack in Icarus, before every commit (a minute at most)'
	@echo 'make test      the quick suite (12 minutes at most on 2 cores, after the set-up)'
	@echo 'make test-all  all of it, with the slow tests and the peers'
	@echo 'make lint      ruff, mypy and the import contracts'
	@echo 'make coverage  which lines of the Python the quick suite runs'
	@echo 'make docs      the documentation as a site, in site/ (Python 3.11 or newer)'
	@echo 'make bench     speed, side by side with other packages'
	@echo 'make synth     size and clock of the engine, by yosys and nextpnr'
	@echo 'make mutation  does the verification notice a broken engine?'
	@echo 'make mutation-python  do the tests notice a broken Python core? (hours; ROOMS="numerics numbers", ARGS="--sample 170")'
	@echo 'make proof     mutation, formal proofs, exhaustive runs and coverage'
	@echo 'make golden    write golden_vectors/ again'
	@echo 'make release   build wheel and source distribution from the last commit, and try them (ARGS="--pythons python3.13")'

demo:
	@.ci/setup python
	@.ci/setup iverilog
	@$(PY) -m fixedpoint_nn demo

check:
	@.ci/setup iverilog
	@.ci/setup python $(EXTRAS)
	$(PY) -m pytest -q -n $(WORKERS) --dist worksteal $(CHECKED) $(ARGS)

test: simulators
	@.ci/setup chromium
	@.ci/setup shells
	@.ci/setup python $(EXTRAS)
	$(PY) -m pytest -n $(WORKERS) --dist worksteal $(ARGS)

test-all: simulators
	@.ci/setup chromium
	@.ci/setup shells
	@.ci/setup python $(EXTRAS)
	@.ci/setup peers
	$(PY) -m pytest -n $(WORKERS) --dist worksteal -m "" $(ARGS)

coverage: simulators
	@.ci/setup chromium
	@.ci/setup shells
	@.ci/setup python $(EXTRAS)
	$(PY) -m pytest -n $(WORKERS) --dist worksteal --cov --cov-report=term --cov-report=html $(ARGS)

lint:
	@.ci/setup python $(EXTRAS)
	$(PY) -m ruff check
	$(PY) -m ruff format --check
	.venv/bin/lint-imports
	$(PY) -m mypy

docs:
	@.ci/setup python $(EXTRAS)
	$(PY) -m mkdocs build --strict

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

release:
	@.ci/setup iverilog
	@$${PYTHON:-python3} .ci/release.py $(ARGS)

simulators:
	@.ci/setup iverilog
	@.ci/setup verilator

clean:
	rm -rf .venv .tools build dist site *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
