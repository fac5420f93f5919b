# make serve    run the daemon here, without root and without Xen; it is compiled for the
#               next start in the background, if that can be done (COMPILE=no: not)
# make test     run all tests, or those of ARGS="-k watch", which pytest is given
# make test-compiled    the same on modules compiled by mypyc (needs a C compiler)
# make compiled compile what that needs, if it has changed
# make test-systemd
#               try the units in a container with a systemd of its own; takes root
# make test-container   build the container image and try it (tests/container/run)
# make wheels   build wheels into dist, pure and compiled, and try them, for the Pythons
#               of Debian 12 and 13 and Ubuntu 24.04 that are here (PYTHONS= names others)
# make deb      build a Debian package into dist, compiled, or for all machines: PURE=1
# make test-deb build both and try them in a fresh Debian 12; takes root and mmdebstrap
# make test-newcomer
#               type README and how to install in a fresh Debian 12 each; takes root,
#               mmdebstrap and half an hour (ARGS="readme quick-start": only these)
# make fuzz     hostile guests against a daemon (SECONDS=300, GUESTS=3, SEED= of an
#               earlier run, XSD_TEST_PYTHON= of another build's environment)
# make simulate whole engines in simulated worlds, replayed (SECONDS=300, SEED=)
# make test-kills   a daemon that keeps its state is killed (KILLS=200, SEED=)
# make test-update  a loaded daemon is updated (UPDATES=20), with journal and without
# make soak     a thousand domains come and go, three times (minutes)
# make test-xen a daemon in dom0 of a real, emulated Xen (ARGS="--list"); see tests/xen
# make bench-xen    how fast three daemons are there
# make bench    this daemon, compiled, beside Xen's own (ARGS="--set whole --rounds 3",
#               ARGS="--set sync": a part, which is printed only)
# make bench-check  fails if a ratio to the C daemon is 10 % worse than in the last
#               committed table (ARGS="--set sync")
# make bench-growth     the same daemons with 10 to 10,000 domains
# make docs     build the site of docs/ into build/docs, and see that it fits
# make lint     check format, style, types and import directions
# make tables   write what pages and completion have from the settings and the commands
# make clean    remove what the others made, .venv included
#
# Everything is installed into .venv in this directory. Another interpreter than
# python3 is chosen by PYTHON=..., as in: make test PYTHON=python3.12

PYTHON ?= python3
ARGS ?=
SECONDS ?= 300
SEED ?=
GUESTS ?= 3
KILLS ?= 200
UPDATES ?= 20
COMPILE ?= yes
PYTHONS ?=
export XSD_TEST_PYTHON
# Who has it set for other programs would wait for 300 modules at each run of a test.
unexport PYTHONDONTWRITEBYTECODE

here := $(CURDIR)
bin := .venv/bin
socket := $(here)/run/socket

.PHONY: serve test compiled test-compiled test-container test-systemd test-deb test-xen bench-xen
.PHONY: bench bench-check bench-growth
.PHONY: test-newcomer test-kills test-update fuzz simulate soak wheels deb docs lint tables clean
.DELETE_ON_ERROR:

serve: .venv/.serve
	@size=$$(printf %s '$(socket)' | wc -c); \
	if [ "$$size" -gt 107 ]; then \
	    echo "make serve: '$(socket)' has $$size bytes, the path of a Unix socket at" \
	        "most 107: move this directory to a shorter path" >&2; \
	    exit 1; \
	fi
	@mkdir -p run
	@echo "To talk to the daemon, paste into another terminal (Ctrl-C here ends it):"
	@echo
	@echo "    XENSTORED_PATH='$(socket)' '$(here)/$(bin)/xsd' ls /"
	@echo
	@COMPILE='$(COMPILE)' exec $(bin)/python -P packages/serve.py \
	    --socket '$(socket)' --pid-file run/xenstored.pid

# All of them take a while: who waits is told at once, not at the first percent.
define tell-how-long
	$(if $(ARGS),,@echo "All tests: about $(1) on two cores. A few: make $@ ARGS=tests/store")
endef

test: .venv/.develop
	$(call tell-how-long,7 minutes)
	@$(bin)/python -m pytest $(ARGS)

copy-to = rm -rf $(1) && mkdir -p $(1) \
	&& git ls-files -z | tar --null -T - -cf - | tar -xf - -C $(1)

# It takes minutes, and is done again only if what is compiled has changed.
compiled: .venv/bin/python
	@key=$$(git ls-files -z pyproject.toml packages/wheel protocol xsd \
	    | tar --null -T - --mtime=@0 -cf - | sha256sum; $(bin)/python -VV); \
	if [ "$$key" != "$$(cat build/wheel/key 2>/dev/null)" ]; then \
	    echo "Compiling into build/wheel"; \
	    rm -rf build/wheel && $(call copy-to,build/wheel/source) \
	    && HATCH_BUILD_HOOKS_ENABLE=1 $(bin)/pip wheel -q --no-deps \
	        -w build/wheel build/wheel/source \
	    && echo "$$key" >build/wheel/key; \
	fi

# In a copy: compiled modules would hide the sources that they stand beside.
test-compiled: compiled
	$(call tell-how-long,8 minutes)
	@$(call copy-to,build/compiled)
	@cd build/compiled && '$(here)/.venv/bin/python' -m venv .venv \
	    && .venv/bin/pip install -q --editable '.[test]' \
	    && .venv/bin/python -m zipfile -e ../wheel/xenstored-*.whl . \
	    && .venv/bin/python -m pytest -m "not pure_only" $(ARGS)

test-systemd: .venv/.develop
	@$(bin)/python -m tests.systemd.units

test-container: .venv/.develop
	@tests/container/run $(ARGS)

wheels: .venv/.develop
	@echo "Building the wheels into dist"
	@set -e; made=$$(PYTHONS='$(PYTHONS)' packages/build-wheels); \
	    $(bin)/python -m tests.packages.wheels $$made

deb:
	@packages/build-deb

test-deb: .venv/.develop
	@set -e; compiled=$$(packages/build-deb); pure=$$(PURE=1 packages/build-deb); \
	    $(bin)/python -m tests.packages.deb "$$compiled" "$$pure"

test-newcomer: .venv/.develop
	@$(bin)/python -m tests.newcomer.newcomer $(ARGS)

fuzz: .venv/.develop
	@$(bin)/python -m tests.soak.fuzz --seconds $(SECONDS) --guests $(GUESTS) \
	    $(if $(SEED),--seed $(SEED))

simulate: .venv/.develop
	@$(bin)/python -m tests.simulation.simulate --seconds $(SECONDS) \
	    $(if $(SEED),--seed $(SEED))

test-kills: .venv/.develop
	@XSD_KILLS=$(KILLS) XSD_SEED=$(SEED) $(bin)/python -m tests.crash.killed
	@XSD_KILLS=$(KILLS) XSD_SEED=$(SEED) $(bin)/python -m tests.crash.held

test-update: .venv/.develop
	@XSD_UPDATES=$(UPDATES) $(bin)/python -m tests.update.loaded

soak: .venv/.develop
	@$(bin)/python -m tests.soak.soak

test-xen: .venv/.develop
	@$(bin)/python -m tests.xen.run $(ARGS)

bench-xen: .venv/.develop
	@for daemon in c ocaml xsd; do \
	    echo "== $$daemon"; \
	    $(bin)/python -m tests.xen.run --xenstored $$daemon speed $(ARGS) || exit; \
	done

# Compiled modules of this tree; XSD_TEST_PYTHON= names the interpreter of another build.
bench_python := $(or $(XSD_TEST_PYTHON),$(here)/build/bench/venv/bin/python)
bench_built := $(if $(XSD_TEST_PYTHON),,build/bench/.built)

build/bench/.built: pyproject.toml $(shell find protocol xsd -name '*.py')
	@rm -rf build/bench/venv build/bench/wheel
	$(call copy-to,build/bench/source)
	@echo "Compiling the modules, which takes some minutes"
	@HATCH_BUILD_HOOKS_ENABLE=1 $(bin)/pip wheel -q --no-deps -w build/bench/wheel \
	    build/bench/source
	@$(PYTHON) -m venv build/bench/venv
	@build/bench/venv/bin/pip install -q build/bench/wheel/*.whl
	@touch $@

bench: .venv/.bench $(bench_built)
	@XSD_TEST_PYTHON='$(bench_python)' $(bin)/python -m benchmarks.compare $(ARGS)

bench-check: .venv/.develop $(bench_built)
	@XSD_TEST_PYTHON='$(bench_python)' $(bin)/python -m benchmarks.check $(ARGS)

bench-growth: .venv/.bench $(bench_built)
	@XSD_TEST_PYTHON='$(bench_python)' $(bin)/python -m benchmarks.growth $(ARGS)

# Anew each time: else what has not changed is not looked at again.
docs: .venv/.docs
	@rm -rf build/docs
	@$(bin)/sphinx-build --fail-on-warning --keep-going --nitpicky --quiet \
	    -d build/doctrees docs build/docs
	@$(bin)/python -m tests.docs.site build/docs
	@echo "The site is in build/docs/index.html"

lint: .venv/.develop
	$(bin)/ruff format --check .
	$(bin)/ruff check .
	$(bin)/mypy
	$(bin)/lint-imports

tables: .venv/.develop
	@$(bin)/python -m tests.support.generated

clean:
	rm -rf .venv run build dist htmlcov .coverage .coverage.* .hypothesis \
	    .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find examples protocol xsd tests -name __pycache__ -type d -prune -exec rm -rf {} +

# The stamps are newer than pyproject.toml once its dependencies are installed.
.venv/.serve: pyproject.toml | .venv/bin/python
	@echo "Installing the daemon into .venv"
	@$(bin)/python -m pip install --quiet --editable .
	@touch $@

.venv/.develop: pyproject.toml | .venv/bin/python
	@echo "Installing the daemon and the tools for tests into .venv"
	@$(bin)/python -m pip install --quiet --editable '.[test,lint]'
	@touch $@ .venv/.serve

.venv/.bench: pyproject.toml | .venv/.develop
	@echo "Installing what draws the plots into .venv"
	@$(bin)/python -m pip install --quiet --editable '.[bench]'
	@touch $@

.venv/.docs: pyproject.toml | .venv/.develop
	@echo "Installing the generator of the site into .venv"
	@$(bin)/python -m pip install --quiet --editable '.[docs]'
	@touch $@

.venv/bin/python:
	@command -v $(PYTHON) >/dev/null || { \
	    echo "make: there is no $(PYTHON): install Python 3.11 or newer" \
	        "(Debian, Ubuntu: apt-get install python3), or name one with PYTHON=..." >&2; \
	    exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	    echo "make: $(PYTHON) is $$($(PYTHON) -V 2>&1), but Python 3.11 or newer is" \
	        "needed: name one with PYTHON=..., as in PYTHON=python3.12" >&2; \
	    exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	    package=$$($(PYTHON) -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])'); \
	    echo "make: $(PYTHON) cannot make virtual environments here; on Debian and" \
	        "Ubuntu that takes: apt-get install $$package" >&2; \
	    exit 1; }
	@$(PYTHON) -m venv --clear .venv
