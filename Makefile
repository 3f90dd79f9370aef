# make demo   set up, then the whole job on phantoms
# make test   set up with every extra, then every check
# make check  format, lint, types, dependency direction
# make bench  speed and memory, beside what one would use instead (hours); see docs/benchmarks.md
# make docs   the HTML documentation
#
# TORCH_INDEX=URL names a package index that holds the CPU build of torch, for machines where the
# pinned version would otherwise bring the CUDA packages.

PYTHON ?= python3
VENV   ?= .venv
OUT    ?= likeness-demo
# Where `make bench` puts its artificial images: 28 GB while it runs, removed at the end.
BENCH  ?= likeness-bench
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt \
          $(if $(TORCH_INDEX),--extra-index-url $(TORCH_INDEX))
# Tests run on as many processes as there are cores, at most four.
JOBS   ?= $(shell n=$$(nproc 2>/dev/null || echo 2); [ $$n -gt 4 ] && echo 4 || echo $$n)

.PHONY: demo test check bench docs clean

demo: $(VENV)/installed-demo
	$(BIN)/likeness demo --out $(OUT) --no-open --overwrite

test: $(VENV)/installed-test check
	$(BIN)/python -m pytest -n $(JOBS)

check: $(VENV)/installed-test
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(VENV)/installed-test
	$(BIN)/python -m benchmarks.surviving_shares
	$(BIN)/python -m benchmarks.search_vs_others --cases main small few noisy-8 noisy-16
	$(BIN)/python -m benchmarks.preparing --folder $(BENCH)
	$(BIN)/python -m benchmarks.restart --folder $(BENCH)
	$(BIN)/python -m benchmarks.generators
	$(BIN)/python -m benchmarks.make_phantoms --folder $(BENCH)
	$(BIN)/python -m benchmarks.growth --folder $(BENCH) --keep
	$(BIN)/python -m benchmarks.audit_at_paper_size --folder $(BENCH)
	$(BIN)/python -m benchmarks.render

docs: $(VENV)/installed-test
	$(BIN)/sphinx-build -W -q -b html docs docs/_build/html
	@echo "docs/_build/html/index.html"

clean:
	rm -rf $(VENV) docs/_build build dist $(OUT)

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Likeness needs Python 3.11 or later; $(PYTHON) is older. Try: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 2; }
	@$(PYTHON) -m venv $(VENV) || \
	  { echo "Python cannot make a virtual environment. On Debian: apt-get install python3-venv"; rm -rf $(VENV); exit 2; }

$(VENV)/installed-demo: $(BIN)/python pyproject.toml constraints.txt
	$(PIP) --editable '.[fast]'
	@touch $@

$(VENV)/installed-test: $(BIN)/python pyproject.toml constraints.txt
	$(PIP) --editable '.[fast,torch,generate,metrics,bench,cluster,docs,dev]'
	@touch $@ $(VENV)/installed-demo
