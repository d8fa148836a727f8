# make demo   set up and run the main job on sample_media
# make test   set up and run everything that CI runs
# make pretrain-nano   pretrain a small model from random weights and measure it (docs/pretraining.md)
VENV := .venv
BIN := $(VENV)/bin
SITE := .make/site
SOURCES := $(shell find searchkit indexer cli migrations -name '*.py' 2>/dev/null)

.PHONY: demo test lint types layers check unit coverage clean pretrain-nano

demo: $(VENV)/.core-installed
	$(BIN)/searchkit demo sample_media --library .demo/library

test: check unit

check: lint types layers

unit: $(VENV)/.dev-installed
	$(BIN)/python -m pytest -n 2 --dist loadgroup --cov --cov-report=term:skip-covered $(PYTEST_ARGS)

lint: $(VENV)/.dev-installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(SITE)/.installed
	MYPYPATH=$(SITE) $(BIN)/mypy --cache-dir .make/mypy -p searchkit

layers: $(SITE)/.installed
	cd $(SITE) && $(CURDIR)/$(BIN)/lint-imports --no-cache --config $(CURDIR)/pyproject.toml

# The checks read the package as it is installed, since searchkit.indexer and its like lie beside searchkit.
$(SITE)/.installed: $(VENV)/.dev-installed pyproject.toml $(SOURCES)
	rm -rf $(SITE) build
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --target $(SITE) .
	rm -rf build
	touch $@

$(VENV)/.core-installed: pyproject.toml constraints.txt tools/make_venv.sh
	sh tools/make_venv.sh $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e .
	touch $@

$(VENV)/.dev-installed: pyproject.toml constraints.txt tools/make_venv.sh tools/install_test_system.sh
	sh tools/make_venv.sh $(VENV)
	sh tools/install_test_system.sh
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $@ $(VENV)/.core-installed

pretrain-nano: $(VENV)/.dev-installed
	$(BIN)/pip install --quiet --disable-pip-version-check resvg-py==0.5.0
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps tinysoundfont==0.3.7
	$(BIN)/python tools/pretrain_nano.py .make/nano $(NANO_ARGS)

clean:
	rm -rf $(VENV) .make .demo build *.egg-info .pytest_cache .mypy_cache .ruff_cache .coverage
