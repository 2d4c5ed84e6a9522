# make demo   set up, then the whole pipeline on the embedded sample
# make test   set up, then the tests
# make check  lint, types, tests
# make constraints  after a change of dependencies: write constraints.txt (UPGRADE=1 takes the newest versions)
# make docs   set up, then the documentation site, its tutorials executed

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PYTEST_ARGS ?= -n 2

# constraints.txt names exact versions and no index. A Linux machine without an NVIDIA GPU needs PyTorch's own CPU build of that version:
# what PyPI offers there brings gigabytes of CUDA libraries.
# Whoever set PIP_FIND_LINKS has wheels of their own.
ifeq ($(shell uname -s),Linux)
ifeq ($(strip $(PIP_FIND_LINKS)$(shell command -v nvidia-smi 2>/dev/null)),)
TORCH_INDEX := --extra-index-url https://download.pytorch.org/whl/cpu
endif
endif

# The JavaScript of the page: node runs its tests, and biome and tsc, which npm fetches, check it. What is not to be had is skipped with a word.
ifneq ($(shell command -v npm 2>/dev/null),)
JS_TOOLS := node_modules/.installed
js_test = npm run --silent test
js_tool = @if [ -d node_modules/@biomejs ]; then npm run --silent $(1); \
	else echo "npm could not fetch its packages: $(1) of the JavaScript is skipped (rm -r node_modules to try again)"; fi
else
js_test = @echo "npm is not installed: test of the JavaScript is skipped"
js_tool = @echo "npm is not installed: $(1) of the JavaScript is skipped"
endif

export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: demo test test-timing test-runtime test-lowest lint types format check docs constraints clean
.DEFAULT_GOAL := check

demo: $(VENV)/.installed
	$(BIN)/ser demo

# Each test process keeps to one thread: two of them share the cores.
test: export OMP_NUM_THREADS ?= 1
test: $(VENV)/.installed-dev
	$(js_test)
	$(BIN)/python -m pytest $(PYTEST_ARGS)

# What a busy machine disturbs, as often as `make ROUNDS=10 test-timing` says, while BUSY other processes keep its cores from it.
ROUNDS ?= 1
BUSY ?= 8
test-timing: export OMP_NUM_THREADS ?= 1
test-timing: $(VENV)/.installed-dev
	PYTHON=$(BIN)/python scripts/busy.sh $(BUSY) $(ROUNDS) $(PYTEST_ARGS)

# A model that `ser export` wrote, in an environment of its own without torch: requirements/runtime.txt and the wheel.
test-runtime: $(VENV)/.installed-dev
	scripts/check_runtime.sh $(BIN)/python

# The fast tests with the lowest versions that pyproject.toml allows, but torch, in an environment of its own.
test-lowest: $(VENV)/.installed-dev
	scripts/check_lowest.sh $(BIN)/python $(TORCH_INDEX)

lint: $(VENV)/.installed-dev $(JS_TOOLS)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(call js_tool,lint)

types: $(VENV)/.installed-dev
	$(BIN)/mypy

format: $(VENV)/.installed-dev $(JS_TOOLS)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(call js_tool,format)

check: lint types test

constraints: $(VENV)/.installed-dev
	$(BIN)/python scripts/write_constraints.py $(if $(UPGRADE),--upgrade)

# Warnings are errors: a broken link, a page that is in no list, a cell of a tutorial that fails.
docs: $(VENV)/.installed-docs
	$(BIN)/python -m sphinx --fail-on-warning --keep-going --nitpicky --quiet -b html docs docs/_build/html
	@echo "docs/_build/html/index.html"

clean:
	rm -rf $(VENV) node_modules demo dist build docs/_build docs/_generated .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find src tests benchmarks scripts -name __pycache__ -type d -prune -exec rm -rf {} +

# The stamps spare a second install; changed dependencies or versions cause a new one.
$(VENV)/.installed: pyproject.toml constraints.txt | $(BIN)/pip
	@echo "installing ser into $(VENV): a few minutes the first time"
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable . $(TORCH_INDEX)
	@touch $@

$(VENV)/.installed-dev: pyproject.toml constraints.txt | $(BIN)/pip
	@echo "installing ser and its tools into $(VENV): a few minutes the first time"
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]' $(TORCH_INDEX)
	@touch $@ $(VENV)/.installed

$(VENV)/.installed-docs: pyproject.toml constraints.txt | $(BIN)/pip
	@echo "installing ser and what builds its documentation into $(VENV): a few minutes the first time"
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[docs]' $(TORCH_INDEX)
	@touch $@ $(VENV)/.installed

node_modules/.installed: package.json package-lock.json
	@npm ci --loglevel=error || true
	@mkdir -p node_modules && touch $@

$(BIN)/pip:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "ser needs Python 3.11 or newer, and $(PYTHON) is not: make PYTHON=python3.12, for example" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
