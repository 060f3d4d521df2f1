# One word for each thing; `make` alone lists them. Everything that a machine lacks is installed on the way.
SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.PHONY: help up down image shell logs test test-stress lint fmt unit integration image-test docs bench-boot bench-mail bench-render bench-setup bench-supervisor
VENV := .venv
PY := $(VENV)/bin/python
READY := $(VENV)/.ready
# Most image tests wait for daemons and use no processor.
WORKERS ?= 4
N ?= 20
SHELL_SCRIPTS = $$(grep -rlIE --exclude='*.j2' '^\#!.*[/ ](ba|da)?sh( |$$)' .ci bin libexec templates tools)
say = @printf '\n== %s\n' "$(1)"

help: ## list these commands
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 20

# --- run it

up: ## build, start a mail server for example.test, send a message and read it
	@tools/host python
	@tools/demo.py up

down: ## stop that mail server and forget its mail
	@tools/host python
	@tools/demo.py down

shell: ## a shell inside it
	@tools/host python
	@tools/demo.py shell

logs: ## follow its log
	@tools/host python
	@tools/demo.py logs

image: ## build the image (tag localhost/dmsinit:latest)
	@tools/host python
	@tools/engine image
	@echo "Next: make up, or make image-test"

# --- check it

test: ## everything: lint, unit, integration and image tests; at the end how many, how long, the slowest ten
	@tools/host python tests
	@$(MAKE) --no-print-directory lint
	@tools/engine image
	$(call say,all tests)
	@$(PY) -m pytest -q --durations=10 -n $(WORKERS) tests </dev/null

test-stress: ## integration and image tests, N=20 times on a busy machine, until one fails
	@tools/host python tests
	@$(MAKE) --no-print-directory $(READY)
	@tools/engine image
	@$(PY) tools/stress.py $(N) -n $(WORKERS) tests/integration tests/image

lint: $(READY) ## ruff, mypy --strict, code that nothing uses, shellcheck
	$(call say,lint)
	@$(VENV)/bin/ruff check .
	@$(VENV)/bin/ruff format --check .
	@MYPYPATH=tools $(VENV)/bin/mypy dmsinit tests tools
	@$(PY) tools/dead_code.py
	@$(VENV)/bin/shellcheck --exclude=SC1091 $(SHELL_SCRIPTS)

fmt: $(READY) ## correct format and imports
	@$(VENV)/bin/ruff check --fix --quiet . || true
	@$(VENV)/bin/ruff format .

unit: $(READY) ## unit tests (seconds)
	@$(PY) -m pytest -q tests/unit </dev/null

integration: $(READY) ## tests with real child processes and sockets
	@$(PY) -m pytest -q tests/integration </dev/null

image-test: $(READY) ## tests that drive the built image on real ports
	@tools/engine image
	@$(PY) -m pytest -q tests/image </dev/null

docs: $(READY) ## write the generated files again (reference pages, dashboard)
	@$(PY) -m dmsinit.settings > docs/reference/environment.md.new
	@mv docs/reference/environment.md.new docs/reference/environment.md
	@$(PY) tools/dashboard.py > grafana/dmsinit.json.new
	@mv grafana/dmsinit.json.new grafana/dmsinit.json
	@PYTHONPATH=. $(PY) tools/openapi.py > docs/reference/openapi.json.new
	@mv docs/reference/openapi.json.new docs/reference/openapi.json
	@echo "Written: docs/reference/environment.md docs/reference/openapi.json grafana/dmsinit.json"

bench-boot: $(READY) ## how long a boot takes, against its critical path
	@tools/engine image
	@$(PY) -m tests.bench.boot

bench-mail: $(READY) ## how fast mail passes the filters, beside bare daemons (half an hour)
	@tools/engine image
	@$(PY) -m tests.bench.mail

bench-render: $(READY) ## how long a configuration takes, with 1 to 100,000 accounts
	@tools/engine image
	@$(PY) -m tests.bench.render

bench-setup: $(READY) ## how long setup takes until a change is in force, with 10 and 10,000 accounts
	@tools/engine image
	@$(PY) -m tests.bench.setup

bench-supervisor: $(READY) ## dmsinit beside supervisor and s6, in numbers (10 minutes)
	@tools/engine image
	@$(PY) -m tests.bench.supervisor

# --- tools

$(READY): pyproject.toml tools/venv
	@tools/venv $(VENV)
	@touch $@
