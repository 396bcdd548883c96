# natter's commands. `make` alone lists them; whatever stands behind ## is its
# line there. Nothing here needs a terminal or asks anything.

GO       ?= go
NPM      ?= npm
ARGS     ?=
CHROMIUM ?= /usr/bin/chromium
# How many seconds each fuzz target runs in `make test`, and all of them at most.
FUZZ_EACH ?= 5
FUZZ_ALL  ?= 120

export CHROMIUM
export npm_config_update_notifier = false

WEB_SOURCES := $(shell find webui/src webui/public webui/index.html webui/vite.config.ts webui/svelte.config.js webui/tsconfig.json 2>/dev/null)

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

.PHONY: help
help:
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' Makefile
	@echo
	@echo "  make run ARGS='--listen 0.0.0.0:8080 --insecure on' passes flags on; ./natter serve --help lists them."

##### Run

.PHONY: run
run: build ## build what changed and start a node on http://127.0.0.1:8080
	@exec ./natter serve $(ARGS)

.PHONY: cluster
cluster: build ## three nodes on this machine, data and certificates in ./data-cluster; Ctrl-C stops all
	@$(GO) build -o bin/cluster ./internal/tools/cluster
	@exec bin/cluster ./natter data-cluster $(ARGS)

.PHONY: build
build: web ## build ./natter with the web app in it
	$(GO) build -o natter .

.PHONY: web
web: webui/dist/index.html ## build the web app, if its sources changed

webui/dist/index.html: webui/node_modules/.package-lock.json $(WEB_SOURCES)
	cd webui && $(NPM) run --silent build -- --logLevel warn
	@touch $@

# npm writes this file last, so it is as old as the installation.
webui/node_modules/.package-lock.json: webui/package-lock.json | need-node
	cd webui && $(NPM) ci --no-audit --no-fund
	@touch $@

.PHONY: need-go need-node
need-go:
	@command -v $(GO) >/dev/null || { echo "natter needs Go 1.26 or newer: https://go.dev/dl/ (Debian: apt install golang, if it is new enough)" >&2; exit 1; }
need-node:
	@command -v node >/dev/null && command -v $(NPM) >/dev/null || { echo "the web app needs Node.js 20.19 or newer with npm: https://nodejs.org/ (Debian: apt install nodejs npm); 'go run .' starts natter without the app" >&2; exit 1; }
	@node -e 'const [a, b] = process.versions.node.split(".").map(Number); if (a < 20 || (a === 20 && b < 19)) { console.error(`the web app needs Node.js 20.19 or newer; this is $${process.version}`); process.exit(1); }'

build lint lint-go fmt vet staticcheck layers test-go fuzz cover: | need-go

##### Test

# From what fails fastest to what takes longest.
TEST_PARTS = browser-deps lint-go lint-web test-web build test-browser test-go fuzz

.PHONY: test
test: ## everything: linters, Go tests with the race detector, fuzzing, web app, browser, examples
	@begin=$$(date +%s); for part in $(TEST_PARTS); do \
		echo "=== $$part"; at=$$(date +%s); \
		$(MAKE) --no-print-directory $$part || { echo "=== $$part failed" >&2; exit 1; }; \
		echo "=== $$part: $$(($$(date +%s) - at)) s"; \
	done; echo "=== all is well, in $$(($$(date +%s) - begin)) s"

.PHONY: check
check: ## what CI runs, to the letter
	CI=true .ci/run </dev/null

.PHONY: test-go
test-go: ## Go tests with the race detector, the stories and the examples among them
	$(GO) test -race -vet=off -timeout 20m ./...

# Two at a time with one worker each. A run that ends in the very moment of its
# deadline may report that as a failure (golang/go#75804); without an input it
# found, it is run once more.
define fuzz_one
cd "$$1" && for attempt in 1 2; do
	out=$$($(GO) test -vet=off -run '^$$' -fuzz "^$$2$$" -fuzztime "$${EACH}s" -parallel 1 . 2>&1) && { echo "$$2 $$(echo "$$out" | tail -1)"; exit 0; }
	case "$$out" in *"Failing input"*) break ;; *"context deadline exceeded"*) ;; *) break ;; esac
done
echo "$$out"; echo "$$2 failed" >&2; exit 1
endef
export FUZZ_ONE := $(fuzz_one)

.PHONY: fuzz
fuzz: ## run every fuzz target for a few seconds (FUZZ_EACH, FUZZ_ALL)
	@all=$$($(GO) list -f '{{.Dir}}' ./... | while read -r dir; do \
		grep -ohE '^func Fuzz[A-Za-z0-9_]+' "$$dir"/*_test.go 2>/dev/null | sed "s|^func |$$dir |"; done); \
	[ -n "$$all" ] || { echo "there are no fuzz targets" >&2; exit 1; }; \
	EACH=$$((2 * $(FUZZ_ALL) / $$(echo "$$all" | wc -l))); [ $$EACH -lt $(FUZZ_EACH) ] || EACH=$(FUZZ_EACH); [ $$EACH -ge 1 ] || EACH=1; \
	export EACH; echo "$$all" | xargs -n 2 -P 2 sh -c "$$FUZZ_ONE" fuzz

.PHONY: test-web
test-web: web ## the web app's unit tests and its size
	cd webui && $(NPM) test --silent && $(NPM) run --silent check:size

# npm run test:browser, but that the shell expands the names: Node 20 doesn't.
.PHONY: test-browser
test-browser: build browser-deps ## people in Debian's Chromium, against ./natter
	cd webui && node --test --test-concurrency=1 browser/*.test.mjs

# Looks for the things, not for the packages, so that it holds elsewhere too.
.PHONY: browser-deps
browser-deps: ## what the tests need of Debian: chromium, fonts, python3-websocket, gcc, ip
	@missing=; \
	font() { find /usr/share/fonts /usr/local/share/fonts "$$HOME/.local/share/fonts" "$$HOME/.fonts" "$$@" 2>/dev/null | grep -q .; }; \
	[ -x "$(CHROMIUM)" ] || missing="$$missing chromium"; \
	font -iname '*nanum*' -o -iname '*cjk*' || missing="$$missing fonts-nanum"; \
	font -iname '*emoji*' || missing="$$missing fonts-noto-color-emoji"; \
	python3 -c 'import websocket' 2>/dev/null || /usr/bin/python3 -c 'import websocket' 2>/dev/null || missing="$$missing python3-websocket"; \
	command -v gcc >/dev/null || missing="$$missing gcc libc6-dev"; \
	command -v ip >/dev/null || [ -x /usr/sbin/ip ] || missing="$$missing iproute2"; \
	[ -n "$$missing" ] || exit 0; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		echo "installing$$missing"; \
		export DEBIAN_FRONTEND=noninteractive; \
		apt-get update -qq </dev/null && apt-get install -y -qq --no-install-recommends $$missing </dev/null; \
	else \
		echo "the tests need$$missing. As root: apt-get install$$missing (CHROMIUM=/path names another browser)" >&2; exit 1; \
	fi

##### Lint

.PHONY: lint
lint: lint-go lint-web ## every linter

.PHONY: lint-go
lint-go: fmt vet staticcheck layers ## gofmt, go vet and more analyzers, staticcheck, the layering

.PHONY: lint-web
lint-web: webui/node_modules/.package-lock.json ## types, Svelte and style of the web app
	cd webui && $(NPM) run --silent check

.PHONY: fmt
fmt:
	@bad=$$(gofmt -l $$($(GO) list -f '{{.Dir}}' ./... | sed 's|$$|/*.go|')) || exit 1; \
	[ -z "$$bad" ] || { echo "gofmt -w is due for:" >&2; echo "$$bad" >&2; exit 1; }

# The analyzers that go vet doesn't run by itself are named in internal/tools/vet.
.PHONY: vet
vet:
	$(GO) vet ./...
	@$(GO) build -o bin/vet ./internal/tools/vet
	$(GO) vet -vettool=bin/vet ./...

# What it checks, and each exclusion with its reason, stands in staticcheck.conf.
.PHONY: staticcheck
staticcheck:
	$(GO) tool staticcheck ./...

.PHONY: layers
layers:
	$(GO) test -vet=off -run 'TestImports|TestEveryPackageHasALayer' .

##### Measure

.PHONY: bench
bench: build ## the figures of docs/BENCHMARKS.md on this machine (about 2 minutes)
	./natter bench --workload pairs --users 100 --window 1
	./natter bench --workload pairs --users 100 --window 16
	./natter bench --workload group --users 100 --group-size 100 --window 1

.PHONY: gauntlet
gauntlet: build ## break a cluster of three in every way and say what came of it (ARGS='--scenario kills')
	$(GO) run ./internal/tools/gauntlet --binary ./natter $(ARGS)

.PHONY: cover
cover: ## coverage of the Go tests, by package; bin/cover.html shows the lines
	@mkdir -p bin
	$(GO) test -vet=off -timeout 8m -coverprofile bin/cover.out ./...
	@$(GO) tool cover -html bin/cover.out -o bin/cover.html
	@$(GO) tool cover -func bin/cover.out | tail -1

.PHONY: clean
clean: ## remove what was built; ./data and webui/node_modules stay
	rm -rf natter bin bench-out gauntlet-out webui/dist/assets webui/dist/index.html webui/dist/.vite webui/.vite-manifest.json webui/test-results
	@find webui/dist -mindepth 1 ! -name .gitkeep -delete 2>/dev/null || true
