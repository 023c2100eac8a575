# `make` lists the targets. Everything runs from the checkout; .venv is made when it is needed.

PY := .venv/bin/python
PACKAGES := api_service dispatcher_service shared sandbox
COMPOSE := docker compose
DISPATCHERS := 1
SOAK_MINUTES := 15

export PYTHON

# Each of the hundreds of processes of a test run would compile all that it imports, and each of its workers all tests.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help setup demo run test test-servers test-again test-long test-long-together test-long-alone test-faults drill soak fuzz fuzz-guided model bench bench-full lint audit fmt lock licences sbom up down clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-18s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## .venv with the pinned packages (PYTHON=/path/to/python3 chooses another Python)
	@deploy/setup.sh

demo: setup ## a mailing goes out to a provider with faults, nothing else installed (DEMO_CLIENTS=5000)
	@$(PY) -m sandbox.demo

run: setup ## API, dispatcher and reporter until Ctrl-C; the data stays in .local
	@$(PY) -m sandbox.run

# Files in their order: those that start everything come early, and the many small ones fill the end.
test: setup ## the suite, four tests at a time (ARGS="-k window" is handed to pytest)
	@$(PY) -m pytest --numprocesses 4 --dist loadscope --no-loadscope-reorder $(addprefix --ignore ,$(LONG)) $(ARGS)

test-long: setup ## the rest: failovers, nodes, poolers, limits, restores, drills; 30 to 40 minutes
	@$(MAKE) --no-print-directory --keep-going test-long-together test-long-alone

test-long-together: setup ## the part of it that measures nothing, two tests at a time
	@$(PY) -m pytest --numprocesses 2 --dist loadfile $(LONG) $(addprefix --ignore ,$(ALONE)) $(ARGS)

test-long-alone: setup ## and the part that says within how many seconds, one at a time
	@$(PY) -m pytest $(ALONE) $(ARGS)

# Of somebody else's servers: TEST_DATABASE_URL, of a superuser, and TEST_BROKER_URL.
test-servers: setup ## the brokers' contract and the whole system on servers that are there, as CI does for each version
	@$(PY) -m pytest tests/contract tests/e2e/test_mailings.py tests/e2e/test_restarts.py tests/e2e/test_providers.py $(ARGS)

test-again: setup ## what failed in one of them, one test at a time
	@$(PY) -m pytest --last-failed --last-failed-no-failures none $(ARGS)

LONG = tests/long tests/e2e/test_limits.py tests/e2e/test_restore.py tests/faults/test_part_kills.py
ALONE = tests/e2e/test_limits.py tests/faults/test_part_kills.py \
	$(patsubst %,tests/long/test_%.py,blame failover low_rate many_dispatchers receipts_through_kills scaling share versions)

test-faults: setup ## what kills, freezes and breaks things; a part of the suite (FAULT_SEED=7 does the same again)
	@$(PY) -m pytest tests/faults $(ARGS)

drill: setup ## a state of the runbooks brought about: do alarm, page and remedy what they say? (`make drill NAME`)
	@$(PY) -m tests.drills $(DRILL)

# The name of a drill is no target of its own: that it is named beside `drill` is all there is to do for it.
ifeq (drill,$(firstword $(MAKECMDGOALS)))
DRILL = $(wordlist 2,$(words $(MAKECMDGOALS)),$(MAKECMDGOALS))
ifneq (,$(word 2,$(MAKECMDGOALS)))
.PHONY: $(wordlist 2,$(words $(MAKECMDGOALS)),$(MAKECMDGOALS))
$(wordlist 2,$(words $(MAKECMDGOALS)),$(MAKECMDGOALS)):
	@:
endif
endif

soak: setup ## mailings and a random fault every 5 s, then the table of docs/guarantees.md (SOAK_MINUTES=15)
	@$(PY) -m tests.faults.soak --minutes $(SOAK_MINUTES) --table docs/guarantees.md $(ARGS)

model: setup ## explores the protocol of docs/model with Spin (ARGS=NO_FENCING: how that mutant fails)
	@$(PY) -m tests.model $(ARGS)

fuzz: setup ## the properties and the API's document with many cases; minutes (FUZZ_CASES=300 FUZZ_SEED=7)
	@FUZZ_CASES=$(FUZZ_CASES) FUZZ_SEED=$(FUZZ_SEED) $(PY) -m pytest --capture=no --timeout 7200 \
		--hypothesis-seed=$(FUZZ_SEED) $(PROPERTIES) $(ARGS)

fuzz-guided: setup ## bodies bred for the branches that they reach (GUIDED_RUNS=1000000)
	@$(PY) -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-guided.txt
	@$(PY) -m tests.fuzz.guided -atheris_runs=$(GUIDED_RUNS) -seed=$(FUZZ_SEED)

GUIDED_RUNS := 1000000
FUZZ_CASES := 300
FUZZ_SEED := $(shell date +%s)
PROPERTIES = tests/fuzz tests/unit/sending/test_provider.py tests/unit/broker/test_job.py tests/unit/programs/test_settings.py tests/unit/domain/test_retry.py tests/unit/web/test_api_fields.py

bench: setup ## how fast it is, beside a bare pipeline; minutes (PEERS=1: beside others, too; ARGS="--only launch")
	@$(BENCH) $(ARGS)

bench-full: setup ## the same with millions of messages, and the plots of docs/performance.md anew; an hour
	@$(BENCH) --scale full --plots docs/performance $(ARGS)

BENCH = $(PY) -m benchmarks

ifdef PEERS
CELERY = .local/bench/celery
DRF = .local/bench/drf
BENCH = BENCH_CELERY_PYTHON=$(CURDIR)/$(CELERY)/bin/python BENCH_DRF_PYTHON=$(CURDIR)/$(DRF)/bin/python $(PY) -m benchmarks

bench bench-full: $(CELERY)/bin/celery $(DRF)/bin/gunicorn

$(CELERY)/bin/celery:
	@$(PY) -m venv --clear $(CELERY)
	@$(CELERY)/bin/python -m pip install --quiet --disable-pip-version-check celery requests psycopg2-binary

$(DRF)/bin/gunicorn:
	@$(PY) -m venv --clear $(DRF)
	@$(DRF)/bin/python -m pip install --quiet --disable-pip-version-check \
		django djangorestframework "gunicorn>=27" psycopg2-binary
endif

lint: setup ## style, types, who may import whom, the Dockerfile, and the manifests for Kubernetes
	@$(PY) -m ruff check
	@$(PY) -m ruff format --check
	@$(PY) -m mypy
	@.venv/bin/lint-imports --no-logo
	@.venv/bin/hadolint Dockerfile
	@$(PY) -m deploy.manifests

# Not a part of lint: it asks PyPI for what is known today, which may be more than yesterday. What it cannot look up is
# a failure, too (--strict).
audit: setup ## known vulnerabilities of the pinned packages; needs the Internet
	@$(PY) -m uv tool run 'pip-audit>=2.10,<3' --strict --disable-pip --requirement requirements-dev.txt

sbom: setup ## sbom.cdx.json: the packages of the image, with their licences, as CycloneDX; needs the Internet
	@$(PY) -m uv venv --quiet --clear --python $(PY) .local/sbom
	@$(PY) -m uv pip install --quiet --python .local/sbom --require-hashes -r requirements.txt
	@$(PY) -m uv tool run --quiet --from 'cyclonedx-bom>=7.3,<8' cyclonedx-py environment .local/sbom \
		--pyproject pyproject.toml --mc-type application --output-reproducible --output-file sbom.cdx.json

fmt: setup ## put the code into shape
	@$(PY) -m ruff check --fix-only
	@$(PY) -m ruff format

lock: setup ## pin the packages of pyproject.toml (ARGS=--upgrade takes the newest)
	@$(LOCK) --output-file requirements.txt
	@$(LOCK) --extra dev --constraints requirements.txt --output-file requirements-dev.txt
	@$(COMPILE) --group guided --output-file requirements-guided.txt
	@$(COMPILE) --group identity-provider --constraints requirements-dev.txt --output-file requirements-identity-provider.txt

licences: setup ## docs/licences.md from what is installed; after `make lock`
	@$(PY) -m deploy.licences

LOCK = $(COMPILE) pyproject.toml
COMPILE = $(PY) -m uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --custom-compile-command "make lock" $(ARGS)

up: ## docker compose, healthy when it returns (DISPATCHERS=3)
	@$(COMPOSE) up -d --build --wait --scale dispatcher=$(DISPATCHERS)

down: ## stops what `make up` started; the data stays
	@$(COMPOSE) --profile demo down

clean: ## removes .venv and caches; the data of `make run`, in .local, stays
	@rm -rf .venv build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	@find . -name __pycache__ -prune -exec rm -rf {} +
