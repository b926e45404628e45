# Each command makes .venv when it is missing, so one command does all the set-up.
PYTHON ?= python3.11
FOLDS ?= 0
SECONDS ?= 300
VENV := .venv
RUN := $(VENV)/bin/python
# TensorFlow's start-up messages about the machine.
export TF_CPP_MIN_LOG_LEVEL ?= 2

.PHONY: setup demo test test-jax bench chaos fuzz lint clean

setup: $(VENV)/installed

demo: $(VENV)/installed
	$(RUN) -m training.demo --folds $(FOLDS) --out out/demo

test: $(VENV)/installed
	$(RUN) -m pytest -n 2 --dist loadfile --no-loadscope-reorder

test-jax: $(VENV)/installed
	KERAS_BACKEND=jax $(RUN) -m pytest -n 2 --dist loadfile tests/ops tests/layers

bench: $(VENV)/installed
	$(RUN) -m tests.benchmarks $(ONLY)

chaos: $(VENV)/installed
	$(RUN) -m training.chaos --kills 20 --out out/chaos
	$(RUN) -m training.chaos --kills 6 --local 2 --out out/chaos2

fuzz: $(VENV)/installed
	$(RUN) -m tests.hostile.fuzz_packing -max_total_time=$(SECONDS)
	$(RUN) -m tests.hostile.fuzz_architecture -max_total_time=$(SECONDS)

lint: $(VENV)/installed
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .

$(VENV)/installed: setup.cfg pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(RUN) -m pip install --quiet --editable ".[train,music,test,lint]"
	touch $@

clean:
	rm -rf $(VENV) out
