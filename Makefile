# make help says what there is.
SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help install demo demo-down test lint unit named bench docs lock clean

# The Python that makes the environments, 3.11 or newer: make PYTHON=python3.13 ...
PYTHON ?= python3

# Users have .venv. All else here runs in .venv-test, which has the same, and the tools of demo and tests.
export PATH := $(CURDIR)/.venv-test/bin:$(PATH)
export ANSIBLE_CONFIG := $(CURDIR)/ansible.cfg
# Not ~/.ansible: nothing of the person's is touched.
export ANSIBLE_HOME := $(CURDIR)/.venv-test/ansible

# The clusters of containers that the demo can run on: one with a login node, and one with Slurm's compute nodes, too.
PLACES := demo compute
PLACE := demo
$(if $(filter-out $(PLACES),$(PLACE)),$(error PLACE is '$(PLACE)', and must be one of $(PLACES)))
# One of them, and where all its files are.
testbed = -e testbed_name=$(1) -e testbed_directory='$(CURDIR)/.$(1)'

help: ## Say what there is
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-10s %s\n", $$1, $$2}' Makefile

install: .venv/installed ## Install the command, and what the playbooks need, into .venv

.venv/installed: requirements.txt
.venv/installed: TAKES := some seconds
.venv-test/installed: requirements-test.txt
.venv-bench/installed: requirements-bench.txt
.venv-test/installed: TAKES := a minute or two, 500 MB
.venv-bench/installed: TAKES := half a minute

.venv/installed .venv-test/installed .venv-bench/installed:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo 'Python 3.11 or newer is needed, and $(PYTHON) is older or missing: make PYTHON=/path/to/python3.13 $(MAKECMDGOALS)'; exit 1; }
	@echo "Making $(@D) with $$($(PYTHON) -V) ..."
	@$(PYTHON) -m venv --clear $(@D) || { echo 'That needs the venv module: apt-get install python3-venv'; exit 1; }
	@echo 'Installing into it what $< has ($(TAKES)) ...'
	@$(@D)/bin/python -m pip install --quiet --disable-pip-version-check --no-compile --no-deps --require-hashes -r $< \
	  2>$(@D)/pip.log || { cat $(@D)/pip.log >&2; exit 1; }
	@# On all cores, and without what nobody runs: pip itself would take a minute for the hundred collections.
	@$(@D)/bin/python -m compileall -qq -j 0 -x 'site-packages/ansible_(test|collections)/' $(@D)/lib || true
	@# The command, with the playbooks of this folder, and without a program to build it.
	@echo '$(CURDIR)' >"$$($(@D)/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/jupyter_cluster.pth"
	@printf '#!/bin/sh\nexec "%s/bin/python" -P -m jupyter_cluster "$$@"\n' '$(CURDIR)/$(@D)' >$(@D)/bin/jupyter-cluster
	@chmod +x $(@D)/bin/jupyter-cluster
	@touch $@
	@echo 'Done. To use it from any directory: $(CURDIR)/$(@D)/bin/jupyter-cluster; here also: . $(@D)/bin/activate'

demo: .venv-test/installed ## Show it all on a cluster of containers, on this machine alone (PLACE=compute: with Slurm)
	@molecule/cluster/prepare
	@echo 'Bringing up its hosts as containers (some minutes the first time, to build their image) ...'
	@ansible-playbook molecule/cluster/up.yml $(call testbed,$(PLACE))
	@ansible-playbook molecule/demo/prepare.yml $(call testbed,$(PLACE))
	ansible-playbook site.yml -l hydra -i inventory/hydra.yml -e @.$(PLACE)/vars.yml
	ansible-playbook playbooks/status.yml -l hydra -i inventory/hydra.yml -e @.$(PLACE)/vars.yml
	@echo
	@echo 'The password is in .$(PLACE)/password. To take it all away: make demo-down'

demo-down: .venv-test/installed ## Take away the demo's containers, networks, processes and files
	@$(foreach place,$(PLACES),ansible-playbook molecule/cluster/down.yml $(call testbed,$(place)) &&) true

test: .venv-test/installed ## Run all tests, as CI does
	@molecule/cluster/prepare
	@tests/run

lint: named ## Check style and types
	@:

unit: named ## Test the filters
	@:

# At the same time, where both are named.
named: .venv-test/installed
	@tests/run $(filter lint unit,$(MAKECMDGOALS))

bench: .venv-test/installed .venv-bench/installed ## Measure how long runs take, and write docs/performance.md
	@molecule/cluster/prepare
	@bench/measure

docs: .venv-test/installed ## Render docs/variables.md from the roles' specs
	@.venv-test/bin/python tests/support/variables.py

lock: ## Renew each requirements*.txt from pyproject.toml, and that of the newest ansible-core (needs uv)
	uv pip compile --universal --generate-hashes --no-header --upgrade --extra test pyproject.toml \
	  -o requirements-test.txt
	uv pip compile --universal --generate-hashes --no-header --upgrade --extra bench -c requirements-test.txt \
	  pyproject.toml -o requirements-bench.txt
	@# What users have is what was tested: the versions are those of the first.
	uv pip compile --universal --generate-hashes --no-header --upgrade -c requirements-test.txt pyproject.toml \
	  -o requirements.txt
	cd molecule/cluster/image && uv pip compile --universal --python-version 3.13 --generate-hashes --no-header \
	  --upgrade requirements-core-2.22.in -o requirements-core-2.22.txt

# Nothing is installed only to be taken away.
clean: $(if $(wildcard $(PLACES:%=.%) .venv-test/installed),demo-down) ## Take away .venv*, too, and the images that no other clone uses
	@! type -P podman >/dev/null || podman image prune --all --force --filter label=jupyter-on-a-cluster >/dev/null
	@rm -rf .venv .venv-test .venv-bench
