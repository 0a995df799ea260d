# make flowers           see flowers now, of weights that lie here; a page to play with
# make demo              train on flowers the program draws itself; some minutes
# make train CONFIG=...  train, or continue, a config
# make weights RUN=...   write what others can start from, with its model card
# make tensorboard RUN=... curves, grids and histograms of a run, or of all
# make test              the quick tests; make test-slow: the others
# make faults            kills, damage, signals, full disks: what breaks, in a table
# make gpu-report        ten minutes of measurements of the GPU, written to docs/gpu/
# make lint              check style and types; make format: mend the style
# make lock              write the .lock files anew; UPGRADE=--upgrade: with newer versions

CONFIG ?= configs/flowers.yaml
# The first Python of 3.13, 3.12, 3.11 that starts; override with PYTHON=...
PYTHON ?= $(shell for python in python3.13 python3.12 python3.11 python3 python; do \
	$$python -c 'import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' \
	>/dev/null 2>&1 && echo $$python && break; done)
# An NVIDIA card is there where its own tool answers.
LOCK := $(shell nvidia-smi >/dev/null 2>&1 && echo requirements-gpu.lock \
	|| echo requirements.lock)
VENV := .venv
INSTALLED := $(VENV)/installed

.PHONY: flowers demo train weights tensorboard test test-slow faults gpu-report lint format lock

FLOWERS := weights/flowers-64.safetensors
flowers: $(INSTALLED)
	$(VENV)/bin/python generate.py $(FLOWERS) --kind grid
	$(VENV)/bin/python generate.py $(FLOWERS) --kind page

demo: $(INSTALLED)
	$(VENV)/bin/python train.py --config configs/demo.yaml
	@echo "look at samples/demo: the grid with the highest number is the last one"

train: $(INSTALLED)
	$(VENV)/bin/python train.py --config $(CONFIG)

weights: $(INSTALLED)
	$(VENV)/bin/python generate.py $(RUN) --kind weights

tensorboard: $(INSTALLED)
	$(VENV)/bin/tensorboard --logdir runs/$(RUN)

test: $(INSTALLED)
	$(VENV)/bin/python -m pytest -q -n 2 --dist loadfile

test-slow: $(INSTALLED)
	$(VENV)/bin/python -m pytest -q -m slow

# PAGE=docs/faults.md also writes the table there.
faults: $(INSTALLED)
	$(VENV)/bin/python -m pytest -q -n 2 --dist loadfile -m fault --faults=$(PAGE)

gpu-report: $(INSTALLED)
	$(VENV)/bin/python -m benchmarks.gpu_report $(OPTIONS)

lint: $(INSTALLED)
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy

format: $(INSTALLED)
	$(VENV)/bin/ruff check --fix .
	$(VENV)/bin/ruff format .

# The others agree with the first one in all that they share.
LOCKED := $(VENV)/bin/uv pip compile --quiet --universal --python-version 3.11 \
	--no-annotate --custom-compile-command "make lock" $(UPGRADE)
lock: $(INSTALLED)
	$(LOCKED) requirements.txt -o requirements.lock
	for one in gpu dev bench; do $(LOCKED) --constraint requirements.lock \
		requirements-$$one.txt -o requirements-$$one.lock || exit; done

$(INSTALLED): requirements.lock requirements-gpu.lock requirements-dev.lock
	@test -n "$(PYTHON)" || { \
		echo "make: no Python 3.11, 3.12 or 3.13 with venv found" >&2; \
		echo "  on Debian or Ubuntu: apt install python3 python3-venv" >&2; \
		echo "  or name one: make PYTHON=/path/to/python3.12 ..." >&2; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet -r $(LOCK) -r requirements-dev.lock
	@touch $@
