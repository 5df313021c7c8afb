# Fleet's tasks. `make` lists them. They need python3 (3.11 or newer), git, node with npm, and make.
.POSIX:
SHELL = /bin/sh

PYTHON = python3
ARGS =
SEED =
COUNT =
KILLS = 50
UV_VERSION = 0.13.9

BIN = .venv/bin
# OpenCode comes from FLEET_OPENCODE, then from the PATH, then from .tools: hence .tools is last. An agent's shell inherits
# the server's environment, so variables of this make are removed: they would change the makefiles of the agent's project.
TOOLS_PATH = unset MAKEFLAGS MAKELEVEL MAKEOVERRIDES MFLAGS ARGS; PATH="$$PATH:$$PWD/.tools/node_modules/.bin"

.PHONY: help run demo setup web dev web-tools browser test check screenshots sim fuzz drill drill-cluster bench constraints wire map histories clean

help:
	@echo 'make run      set up and start Fleet (ARGS="--port 8080" for its options)'
	@echo 'make web      build the page if its sources have changed'
	@echo 'make dev      serve the page with live reload, in front of a running Fleet (FLEET_URL=http://localhost:3000)'
	@echo 'make demo     set up and show two sessions at work'
	@echo 'make screenshots  take the pictures of the page for README and docs'
	@echo 'make test     set up and run the checks and tests, without the long ones (drill, fuzz)'
	@echo 'make check    run the static checks: lint, format, types, import contracts, checks of the page'
	@echo 'make sim      run the simulation with 500 seeds (SEED=n replays one, COUNT=n runs n of them)'
	@echo 'make fuzz     send the server everything that openapi.json allows (COUNT=n requests of each kind, SEED=n replays)'
	@echo 'make drill    kill real servers and agents (KILLS=n of them, SEED=n replays the decisions)'
	@echo 'make drill-cluster  take power and network from machines of a Ray cluster (needs root; FAULTS=n SEED=n KINDS="agent power")'
	@echo 'make bench    run the benchmarks'
	@echo 'make setup    install what is missing, and nothing else'
	@echo 'make browser  install Chromium, which some tests need, if it is missing'
	@echo 'make constraints  pin the dependencies of pyproject.toml again'
	@echo 'make wire     write the types of the dashboard again'
	@echo 'make map      write the map in ARCHITECTURE.md again, from the modules'\'' first sentences'
	@echo 'make histories  record again what a page receives, and the states of golden histories'
	@echo 'make clean    remove what set-up and tests have made'

run: setup
	@$(PYTHON) tools/setup.py --page try
	@$(TOOLS_PATH) exec $(BIN)/fleet serve $(ARGS)

demo: setup
	@$(TOOLS_PATH) exec $(BIN)/fleet demo $(ARGS)

web:
	@$(PYTHON) tools/setup.py --page need

dev: web-tools
	@cd web && FLEET_URL="$${FLEET_URL:-http://localhost:3000}" exec npm run --silent dev -- $(ARGS)

web-tools:
	@$(PYTHON) tools/setup.py --page tools

setup:
	@$(TOOLS_PATH) $(PYTHON) tools/setup.py

# Four processes, also on two cores: tests that start OpenCode or use a browser mostly wait. Those that share a server
# stay together (tests/conftest.py).
test: check browser web
	cd web && npm test --silent
	$(TOOLS_PATH) $(BIN)/python -m pytest --numprocesses=4 --durations=20 $(ARGS)

screenshots: setup browser web
	@$(TOOLS_PATH) $(BIN)/python tools/screenshots.py $(ARGS)

browser:
	@$(TOOLS_PATH) $(PYTHON) tools/setup.py --browser

check: setup web-tools
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	@$(PYTHON) tools/side_by_side.py $(BIN)/mypy 'PYRIGHT_PYTHON_IGNORE_WARNINGS=1 $(BIN)/pyright' $(BIN)/lint-imports \
	  'cd web && npm run --silent check'

sim: setup
	count="$(COUNT)"; FLEET_SIM_SEED="$(SEED)" FLEET_SIM_COUNT="$${count:-500}" $(BIN)/python -m pytest --numprocesses=auto --maxprocesses=4 tests/simulation $(ARGS)

fuzz: setup
	count="$(COUNT)"; FLEET_FUZZ_EXAMPLES="$${count:-200}" FLEET_FUZZ_SEED="$(SEED)" $(BIN)/python -m pytest -m long tests/gateway/test_schema.py $(ARGS)

drill: setup
	$(TOOLS_PATH) FLEET_DRILL_KILLS="$(KILLS)" FLEET_DRILL_SEED="$(SEED)" $(BIN)/python -m pytest -m long tests/e2e/drill tests/page/test_truth.py -s $(ARGS)

drill-cluster: setup
	unshare --net --pid --mount --uts --fork --kill-child --mount-proc $(BIN)/python -m tests.e2e.cluster_drill \
	  --opencode .tools/node_modules/.bin/opencode $(if $(SEED),--seed $(SEED)) $(if $(FAULTS),--faults $(FAULTS)) \
	  $(if $(KINDS),--kinds $(KINDS)) $(ARGS)
	$(TOOLS_PATH) $(BIN)/python -m pytest -m long tests/ray

bench: setup
	$(TOOLS_PATH) $(BIN)/python -m bench $(ARGS)

constraints: setup
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
	$(BIN)/uv pip compile pyproject.toml --extra traces --extra ray --group dev --universal --python-version 3.11 --generate-hashes \
	  --no-emit-index-url --no-emit-find-links --custom-compile-command 'make constraints' \
	  --quiet --output-file constraints.txt $(ARGS)

wire: setup web-tools
	$(BIN)/python tools/wire_types.py $(ARGS)

map:
	@$(PYTHON) tools/architecture_map.py $(ARGS)

histories: setup
	FLEET_WRITE_HISTORIES=1 $(BIN)/python -m pytest -q tests/histories $(ARGS)

clean:
	rm -rf .venv .tools build dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis web/node_modules fleet/gateway/dashboard
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
