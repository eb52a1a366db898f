# make run · make test · make bench · make site · make setup
PYTHON ?= python3
VENV = .venv/bin

.PHONY: run test bench site setup lint check unit faults browser e2e

run:
	@$(PYTHON) tools/setup.py run
	@exec $(VENV)/python -m server

setup:
	@$(PYTHON) tools/setup.py test

test: setup lint
	@$(VENV)/python -m pytest

lint: setup
	@$(VENV)/ruff check .
	@$(VENV)/ruff format --check .
	@$(VENV)/python -m mypy

unit faults browser e2e: setup
	@$(VENV)/python -m pytest tests/$@

bench: setup
	@$(VENV)/python -m benchmarks

site:
	@$(PYTHON) tools/setup.py run
	@$(PYTHON) tools/site.py
