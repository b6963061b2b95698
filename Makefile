# Every target makes its own environment first: a virtual environment in .venv with the locked packages, kept afterwards.
# `make demo` installs what a user needs; the targets for developers install the rest beside it.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready
DEV := .venv/.ready-dev
# Python compiles what it imports, which is a small part of what is installed.
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile
TOOLS := .tools
DOCS := .docs
# One more than there are cores: many tests wait for processes of their own. Who has nothing left takes over from the others: else one of them ends minutes after the rest.
WORKERS ?= $(shell echo $$(( $$(nproc 2>/dev/null || getconf _NPROCESSORS_ONLN) + 1 )))

# Pages at once; most of their time is their own.
DOCS_WORKERS ?= $(shell nproc 2>/dev/null || getconf _NPROCESSORS_ONLN)
PAGES ?= docs/tutorial.md docs/howto/[!R]*.md
FUZZ_SECONDS ?= 3600

.DEFAULT_GOAL := help
.PHONY: help demo docs docs-outputs test check lint types imports fuzz live fmt lock audit sbom mutants pictures clean

help:
	@echo "make demo    the whole way on simulated data: archive, patches, training, figures, map, report (in demo/)"
	@echo "make test    every test"
	@echo "make check   lint, types, import rules and every test"
	@echo "make fmt     format the code"
	@echo "make fuzz [FUZZ_SECONDS=S]    changed inputs tried for an hour; what fails is kept in fuzz-findings/"
	@echo "make lock    write the locked packages anew; make audit, make sbom: list them (docs/dependencies.md)"
	@echo "make mutants [MUTANTS=200] [SEED=0]    change lines one by one and see which the tests notice"
	@echo "make pictures    the pictures of README, from the demo; needs chromium"
	@echo "make docs    the documentation in build/docs; runs the blocks of its pages and its notebooks"
	@echo "make docs-outputs [PAGES=FILE]    write the outputs that pages show anew"
	@echo "make live PROJECT=P [BUCKET=B] [FOLDER=F]    ask the real Earth Engine; writes live-report.json"

$(READY): pyproject.toml requirements.txt constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "cropcam needs Python 3.11 or newer; try make PYTHON=python3.11 ..."; exit 2; }
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(PIP) --require-hashes --no-deps --requirement requirements.txt
	$(PIP) --constraint constraints.txt torch
	$(PIP) --no-deps --no-build-isolation --editable .
	@touch $(READY)

$(DEV): $(READY) requirements-dev.txt
	$(PIP) --require-hashes --no-deps --requirement requirements-dev.txt
	@touch $(DEV)

$(TOOLS)/.ready: .ci/tools.txt
	@test -x $(TOOLS)/bin/python || $(PYTHON) -m venv $(TOOLS)
	$(TOOLS)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps --requirement .ci/tools.txt
	@touch $@

# Its own packages first, then those of .venv: notebooks and pages run the project as it is.
$(DOCS)/.ready: .ci/docs.txt $(DEV)
	@test -x $(DOCS)/bin/python || $(PYTHON) -m venv $(DOCS)
	$(DOCS)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps --requirement .ci/docs.txt
	@$(BIN)/python -c 'import site; print("import site; site.addsitedir(%r)" % site.getsitepackages()[0])' > "$$($(DOCS)/bin/python -c 'import site; print(site.getsitepackages()[0])')/cropcam-project.pth"
	@touch $@

demo: $(READY)
	$(BIN)/cropcam demo --out demo
	@echo "The report: $(CURDIR)/demo/run/report.html"
	@echo "Open it with: $(BIN)/python -m webbrowser -t demo/run/report.html"
	@echo "For the command cropcam type first: . $(BIN)/activate"

test: $(DEV)
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal

check: lint types imports test

lint: $(DEV)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(DEV)
	@mkdir -p .types && ln -sfn .. .types/cropcam
	$(BIN)/mypy

imports: $(DEV)
	$(BIN)/lint-imports

fuzz: $(DEV)
	@PYTHONPATH=tests $(BIN)/python -m fuzz --seconds $(FUZZ_SECONDS) --keep fuzz-findings

live: $(DEV)
	@PYTHONPATH=tests $(BIN)/python -m live --project '$(PROJECT)' --bucket '$(BUCKET)' --folder '$(FOLDER)'

fmt: $(DEV)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

lock: $(TOOLS)/.ready
	$(TOOLS)/bin/python .ci/lock.py $(UPGRADE)

docs: $(DOCS)/.ready
	PATH="$(abspath $(BIN)):$$PATH" $(DOCS)/bin/python -m pytest -n $(DOCS_WORKERS) --dist worksteal -q docs/tools/test_pages.py
	PATH="$(abspath $(BIN)):$$PATH" $(DOCS)/bin/python -m sphinx --fail-on-warning --keep-going --fresh-env --quiet -b html docs build/docs
	$(DOCS)/bin/python -m pytest -q docs/tools/test_site.py
	@echo "build/docs/index.html: open it in a browser"

docs-outputs: $(DOCS)/.ready
	PATH="$(abspath $(BIN)):$$PATH" $(DOCS)/bin/python docs/tools/site_blocks.py $(PAGES)

audit: $(DEV) $(TOOLS)/.ready
	$(BIN)/python .ci/audit.py $(if $(ADVISORIES),--advisories '$(ADVISORIES)')

sbom: $(DEV) $(TOOLS)/.ready
	@mkdir -p build
	$(TOOLS)/bin/cyclonedx-py environment --pyproject pyproject.toml --output-reproducible --output-file build/sbom.cdx.json $(BIN)/python

mutants: $(DEV) $(TOOLS)/.ready
	nice $(TOOLS)/bin/python -m benchmarks.mutants --mutants $(or $(MUTANTS),200) --seed $(or $(SEED),0)

pictures: $(DEV)
	$(BIN)/cropcam demo --out demo
	$(BIN)/python -m benchmarks.screens --demo demo

clean:
	rm -rf .venv .tools .docs .types build demo *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
