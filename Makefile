# make help says what there is.
SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help install demo demo-down test lint unit docs lock clean

# The Python that makes .venv, 3.11 or newer: make PYTHON=python3.13 ...
PYTHON ?= python3

export PATH := $(CURDIR)/.venv/bin:$(PATH)
export ANSIBLE_CONFIG := $(CURDIR)/ansible.cfg
# Not ~/.ansible: nothing of the person's is touched.
export ANSIBLE_HOME := $(CURDIR)/.venv/ansible

# The cluster of containers that the demo runs on, and where all its files are.
DEMO := -e testbed_name=demo -e testbed_directory='$(CURDIR)/.demo'

help: ## Say what there is
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-10s %s\n", $$1, $$2}' Makefile

install: .venv/installed ## Install the Python tools into .venv

.venv/installed: requirements.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo 'Python 3.11 or newer is needed, and $(PYTHON) is older or missing: make PYTHON=/path/to/python3.13 $(MAKECMDGOALS)'; exit 1; }
	@echo 'Installing the Python tools into .venv (a minute the first time) ...'
	@$(PYTHON) -m venv --clear .venv || { echo 'That needs the venv module: apt-get install python3-venv'; exit 1; }
	@.venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.txt
	@touch $@

demo: .venv/installed ## Show it all on a cluster of containers, on this machine alone
	@molecule/cluster/prepare
	@echo 'Bringing up gate and hydra08i as containers (some minutes the first time, to build their image) ...'
	@ansible-playbook molecule/cluster/up.yml $(DEMO)
	@ansible-playbook molecule/demo/prepare.yml
	ansible-playbook site.yml -l hydra -i inventory/hydra.yml -e @.demo/vars.yml
	@echo
	@echo 'The password is in .demo/password. To take it all away: make demo-down'

demo-down: .venv/installed ## Take away the demo's containers, networks, processes and files
	@ansible-playbook molecule/cluster/down.yml $(DEMO)

test: .venv/installed ## Run all tests, as CI does
	@molecule/cluster/prepare
	@tests/run

lint: .venv/installed ## Check style and types
	@tests/run lint

unit: .venv/installed ## Test the filters
	@tests/run unit

docs: .venv/installed ## Render docs/variables.md from the roles' specs
	@.venv/bin/python tests/support/variables.py

lock: ## Renew requirements.txt from pyproject.toml, and that of the newest ansible-core (needs uv)
	uv pip compile --universal --generate-hashes --all-extras --no-header --upgrade pyproject.toml -o requirements.txt
	cd molecule/cluster/image && uv pip compile --universal --python-version 3.13 --generate-hashes --no-header \
	  --upgrade requirements-core-2.22.in -o requirements-core-2.22.txt

clean: demo-down ## Take away .venv too, and the images, but for those that another clone's containers use
	@podman image prune --all --force --filter label=jupyter-on-a-cluster >/dev/null
	@rm -rf .venv
