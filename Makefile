# Everything happens in a virtual environment in .venv; PYTHON chooses the interpreter.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin

.PHONY: browser clean coverage demo dev docs fast gate-example install lint lock locked mutants site size-of-test test

demo: $(VENV)/.installed  ## install and diagnose a sample log
	$(BIN)/gradlens analyze sample_logs/bad_data.jsonl --threshold 1

test: size-of-test $(VENV)/.dev  ## install what the tests need and run all of them
	$(BIN)/python -m pytest -n auto --dist worksteal

size-of-test:
	@test -e $(VENV)/.dev || echo 'make test: first installs about 2.4 GB of packages into $(VENV), PyTorch and the clients that write logs among them'
	@echo 'make test: all tests take 5 to 20 minutes; `make fast` leaves out the slow ones and needs 1 GB of packages'

browser:  ## Debian's Chromium for the tests of the pages, where it is missing and may be installed; they are skipped without
	@command -v chromium >/dev/null || command -v chromium-browser >/dev/null || command -v google-chrome >/dev/null \
	  || { SUDO=; [ "$$(id -u)" = 0 ] || SUDO='sudo -n'; \
	       $$SUDO apt-get update -qq && $$SUDO apt-get install -qq --yes --no-install-recommends chromium; } \
	  || echo 'make browser: Chromium cannot be installed here; the tests that open pages in it are skipped' >&2

fast: $(VENV)/.fast  ## the tests that take seconds, without PyTorch and the real clients
	$(BIN)/python -m pytest -n auto --dist worksteal -m "not slow"

coverage: $(VENV)/.dev  ## branch coverage of the fast tests; fails below the floor in pyproject.toml
	$(BIN)/python -m pytest -n auto --dist worksteal -m "not slow" --cov --cov-report=term:skip-covered

lint: $(VENV)/.dev  ## style, formatting, types, layers, and whether the generated docs are up to date
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m benchmarks.docs --check

docs: $(VENV)/.dev  ## rewrite the generated pages
	$(BIN)/python -m benchmarks.docs

site: $(VENV)/.docs  ## build the documentation as a site that is read without a network, in build/site
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --quiet --strict
	@echo 'open build/site/index.html'

gate-example: $(VENV)/.installed  ## train the small example and gate it against its committed baseline
	$(BIN)/python examples/train.py --out build/example.jsonl
	$(BIN)/gradlens gate build/example.jsonl --baseline examples/baseline.json --threshold 1.2

lock:  ## write requirements/locked.txt anew; needs uv
	uv pip compile pyproject.toml --extra test --extra lint --universal --python-version 3.11 --generate-hashes \
	  --no-emit-index-url --no-header --no-annotate --quiet -o requirements/locked.txt
	printf '%s\n%s\n' '# Pinned and hashed: what the fast tests and the linters need, for the job `locked` of .github/workflows/ci.yml. Written by `make lock`.' \
	  "$$(cat requirements/locked.txt)" > requirements/locked.txt

locked:  ## the fast tests in a fresh environment that holds what the lock names and nothing else
	$(PYTHON) -m venv --clear $(VENV)-locked
	$(VENV)-locked/bin/python -m pip install --quiet --require-hashes --no-deps -r requirements/locked.txt
	$(VENV)-locked/bin/python -m pip install --quiet --no-deps --editable .
	$(VENV)-locked/bin/python -m pip check
	$(VENV)-locked/bin/python -m pytest -n auto --dist worksteal -m "not slow"

SINCE ?= origin/main
mutants: $(VENV)/.fast  ## what of the lines changed since SINCE can be changed again without a test that fails
	$(BIN)/python -m benchmarks.mutants --since $(SINCE)

install: $(VENV)/.installed
dev: $(VENV)/.dev

$(VENV)/.installed: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --editable '.[all]'
	$(BIN)/python -m compileall -q gradlens
	touch $@

$(VENV)/.fast: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --editable '.[test]'
	$(BIN)/python -m compileall -q gradlens
	touch $@ $(VENV)/.installed

$(VENV)/.docs: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --editable '.[docs]'
	touch $@

$(VENV)/.dev: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	$(BIN)/python -m compileall -q gradlens
	touch $@ $(VENV)/.fast $(VENV)/.installed $(VENV)/.docs

clean:
	rm -rf $(VENV) $(VENV)-locked build dist .pytest_cache .mypy_cache .ruff_cache
