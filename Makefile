# make verify: install what the main job needs (no torch) and decide every claim.
# make test: install the rest and run the whole suite, doctests included.
# All paths are relative, so a checkout may lie below a folder with spaces in its name.
PYTHON ?= python3
BIN := $(if $(filter Windows_NT,$(OS)),.venv/Scripts,.venv/bin)
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile --constraint constraints.txt --editable
NEEDS := pyproject.toml constraints.txt
PYTEST := $(BIN)/python -m pytest -n auto --dist loadfile
CHECKED := -p tests.typecheck --jaxtyping-packages=conetheory,empirical,tests.typecheck.checked

# Tests run in several processes: one thread each for linear algebra.
export OPENBLAS_NUM_THREADS ?= 1

.PHONY: verify test coverage lint types bench wheel clean

verify: .venv/core.stamp
	$(BIN)/python -m claims verify

test: .venv/all.stamp
	$(PYTEST)

# The suite again with every annotated type checked and every line counted: three times as long.
coverage: .venv/all.stamp
	$(PYTEST) $(CHECKED) --cov --cov-report=term:skip-covered

lint: .venv/all.stamp
	$(BIN)/python -m ruff check .
	$(BIN)/python -m ruff format --check .

# Pyright, then the documented examples with every annotated type and shape checked as they run.
types: .venv/all.stamp
	$(BIN)/python -m pyright
	$(PYTEST) -q $(CHECKED) conetheory sims empirical

# Rows are timed in processor time, one thread each; ends with an error where a ratio has fallen (benchmarks/README.md).
bench: export OMP_NUM_THREADS = 1
bench: .venv/all.stamp
	@mkdir -p results/bench
	$(BIN)/python -m pytest benchmarks --timeout=900 --benchmark-only --benchmark-timer=time.process_time --benchmark-min-rounds=7 \
	  --benchmark-max-time=0.5 --benchmark-columns=median,iqr,rounds --benchmark-sort=name --benchmark-json=results/bench/pytest.json
	$(BIN)/python -m benchmarks.report results/bench/pytest.json

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
