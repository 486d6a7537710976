# Everything happens in .venv; PYTHON chooses the interpreter that makes it (3.11 to 3.13).
PYTHON ?= python3
BIN := .venv/bin

.PHONY: run test check faults wheel clean

run: .venv/installed
	$(BIN)/farm run corpora.yaml

test: .venv/installed
	$(BIN)/pytest

check: .venv/installed
	$(BIN)/ruff format --check farm tests bench
	$(BIN)/ruff check farm tests bench
	$(BIN)/mypy farm

faults: .venv/installed
	$(BIN)/python bench/faults.py

wheel: .venv/installed
	$(BIN)/python -m build --wheel --outdir dist .

.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet -e '.[dev]' -c constraints.txt
	touch $@

clean:
	rm -rf .venv build dist
