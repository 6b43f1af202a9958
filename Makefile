# Short names for what one does every day. `make ci` is all that a change must pass.
PYTHON_FILES = neuromotor tests figures examples docs/*.py

.PHONY: help check format test slow docs ci

help:
	@echo 'make check    lint, format, types and the order of layers (under a minute)'
	@echo 'make format   put imports and layout in order'
	@echo 'make test     the tests that run by default'
	@echo 'make slow     the tests that take minutes'
	@echo 'make docs     build the documentation site into site/'
	@echo 'make ci       everything, in a fresh virtual environment'

check:
	ruff check $(PYTHON_FILES)
	ruff format --check $(PYTHON_FILES)
	mypy --strict -p neuromotor
	lint-imports

format:
	ruff check --select I --fix $(PYTHON_FILES)
	ruff format $(PYTHON_FILES)

test:
	pytest

slow:
	pytest -m slow

docs:
	NO_MKDOCS_2_WARNING=1 mkdocs build --strict

ci:
	bash .ci/run
