# make verify: install what the main job needs (no torch) and decide every claim.
# make test: install the rest and run the whole suite, doctests included.
# All paths are relative, so a checkout may lie below a folder with spaces in its name.
PYTHON ?= python3
BIN := $(if $(filter Windows_NT,$(OS)),.venv/Scripts,.venv/bin)
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile --constraint constraints.txt --editable
NEEDS := pyproject.toml constraints.txt

# Tests run in several processes: one thread each for linear algebra.
export OPENBLAS_NUM_THREADS ?= 1

.PHONY: verify test lint types bench wheel clean

verify: .venv/core.stamp
	$(BIN)/python -m claims verify

test: .venv/all.stamp
	$(BIN)/python -m pytest -n auto --dist loadfile --cov --cov-report=term:skip-covered --jaxtyping-packages=conetheory,empirical,tests.typecheck.checked

lint: .venv/all.stamp
	$(BIN)/python -m ruff check .
	$(BIN)/python -m ruff format --check .

types: .venv/all.stamp
	$(BIN)/python -m pyright

bench: .venv/all.stamp
	$(BIN)/python -m pytest benchmarks --benchmark-only --benchmark-columns=median,iqr,rounds --benchmark-sort=name

wheel: .venv/all.stamp
	$(BIN)/python -m build --wheel --outdir dist .

clean:
	rm -rf .venv build dist .pytest_cache .ruff_cache .hypothesis

.venv/pip.stamp:
	$(PYTHON) -m venv .venv
	@touch $@

# Whoever has everything has the main job's part too, so neither target installs twice.
.venv/core.stamp: .venv/pip.stamp $(NEEDS)
	@if [ .venv/all.stamp -nt pyproject.toml ] && [ .venv/all.stamp -nt constraints.txt ]; then :; else $(PIP) .; fi
	@touch $@

.venv/all.stamp: .venv/pip.stamp $(NEEDS)
	$(PIP) ".[all]"
	@touch $@
