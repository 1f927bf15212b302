# `make run` and `make test` are all it takes; `make help` lists the rest.

PYTHON ?= python3
HOST ?= 127.0.0.1
PORT ?= 4444
WORKERS ?=
DATA ?= ../shared/data
INIT ?= $(DATA)/init/resnet34.safetensors
FOLDS := 1 2 3 4 5

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/pip install --quiet --disable-pip-version-check --require-hashes
STATS := $(or $(TMPDIR),/tmp)/attrai-$(PORT).stats
METRICS ?= $(abspath $(VENV))/metrics/$(PORT)
UV := $(VENV)/lock/bin/uv
KERNEL := pipeline/native/kernel.so

.DEFAULT_GOAL := help
.PHONY: help run test soak bench native lint crops train folds lock clean

help: ## this list
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:[^#]*## /\t/' | expand -t 10

run: $(VENV)/serve.stamp $(KERNEL) ## serve on 127.0.0.1:4444 (PORT=…, WORKERS=… for others); Ctrl-C stops
	@# Else the second server on a port would take the first one's counts and its stats along.
	@$(BIN)/python -c 'import socket, sys; sys.exit(not socket.socket().connect_ex(("$(HOST)", $(PORT))) \
		and "something serves on $(HOST):$(PORT) already; choose another: make run PORT=…")'
	@rm -f $(METRICS)/*.db  # the counts of the workers begin anew with the server
	@echo "serving on http://$(HOST):$(PORT)  (watch the workers: $(BIN)/uwsgitop $(STATS))"
	@ATTRAI_HTTP=$(HOST):$(PORT) ATTRAI_STATS=$(STATS) ATTRAI_PYTHON=$(abspath $(BIN)/python3) \
	PROMETHEUS_MULTIPROC_DIR=$(METRICS) \
	$(if $(WORKERS),ATTRAI_WORKERS=$(WORKERS)) exec $(BIN)/uwsgi --ini deploy/uwsgi.ini

test: $(VENV)/dev.stamp $(KERNEL) ## install what the tests need, torch included, and run them all
	$(BIN)/python -m pytest

soak: $(VENV)/dev.stamp $(KERNEL) ## hold a real server to its promises in full (root; an hour or two)
	ATTRAI_SOAK=1 $(BIN)/python -m pytest -s tests/deploy/test_systemd.py \
		tests/deploy/test_promises.py tests/deploy/test_overload.py \
		tests/deploy/test_footprint.py tests/hostile tests/service/test_generated_requests.py

bench: $(VENV)/dev.stamp $(KERNEL) $(VENV)/peers.stamp ## beside what users would pick instead (QUICK=1, PHOTOS=…)
	$(BIN)/python -m benchmarks $(if $(QUICK),--quick) $(if $(ONLY),--only $(ONLY)) \
		$(if $(PHOTOS),--photos $(PHOTOS))

native: $(KERNEL) ## the kernel that finds faces (run and test build it too; needs a C compiler)

lint: $(VENV)/dev.stamp ## ruff and mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

crops: $(VENV)/dev.stamp $(KERNEL) ## check the rated photos and cut their faces (DATA=… for the photos)
	$(BIN)/python -m training dataset $(DATA)/scut-fbp5500 $(DATA)/mebeauty --out runs/crops

train: crops ## crops, training, export, evaluation
	$(BIN)/python -m training train runs/crops --init $(INIT) --out runs/split
	$(BIN)/python -m training export runs/split --crops runs/crops --out runs/models/split
	$(BIN)/python -m training evaluate runs/models/split --crops runs/crops \
		--out runs/evaluation --card runs/models/split

folds: crops ## the same recipe over the five published folds (CARD=… takes the figures)
	for fold in $(FOLDS); do \
		$(BIN)/python -m training train runs/crops --init $(INIT) --out runs/fold-$$fold \
			--protocol fold-$$fold --validation 0 && \
		$(BIN)/python -m training export runs/fold-$$fold --crops runs/crops \
			--out runs/models/resnet34-fold-$$fold || exit 1; \
	done
	$(BIN)/python -m training evaluate $(FOLDS:%=runs/models/resnet34-fold-%) --crops runs/crops \
		--out runs/evaluation-folds $(if $(CARD),--card $(CARD))

lock: ## pin every dependency anew, by hash
	$(PYTHON) -m venv $(VENV)/lock
	$(VENV)/lock/bin/pip install --quiet uv
	$(UV) pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes \
		--no-annotate --no-header pyproject.toml -o requirements.lock
	$(UV) pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes \
		--no-annotate --no-header --extra dev -c requirements.lock \
		pyproject.toml -o requirements-dev.lock
	$(UV) pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes \
		--no-annotate --no-header -c requirements-dev.lock \
		benchmarks/requirements.in -o benchmarks/requirements.lock

clean: ## remove the virtual environment and the kernel
	rm -rf $(VENV) $(KERNEL)

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "AttrAI needs Python 3.11 or newer; name one: make PYTHON=python3.12 …"; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/serve.stamp: requirements.lock | $(VENV)/bin/python
	$(PIP) -r requirements.lock
	@touch $@

# Where it cannot be built, its work is done on ONNX Runtime.
$(KERNEL): $(wildcard pipeline/native/*.[ch]) pipeline/native/build.py | $(VENV)/serve.stamp
	@$(BIN)/python -m pipeline.native.build || true

# The larger lock holds the smaller one, pin for pin.
$(VENV)/dev.stamp: requirements-dev.lock | $(VENV)/bin/python
	$(PIP) -r requirements-dev.lock
	@touch $@ $(VENV)/serve.stamp

# The peers' servers, in a venv of their own that finds PyTorch and the rest in the first.
$(VENV)/peers.stamp: benchmarks/requirements.lock $(VENV)/dev.stamp
	$(BIN)/python -m venv --clear $(VENV)/peers
	$(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))' \
		> "$$($(VENV)/peers/bin/python -c \
		'import sysconfig; print(sysconfig.get_path("purelib"))')/attrai.pth"
	$(VENV)/peers/bin/pip install --quiet --disable-pip-version-check --require-hashes \
		-r benchmarks/requirements.lock
	@touch $@
