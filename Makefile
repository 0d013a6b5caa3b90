# Each target makes what it needs in .venv from a bare Python 3.11 or later.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready
TORCH := .venv/.torch
VERL := .venv-verl

.PHONY: train-demo web demo test test-all test-verl check bench schema accuracy clean

demo: $(READY)
	$(BIN)/lva demo

# A page on which the sample episode, and whatever is dropped there, can be asked.
web: $(READY)
	test -f demo/sample-7.mp4 || $(BIN)/lva demo --folder demo
	$(BIN)/lva serve --library demo

test: $(READY)
	$(BIN)/pytest -n auto

test-all: $(READY) $(TORCH)
	$(BIN)/pytest -n auto -m ""

# The plugins are what verl's extra brings along, and no test of ours asks for.
test-verl: $(VERL)/.ready
	$(VERL)/bin/pytest -m verl -p no:asyncio -p no:rerunfailures tests/training/test_verl.py

check: $(READY)
	$(BIN)/ruff check src tests benchmarks examples
	$(BIN)/ruff format --check src tests benchmarks examples
	$(BIN)/mypy

# The published form of a trace, after a change to views/trace_dict.py.
schema: $(READY)
	$(BIN)/python -m longvideoagent.views.trace_dict > docs/trace.schema.json

bench: $(READY)
	$(BIN)/python benchmarks/speed.py
	$(BIN)/python benchmarks/calls.py
	$(BIN)/python benchmarks/data.py
	$(BIN)/python benchmarks/evaluation.py
	$(BIN)/python benchmarks/web.py

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

# PyTorch comes first and by its version, so that what depends on it does not bring another build.
$(TORCH): $(READY)
	$(BIN)/pip install --quiet torch==2.13.0
	$(BIN)/pip install --quiet --editable '.[asr,inspect,ray,train]' 'transformers[serving]==5.23.0'
	touch $(TORCH)

# verl holds other packages back; see pyproject.toml.
$(VERL)/.ready: pyproject.toml
	$(PYTHON) -m venv $(VERL)
	$(VERL)/bin/pip install --quiet --upgrade pip
	$(VERL)/bin/pip install --quiet torch==2.13.0
	$(VERL)/bin/pip install --quiet --editable '.[parquet,verl]' 'hypothesis>=6.130' 'pytest>=8.3'
	touch $(VERL)/.ready

clean:
	rm -rf .venv $(VERL) demo train-demo .mypy_cache .ruff_cache .pytest_cache
