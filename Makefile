# `make help` lists what a person may want. Everything is installed into .venv, nothing outside it.
SHELL := /bin/bash
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready
export UV_PROJECT_ENVIRONMENT := .venv
# Trust what the machine trusts: many a bank inspects TLS with an authority of its own.
export UV_SYSTEM_CERTS := 1

.DEFAULT_GOAL := help
.PHONY: help demo demo-real demo-shop test check lint format generate golden testbed
.PHONY: bench bench-scaling bench-growth bench-lossless clean mutants
.PHONY: simulate simulate-long ablations sweep

help: ## List the commands
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | awk -F'\t' '{printf "  make %-14s %s\n", $$1, $$2}'

$(READY): pyproject.toml uv.lock tools/uv-requirements.txt
	@echo "==> Installing into .venv"
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r tools/uv-requirements.txt
	@$(BIN)/uv sync --frozen --quiet --inexact
	@touch $@

check: $(READY) ## Lint, types, fast tests: before each commit
	@$(BIN)/ruff format --check --quiet . || { echo "do: make format"; exit 1; }
	@$(BIN)/ruff check --quiet .
	@$(BIN)/lint-imports --no-logo >.venv/imports.log || { cat .venv/imports.log; exit 1; }
	@$(BIN)/mypy
	@$(BIN)/pytest -q -m "not slow and not real" -n 2

format: $(READY) ## Format the code and mend what ruff can mend
	@$(BIN)/ruff format --quiet .
	@$(BIN)/ruff check --fix --quiet . || true

clean: ## Remove what was installed and built here
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis

test: $(READY) ## Everything; installs what it needs
	@$(MAKE) --no-print-directory check
	@$(BIN)/python -m testbed prepare
	@$(BIN)/pytest -q -m "slow or real" || test $$? -eq 5

demo: $(READY) ## The main job: a cluster, Bookinfo, a release in groups, a bad image and the way back
	@$(BIN)/python tools/demo.py

demo-real: $(READY) ## The same on real kubelets with real containers (needs Go and root)
	@$(BIN)/python -m testbed prepare
	@PYTHONPATH=. $(BIN)/python tools/demo_real.py

demo-shop: $(READY) ## Online Boutique: twelve applications imported, released, rolled back from a bad image
	@$(BIN)/python tools/demo_shop.py

generate: $(READY) ## Write the CRDs and the reference pages anew
	@$(BIN)/python -m tools.generate

testbed: $(READY) ## A real Kubernetes: two real nodes as root, else fake ones; Ctrl-C stops it
	@$(BIN)/python -m testbed up

bench: $(READY) ## The same rollout by CAFE, OpenKruise and a native Deployment, on a real API server
	@$(BIN)/python -m bench.rollout

bench-scaling: $(READY) ## From no pod to 500 by the same three
	@$(BIN)/python -m bench.scaling

bench-lossless: $(READY) ## Requests lost while pods are changed, with the protocol and without, on real nodes
	@$(BIN)/python -m bench.lossless
bench-growth: $(READY) ## What one more app and one more revision cost among 100 pods and among 10,000
	@$(BIN)/python -m bench.growth

golden: $(READY) ## Write the expected files of tests anew; look at the difference before you commit
	@PYTHONPATH=. $(BIN)/python -c "from tests.code.test_public_surface import GOLDEN, surface; GOLDEN.write_text(surface())"
	@git diff --stat -- tests/golden

simulate: $(READY) ## Ten CPU-minutes of seeded faults; SEED=7 or TAPE=file replays one run
	@$(BIN)/python -m cafe_sim.harness run $(if $(SEED),--seed $(SEED),$(if $(TAPE),--tape $(TAPE),--minutes $(or $(MINUTES),10)))

simulate-long: $(READY) ## An hour of it; fails also if a fault was never met where it must be
	@$(BIN)/python -m cafe_sim.harness run --minutes $(or $(MINUTES),60) --covers

mutants: $(READY) ## Switch safeguards off one by one and see that a test notices
	@$(BIN)/python tools/mutants.py

ablations: $(READY) ## Switch safeguards off one by one and see that a simulated seed notices
	@$(BIN)/python -m cafe_sim.harness.ablations

sweep: $(READY) ## Cut the controller's power at each write of five stories, in three ways; A→B→C against A→C
	@$(BIN)/python -m cafe_sim.harness.sweep
	@$(BIN)/python -m cafe_sim.harness.superseding
