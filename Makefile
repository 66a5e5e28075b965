# `make` lists what can be made here.

BACKEND ?=
ARGS ?=
BIN := .venv/bin
comma := ,
# What decides is pure, and every branch of it is tested without a lab.
PURE := $(subst $(eval) ,$(comma),$(foreach module,asking beacon boot/* catalogue causes commands controls diagnosis/* diff/* dockerstate \
	endpoints/docker endpoints/engine_errors endpoints/gateway endpoints/lab_host endpoints/namespace endpoints/reference \
	endpoints/refusals errors expectations faults/change faults/example faults/fault faults/filters faults/grammar faults/listing \
	faults/opinion faults/predict faults/table faults/tried flow forwarding frame/* hoststate judge kernel_log layer2 machines/ssh_errors marks matrix networks normal observe \
	path pcapng pings plan plan_on_hosts record rehearsal/combination rehearsal/judgement \
	rehearsal/result rehearsal/table rehearsal/text restored schedule sightings steps sysctls tenants unrouted verdict walk report/* report/html/* topology/*,harness/$(module).py))
# A file of tests stays with one process, which has its labs to itself; the longest come first
# (tests/conftest.py). There are three processes for two cores, because tests wait for machines, too.
PROCESSES := $(shell echo $$((($$(nproc 2>/dev/null || echo 1) * 3 + 1) / 2)))
SPREAD := --numprocesses $(PROCESSES) --dist loadfile --no-loadscope-reorder
USER_ID := $(shell id -u)

# Building a lab needs root. Of the environment sudo keeps nothing but what the command line names.
ifeq ($(USER_ID),0)
AS_ROOT :=
GIVE_BACK := true
else
AS_ROOT := sudo env PATH="$$PATH" CI="$$CI" GITHUB_STEP_SUMMARY="$$GITHUB_STEP_SUMMARY" COLUMNS="$$COLUMNS" TERM="$$TERM" PYTHONDONTWRITEBYTECODE=1
# What root wrote goes back to the user, so that a run without sudo can write there again.
GIVE_BACK := sudo chown -R "$(USER_ID):$$(id -g)" $$(ls -d reports .pytest_cache 2>/dev/null)
endif

# Lab hosts are three test machines here, which sshd lets in.
TEST_MACHINES := $(if $(filter ssh,$(BACKEND)),$(BIN)/python -m harness.testbed --)
ifeq ($(BACKEND),ssh)
override ARGS := --lab-topology topologies/lab-hosts.yaml $(ARGS)
endif

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help setup setup-dev lab lifecycle engines kernels test lint faults bench clean

help: ## list these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-10s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

setup: ## install what is missing to run a lab
	@scripts/setup $(filter docker ssh,$(BACKEND))

setup-dev: ## install what is missing to work on the harness
	@scripts/setup dev

lab: setup ## build the lab, test it, write reports/ (BACKEND=netns|docker|ssh, ARGS="more for pytest")
	@status=0; \
	$(AS_ROOT) $(TEST_MACHINES) $(BIN)/pytest suites/ $(if $(BACKEND),--lab-backend $(BACKEND)) $(ARGS) || status=$$?; \
	$(GIVE_BACK); \
	$(if $(TEST_MACHINES),,echo "Again, as root (or without, see README.md): . .venv/bin/activate && pytest suites/";) \
	exit $$status

lifecycle: ## restart containers and engines of a Docker lab of its own, and measure how it heals
	@scripts/setup docker
	@status=0; \
	$(AS_ROOT) $(BIN)/pytest suites/lifecycle --lab-backend docker $(ARGS) || status=$$?; \
	$(GIVE_BACK); \
	exit $$status

engines: setup ## fetch newer Docker engines into the user's cache (ARGS=--newest)
	@$(BIN)/python scripts/fetch.py engines $(ARGS)

kernels: ## fetch Debian's kernels into the user's cache, to run labs on (ARGS=--newest)
	@scripts/setup kernels
	@$(BIN)/python scripts/fetch.py kernels $(ARGS)

test: setup-dev ## the harness's own tests, and lint (ARGS="more for pytest": tests only)
ifeq ($(ARGS),)
	@status=0; \
	$(BIN)/coverage erase; \
	COVERAGE_PROCESS_START="$(CURDIR)/pyproject.toml" COVERAGE_FILE="$(CURDIR)/.coverage" \
		$(BIN)/coverage run -m pytest tests/unit $(SPREAD) || status=$$?; \
	$(BIN)/coverage combine --quiet; \
	$(BIN)/coverage report --include="$(PURE)" --fail-under=100 || \
		{ echo "not every branch of the pure modules is tested"; status=1; }; \
	$(BIN)/pytest tests/ --ignore tests/unit $(SPREAD) --durations=15 --durations-min=20 || status=$$?; \
	$(MAKE) --no-print-directory lint || status=1; \
	exit $$status
else
	@$(BIN)/pytest tests/ $(SPREAD) $(ARGS)
endif

lint: setup-dev ## lint, types, import contracts, and the worker's Python 3.9; all of them always
	@status=0; \
	$(BIN)/ruff check . || status=1; \
	$(BIN)/ruff format --check . || status=1; \
	$(BIN)/mypy || status=1; \
	$(BIN)/lint-imports --no-logo || status=1; \
	$(BIN)/vermin --quiet --target=3.9- --violations --no-tips harness/__init__.py harness/worker harness/endpoints/containers || status=1; \
	exit $$status

faults: setup ## break labs of their own in every way of `harness faults`, and compare (needs root)
	@status=0; \
	$(AS_ROOT) $(BIN)/pytest suites/faults -q $(ARGS) || status=$$?; \
	$(GIVE_BACK); \
	exit $$status

bench: setup-dev ## measure runs, sweeps and memory (ARGS="--json --runs 9 --only sweeps")
	@$(AS_ROOT) $(BIN)/python -m benchmarks $(ARGS)

clean: ## remove .venv, caches and coverage data; reports stay (`harness reports prune` removes those)
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .coverage* build dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
