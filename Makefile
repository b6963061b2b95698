# Every target makes its own environment first: a virtual environment in .venv, pinned by constraints.txt, kept afterwards.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready
# One more than there are cores: many tests wait for processes of their own. Who has nothing left takes over from the others: else one of them ends minutes after the rest.
WORKERS ?= $(shell echo $$(( $$(nproc 2>/dev/null || getconf _NPROCESSORS_ONLN) + 1 )))

FUZZ_SECONDS ?= 3600

.DEFAULT_GOAL := help
.PHONY: help demo test check lint types imports fuzz live fmt constraints clean

help:
	@echo "make demo    the whole way on simulated data: archive, patches, training, figures, map, report (in demo/)"
	@echo "make test    every test"
	@echo "make check   lint, types, import rules and every test"
	@echo "make fmt     format the code"
	@echo "make fuzz [FUZZ_SECONDS=S]    changed inputs tried for an hour; what fails is kept in fuzz-findings/"
	@echo "make live PROJECT=P [BUCKET=B] [FOLDER=F]    ask the real Earth Engine; writes live-report.json"

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "cropcam needs Python 3.11 or newer; try make PYTHON=python3.11 ..."; exit 2; }
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	@touch $(READY)

demo: $(READY)
	$(BIN)/cropcam demo --out demo

test: $(READY)
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal

check: lint types imports test

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(READY)
	@mkdir -p .types && ln -sfn .. .types/cropcam
	$(BIN)/mypy

imports: $(READY)
	$(BIN)/lint-imports

fuzz: $(READY)
	@PYTHONPATH=tests $(BIN)/python -m fuzz --seconds $(FUZZ_SECONDS) --keep fuzz-findings

live: $(READY)
	@PYTHONPATH=tests $(BIN)/python -m live --project '$(PROJECT)' --bucket '$(BUCKET)' --folder '$(FOLDER)'

fmt: $(READY)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

constraints: $(READY)
	$(BIN)/python -m pip freeze --exclude-editable | sed 's/+[a-z0-9.]*$$//' > constraints.txt

clean:
	rm -rf .venv .types build demo *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
