# Two commands: `make run` sets everything up and opens the app, `make test` sets up and passes all tests.
# The environment lives in .venv; a stamp file per step makes a second call instant.

SHELL := /bin/sh
VENV := .venv
BIN := $(VENV)/bin
STAMPS := $(VENV)/.stamps
PINS := pyproject.toml requirements.lock packaging/setup_env.sh
TESTS ?= tests
# torch runs single-threaded in tests: two test processes on two cores leave nothing to share.
QUIET := QT_QPA_PLATFORM=offscreen OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1

.PHONY: help run test test-slow lint package check-package bench screenshots locale lock icons clean
.DEFAULT_GOAL := help

help: ## Show the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1|/p' $(MAKEFILE_LIST) | awk -F'|' '{ printf "  make %-14s %s\n", $$1, $$2 }'

run: $(STAMPS)/run $(STAMPS)/qt ## Set up and open the app (without a display: the rehearsal)
	@packaging/run.sh

test: lint ## Set up and pass all tests, offscreen, with the style, type and layer checks
	$(QUIET) $(BIN)/python -m pytest -n 2 -q -m "not slow" $(TESTS)

test-slow: $(STAMPS)/dev $(STAMPS)/qt ## Pass the tests that take minutes
	$(QUIET) $(BIN)/python -m pytest -q -m slow $(TESTS)

lint: $(STAMPS)/dev $(STAMPS)/qt ## Check style, types and layers
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

package: $(STAMPS)/package ## Build the one-folder app and the .deb into dist/
	packaging/build_app.sh
	$(BIN)/python packaging/build_deb.py

check-package: ## Install the .deb into a clean Debian root and try everything there (as root)
	packaging/check_package.sh

bench: $(STAMPS)/bench ## Measure the figures of benchmarks/ into benchmarks/results/
	packaging/bench.sh

screenshots: $(STAMPS)/dev $(STAMPS)/qt ## Take a picture of every page in both languages and both themes
	QT_QPA_PLATFORM=offscreen $(BIN)/python packaging/screenshots.py build/screenshots

locale: $(STAMPS)/dev ## Bring the catalogues of texts up to date and compile them
	$(BIN)/python packaging/catalogues.py update

lock: $(STAMPS)/bench ## Write requirements.lock anew from the installed environment
	packaging/lock.sh

icons: $(STAMPS)/run ## Render the icon sizes from resources/icons/app.svg
	QT_QPA_PLATFORM=offscreen $(BIN)/python packaging/render_icons.py

clean: ## Remove everything that was built; keep the environment
	rm -rf build dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find aigc_desktop tests packaging benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +

$(STAMPS)/run: $(PINS)
	packaging/setup_env.sh $(VENV) ""
	@touch $@

$(STAMPS)/dev: $(PINS)
	packaging/setup_env.sh $(VENV) dev
	@touch $@ $(STAMPS)/run

$(STAMPS)/package: $(PINS)
	packaging/setup_env.sh $(VENV) package
	@touch $@ $(STAMPS)/run

$(STAMPS)/bench: $(PINS)
	packaging/setup_env.sh $(VENV) dev,package,bench
	@touch $@ $(STAMPS)/run $(STAMPS)/dev $(STAMPS)/package

$(STAMPS)/qt: packaging/system_libraries.sh | $(STAMPS)/run
	packaging/system_libraries.sh $(VENV)
	@touch $@
