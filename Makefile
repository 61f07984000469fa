# Everything a developer runs. Targets that touch a cluster use the context kind-keelway (`bench` and `faults` also one of
# their own) of a kubeconfig in .keelway/, and no other: your own kubeconfig is never read.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

PYTHON ?= python3
BIN := .venv/bin
STAMPS := .keelway/stamps
KUBECONFIG_FILE := .keelway/kubeconfig
export PATH := $(CURDIR)/.keelway/bin:$(PATH)
KUBECTL := kubectl --kubeconfig=$(KUBECONFIG_FILE) --context=kind-keelway
# Tests mostly wait for the cluster, so there are more of them at once than processors.
E2E_WORKERS ?= 6

.PHONY: help
help: ## Show the targets.
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

.PHONY: demo
demo: ## Bring everything up, apply examples/hello and call it.
	@$(PYTHON) -m devcluster demo

# Two clusters wait more than they work, so what needs one of them runs beside what needs the other.
.PHONY: test
test: setup ## Run everything: lint, types, contracts, unit, integration, faults, e2e.
	@$(MAKE) --no-print-directory -j2 --output-sync=line lint deploy
	@$(MAKE) --no-print-directory -j2 --output-sync=line test-faults test-one-by-one
	$(BIN)/pytest tests/e2e -m 'not disturbing and not last' -n $(E2E_WORKERS) --dist worksteal
	$(BIN)/pytest tests/e2e -m last -q

.PHONY: test-faults
test-faults:
	$(BIN)/pytest tests/faults -m subset -q

.PHONY: test-one-by-one
test-one-by-one:
	$(BIN)/pytest tests/unit -n 2 -q
	$(BIN)/pytest tests/integration -n 4 -q
	$(BIN)/pytest tests/e2e -m disturbing -q

.PHONY: setup
setup: $(STAMPS)/python ## Make the Python environment in .venv.

$(STAMPS)/python: pyproject.toml constraints.txt
	@mkdir -p $(STAMPS)
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv 2>/dev/null \
	  || { rm -rf .venv; apt-get update -q && apt-get install -y -q python3-venv && $(PYTHON) -m venv .venv; } \
	  || { echo "Python's venv is missing and could not be installed: install python3-venv, or set PYTHON."; exit 1; }
	$(BIN)/pip install -q --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@

.PHONY: cluster
cluster: ## Bring up the dev cluster (kind), building what cannot be pulled.
	@$(PYTHON) -m devcluster up

.PHONY: deploy
deploy: setup cluster ## Build the operator's image and install it into the dev cluster.
	@$(PYTHON) -m devcluster deploy

.PHONY: run
run: deploy ## Run the operator outside the cluster, for fast work; the one inside rests meanwhile.
	$(KUBECTL) -n keelway-system scale deployment/keelway --replicas=0
	trap '$(KUBECTL) -n keelway-system scale deployment/keelway --replicas=2' EXIT; \
	KEELWAY_CONTEXT=kind-keelway KEELWAY_KUBECONFIG=$(KUBECONFIG_FILE) KEELWAY_POD_NAME=keelway-outside \
	KEELWAY_REGISTRY=registry.keelway-registry:5000 KEELWAY_REGISTRY_INSECURE=true \
	KEELWAY_REGISTRY_ENDPOINT=127.0.0.1:30500 KEELWAY_REGISTRY_CONFIG=manifests/dev/registry-credential.json \
	KEELWAY_REGISTRY_MIRRORS=docker.io=registry.keelway-registry:5000/docker.io \
	KEELWAY_ALLOWED_NETWORKS=10.244.0.0/16,10.96.0.0/12 $(BIN)/python -m keelway

.PHONY: unit
unit: setup ## Run the unit tests: no cluster, no network.
	$(BIN)/pytest tests/unit -n 4 -q

.PHONY: integration
integration: setup cluster ## Run the tests against a real API server.
	$(BIN)/pytest tests/integration -n 4

.PHONY: e2e
e2e: deploy ## Run the end-to-end tests: real builds, real pods, real HTTP.
	$(BIN)/pytest tests/e2e -m disturbing
	$(BIN)/pytest tests/e2e -m 'not disturbing and not last' -n $(E2E_WORKERS) --dist worksteal
	$(BIN)/pytest tests/e2e -m last

.PHONY: bench
bench: $(STAMPS)/bench deploy ## Measure the operator on the dev cluster and one of its own; writes bench/ (about 40 minutes).
	@$(PYTHON) -m devcluster --cluster bench up
	$(BIN)/python -u -m bench

$(STAMPS)/bench: $(STAMPS)/python
	$(BIN)/pip install -q --disable-pip-version-check -c constraints.txt -e '.[dev,bench]'
	@touch $@

.PHONY: faults
faults: setup ## Break whatever the operator stands on, on two clusters of its own; a part of it is in make test.
	$(BIN)/pytest tests/faults -v -n 2 --dist worksteal

.PHONY: crds
crds: setup ## Generate crds/ and docs/reference.md from the models.
	$(BIN)/python -m keelway.api.crd crds/
	$(BIN)/python -m keelway.api.reference docs/reference.md

.PHONY: rbac
rbac: setup ## Generate the operator's roles from what it watches and makes.
	$(BIN)/python -m keelway.rbac manifests/base/operator/rbac.yaml

.PHONY: release-manifests
release-manifests: setup ## Render manifests/base by digest: make release-manifests OPERATOR=...@sha256:... BUILDKIT=...@sha256:...
	@$(BIN)/python -m release.manifests --operator "$(OPERATOR)" --buildkit "$(BUILDKIT)"

.PHONY: lint
lint: setup ## Check style, types, import contracts, and that what is generated is up to date.
	$(BIN)/ruff check operator devcluster bench release tests
	$(BIN)/ruff format --check operator devcluster bench release tests
	$(BIN)/mypy operator/keelway devcluster bench release tests
	$(BIN)/lint-imports
	$(BIN)/python -m keelway.api.crd --check crds/
	$(BIN)/python -m keelway.api.reference --check docs/reference.md
	$(BIN)/python -m keelway.rbac --check manifests/base/operator/rbac.yaml

.PHONY: uninstall
uninstall: ## Remove Keelway from the dev cluster: objects first, then the operator, then the CRDs.
	-$(KUBECTL) delete apps.keelway.dev,images.keelway.dev --all --all-namespaces --timeout=120s
	-$(KUBECTL) wait --for=delete deployments,services,horizontalpodautoscalers --all-namespaces \
	  --selector=app.kubernetes.io/managed-by=keelway --timeout=120s
	$(KUBECTL) delete -k manifests/dev --ignore-not-found --timeout=180s

.PHONY: down
down: ## Delete our clusters; what was built for them stays in the cache.
	@for cluster in dev bench faults faults-2; do $(PYTHON) -m devcluster --cluster $$cluster down; done
