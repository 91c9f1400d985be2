# Everything needs only python3 (3.11 to 3.13) and make; the rest is installed into .venv and .tools.
PYTHON ?= python3
CONFIG ?= config/sandbox.toml
BENCH ?= all
IAM_RECORD := .tripoint/iam-record.json
BIN := .venv/bin
TRIPOINT := $(BIN)/tripoint

.DEFAULT_GOAL := help
.PHONY: help setup rollout down drill test pages scan audit lint types unit functions search integration mutate-iam synth docs bench kill-drill bench-functions format clean

help: ## List the targets
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  \033[1m%-14s\033[0m %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: ## Virtual environment, Poetry, locked dependencies
	@$(PYTHON) rollout/bootstrap.py

rollout: setup ## Deploy all layers into all regions and pay once in each (CONFIG=config/sandbox.toml)
	@$(TRIPOINT) rollout --smoke --config $(CONFIG)

down: setup ## Destroy everything in reverse order and stop the sandbox
	@$(TRIPOINT) destroy --yes --config $(CONFIG)
	@$(TRIPOINT) sandbox down --config $(CONFIG)

drill: setup ## Break the deployed sandbox under load and reconcile; writes docs/drills.md (DRILL=region-down for one)
	@$(TRIPOINT) drill $(DRILL) --write --config $(CONFIG)

test: setup ## Lint, types and every test, the integration tests against a sandbox of their own
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@# The integration tests' deployment mostly waits; the other workers test everything else meanwhile.
	@$(BIN)/pytest -n 2 --dist loadscope

pages: setup ## Open the reports, dashboards and pictures in headless Chromium, which must be there: is all in its place?
	@$(BIN)/pytest tests/browser -m browser

scan: setup ## Checkov and parliament over every configuration's stacks; writes the counts into docs/security.md
	@$(BIN)/python -m rollout.scanners --write

audit: setup ## Known vulnerabilities of everything that is locked
	@$(BIN)/python -m rollout.audit

lint: setup ## Ruff: rules and format
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

format: setup ## Apply ruff's fixes and format
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

types: setup ## mypy, strict
	@$(BIN)/mypy

unit: setup ## Tests that deploy nothing
	@$(BIN)/pytest tests --ignore=tests/integration

functions: setup ## The Lambda functions' tests (moto), the fast inner loop
	@# With bytecode, whatever the shell says: compiling moto and its like would take a third of the time.
	@PYTHONDONTWRITEBYTECODE= PYTHONPYCACHEPREFIX=$(CURDIR)/.tools/pycache $(BIN)/pytest tests/functions

search: setup ## Hypothesis looks longer for a way to lose or double a payment, each run from other seeds
	@HYPOTHESIS_PROFILE=search $(BIN)/pytest tests/model

integration: setup ## Tests of the deployed system, in a sandbox of their own
	@$(BIN)/pytest tests/integration

synth: setup ## Write the Terraform JSON of all stacks
	@$(TRIPOINT) synth --config $(CONFIG)

kill-drill: setup ## Kill the engine, Terraform or the provider at random moments, 30 times; is the end the same?
	@$(BIN)/python -m rollout.kills

bench: setup ## Measure synthesis, rollouts beside the cdktf CLI and a shell loop, growth (BENCH="peers --regions 2 --layers data")
	@$(BIN)/python -m rollout.benchmarks $(BENCH)

bench-functions: setup ## Cold start and memory of every function beside an empty Powertools handler and bare boto3
	@$(BIN)/python -m rollout.cold_start

mutate-iam: setup ## Remove each granted action, one at a time: which call of the integration tests fails?
	@TRIPOINT_IAM_RECORD=$(IAM_RECORD) $(BIN)/pytest tests/integration --ignore=tests/integration/capabilities \
		--ignore=tests/integration/test_reference_trio.py
	@$(BIN)/python -m rollout.permissions $(IAM_RECORD)

docs: setup ## Write the generated pages: capacity, traceability, the graph
	@$(BIN)/python -m rollout.capacity
	@$(BIN)/python -m rollout.traceability
	@$(TRIPOINT) graph --svg --config config/sandbox.toml > docs/graph.svg

clean: ## Remove what was installed and built (run `make down` first)
	@rm -rf .venv .tools .tripoint cdktf.out cfn-outputs .pytest_cache .mypy_cache .ruff_cache
