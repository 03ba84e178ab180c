# `make demo` makes an avatar from nothing but Python and pip packages; `make help` lists the rest.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.NOTPARALLEL:

VENV ?= .venv
CORES ?= all
ARGS ?=
TESTERS ?= 2
PY := $(VENV)/bin/python
export PATH := $(abspath $(VENV))/bin:$(PATH)
# Files up to a gigabyte are told by their bytes: a copy, a touch or a clock that is off reruns nothing.
SNAKEMAKE := $(PY) -m snakemake --cores $(CORES) --max-checksum-file-size 1000000000
FIRST = awk -F'\t' '!/^\#/ && ++n == 2
SUBJECT = $$($(FIRST) {print $$1}' config/subjects.tsv)
VIDEO = $$(awk -F'\t' '!/^\#/ && $$6 == "animatable" {print $$1; exit}' config/subjects.tsv)
GENDER = $$($(FIRST) {print toupper($$4)}' config/subjects.tsv)

.PHONY: help demo run report test lint benchmark graph clean distclean

help:  ## what there is to make
	@awk -F':.*## ' '/^[a-z]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' Makefile

demo: run report  ## install, train the subjects of config/subjects.tsv, write the report (14 minutes on 2 cores)
	@s="results/$(SUBJECT)/layered"; printf '%s\n' "" "Done. Where to look:" \
	  "  report        results/report.html" \
	  "  layers        $$s/export/inner.ply, $$s/export/outer.ply" \
	  "  garment mesh  $$s/outer/mesh/garment.glb" \
	  "  in motion     results/$(VIDEO)/animatable/full/avatar/avatar.json" \
	  "  metrics       results/tables/metrics.csv"

run: $(VENV)/installed  ## run what is not up to date; ARGS="--config preset=fast" is passed on
	$(SNAKEMAKE) --rerun-incomplete --quiet rules $(ARGS)

report: $(VENV)/installed  ## write results/report.html from what is there
	$(SNAKEMAKE) $(ARGS) --report results/report.html

test: lint  ## lint, then the whole test suite in TESTERS=2 processes
	OMP_NUM_THREADS=1 NUMBA_NUM_THREADS=1 $(PY) -m pytest --numprocesses $(TESTERS) --no-loadscope-reorder $(ARGS)

lint: $(VENV)/tested  ## ruff, snakefmt, snakemake --lint
	$(PY) -m ruff check .
	$(PY) -m snakefmt --check --line-length 100 Snakefile rules workflow/common.smk workflow/configfile.smk
	$(PY) -m snakemake --lint

benchmark: run  ## time the renderer, mesh rendering, and the stages on the first subject
	$(PY) -m benchmarks.renderer --out results/benchmarks/renderer
	$(PY) -m benchmarks.mesh_rendering
	$(PY) -m benchmarks.conversion
	$(PY) -m benchmarks.stages --preset $(or $(PRESET),demo) \
	  --capture results/$(SUBJECT)/segment/capture.json --body results/body/SMPLX_$(GENDER).npz

graph: $(VENV)/installed  ## draw the rules that the subjects need into README.md
	$(PY) workflow/rule_graph.py

clean:  ## remove everything computed; the environment stays
	rm -rf results logs .snakemake

distclean: clean  ## remove the environment too
	rm -rf $(VENV)

$(VENV)/installed: requirements.txt pyproject.toml
	@bash workflow/make-venv.sh $(VENV)
	$(PY) -m pip install --quiet --disable-pip-version-check -r requirements.txt
	$(PY) -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	@touch $@

$(VENV)/tested: requirements-test.txt $(VENV)/installed
	$(PY) -m pip install --quiet --disable-pip-version-check -r requirements-test.txt
	@touch $@
