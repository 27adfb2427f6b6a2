# Everything a newcomer needs. No target needs root; Debian 12 or 13 with python3 is enough.

PYTHON ?= python3
PY := .venv/bin/python
UV := .tools/uv/bin/uv

.DEFAULT_GOAL := help

help: ## show what can be done here
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1|\2/p' Makefile | column -t -s '|' 2>/dev/null \
	    || sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1 - \2/p' Makefile

setup: ## make .venv: hashed requirements and layersmith itself
	@$(PYTHON) scripts/setup.py

demo: setup ## registry, images, assemble, push, run: the whole way on this machine
	@$(PY) scripts/demo.py

fixtures: setup ## make the two input images from Debian's packages
	@$(PY) -m fixtures build $(if $(REFRESH),--refresh)

test: setup fixtures ## run all tests (make test ARGS="-k registry")
	@$(PY) -m pytest $(ARGS)

soak: setup ## many processes on one cache, some killed: minutes (make soak ARGS="--seed 2")
	@$(PY) -m tests.soak.shared_cache --processes 16 --rounds 50 $(ARGS)

reliability: setup fixtures ## the scoreboard, as far as CI goes (make reliability FULL=1 ROWS="R1 R8")
	@$(PY) -m tests.reliability $(if $(FULL),--full) $(ROWS)

faults: setup fixtures ## every fault at every request, every kill, every disk error: an hour or more
	@$(PY) -m tests.reliability --full R1 R2 R3

fuzz: setup ## the parsers under atheris (make fuzz SECONDS=600 ARGS="tar elf")
	@$(PY) -m tests.fuzz --seconds $(or $(SECONDS),60) $(ARGS)

examples: setup fixtures ## build the applications of examples/, move and run them (NAMES="flask" FULL=1)
	@$(PY) -m tests.examples $(if $(FULL),--full) $(ARGS) $(NAMES)

reproducible: setup fixtures ## two hundred builds in ever other circumstances, arm64 too: hours
	@$(PY) -m tests.reliability --full R17

lint: setup ## ruff, mypy and the rule of which room imports which
	$(PY) -m ruff check
	$(PY) -m ruff format --check
	$(PY) -m mypy src tests fixtures bench
	.venv/bin/lint-imports

bench: setup fixtures ## figures and ratios, images and applications: ours, the floor, the peers that are here
	@scripts/bench

requirements: ## pin requirements/*.txt, and what builder images get, again from the .in files
	@test -x $(UV) || { $(PYTHON) -m venv .tools/uv && .tools/uv/bin/python -m pip install -q uv; }
	cd requirements && for name in runtime dev fuzz; do \
	    ../$(UV) pip compile -q --no-config --universal --python-version 3.11 \
	        --generate-hashes --no-header --no-emit-index-url --no-emit-find-links \
	        --upgrade -o $$name.txt $$name.in $$(test $$name = runtime || echo -c runtime.txt) || exit 1; \
	done
	cd requirements && ../$(UV) pip compile -q --no-config --universal --python-version 3.9 \
	    --only-binary :all: --generate-hashes --no-header --no-emit-index-url --no-emit-find-links \
	    --upgrade -o ../src/layersmith/apps/builder.txt builder.in

locks: ## pin the dependencies of the examples again
	@test -x $(UV) || { $(PYTHON) -m venv .tools/uv && .tools/uv/bin/python -m pip install -q uv; }
	@for each in examples/*/requirements.in; do (cd $$(dirname $$each) && ../../$(UV) pip compile -q \
	    --universal --python-version 3.13 --only-binary :all: --generate-hashes --no-header \
	    --no-emit-index-url --no-emit-find-links --upgrade -o requirements.txt requirements.in) || exit 1; done

clean: ## remove what was made (downloads in .cache and .tools stay: make distclean)
	rm -rf build dist .venv .venv-fuzz .coverage htmlcov .pytest_cache .mypy_cache .ruff_cache .hypothesis \
	    .import_linter_cache
	find src tests fixtures scripts -name __pycache__ -prune -exec rm -rf {} +

distclean: clean ## remove the downloads as well
	rm -rf .cache .tools

.PHONY: help setup demo fixtures test soak reliability faults fuzz examples locks reproducible lint bench requirements clean distclean
