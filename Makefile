# `make test` is the whole test run; every other target is one part of the work. What they need comes with `make tools`.
export PATH := $(CURDIR)/.tools/bin:$(PATH)
export GOTOOLCHAIN := local
export GOFLAGS := -mod=readonly
# As the product ships: static. Only the race detector needs C.
export CGO_ENABLED := 0
# Tests that need a real Envoy take this one, and fail, instead of being skipped, when it is not there.
export LATCHKEY_ENVOY := $(CURDIR)/.tools/bin/envoy
# Likewise those that build the images and run them, which is for root on Linux. Without it (LATCHKEY_BUILDAH=) they are skipped.
export LATCHKEY_BUILDAH ?= buildah

VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
REVISION ?= $(shell git rev-parse HEAD 2>/dev/null)
CONTAINER ?= docker
# What images are for, as in linux/arm64: this machine, where nothing is said.
PLATFORM ?=
IMAGE = $(CONTAINER) build $(if $(PLATFORM),--platform $(PLATFORM)) --build-arg VERSION=$(VERSION) --build-arg REVISION=$(REVISION)

.PHONY: test tools generate format lint unit race e2e fuzz mutate bench bench-fleet microbench bench-compare demo fleet build image clean

# In this order, so that what is cheap fails first. Less than half an hour on two cores with empty caches.
.NOTPARALLEL:
test: tools lint unit race fuzz

# Pinned tools in .tools/; nothing else on the machine is changed. Quick when they are there.
tools: .tools/installed
.tools/installed: tools/go.mod tools/go.sum tools/requirements.txt tools/install.sh
	tools/install.sh
	touch $@

# What is generated and checked in: Go beside the .proto files, the language's descriptor, its JSON Schema.
generate: tools
	tools/generate.sh

format: tools
	gofumpt -w .
	buf format -w

lint: tools
	buf lint
	buf format --diff --exit-code
	tools/breaking.sh
	tools/drift.sh
	gofumpt -d .
	go build ./...
	go vet ./...
	staticcheck ./...
	hadolint --failure-threshold style Dockerfile
	check-jsonschema --schemafile examples/policy.schema.json examples/*/policy.yaml

# Unit tests and the stories of e2e/, with a real Envoy. The stories come near to the ten minutes that a package has by itself where a
# machine has other work.
unit: tools
	go test -timeout 30m ./...

# Tests of one goroutine that walk through damage, failing calls, plain values or short commands: a race detector has nothing to find there,
# and makes each of them several times as slow.
WALKS = TestDamage$$|TestCrashAtEveryCall|TestEveryCallFails|TestKilledAtACall|TestBboltSurvives|TestLongListsAndCopies|TestADamagedFileIsBegunAnew
WALKS := $(WALKS)|TestExploration|TestSimulation|TestReplicasMeetNowhere|TestScripts/^(policy|envoy|completion|color|explain)

# What holds state or serves requests, under the race detector. e2e/ and deploy/ run other processes: it has nothing to detect there. The
# store's and the replicas' tests repeat themselves less: most of their time the disk has it. So do those of the command line, each of whose
# many processes takes ten times as long to start, and which begin first: they wait more than they work. None of them sleeps for a
# second before it ends, as the detector has them do.
race: export GORACE = atexit_sleep_ms=10
race: tools
	CGO_ENABLED=1 go test -race $$(go list ./... | grep -v -e /proto/ -e /e2e -e /deploy -e /bench -e /storage -e /replica -e /cmd/latchkey$$)
	CGO_ENABLED=1 go test -race -short -timeout 20m -skip '$(WALKS)' ./cmd/latchkey ./storage/... ./replica

# Only the stories, each named as it runs.
e2e: tools
	go test -timeout 30m -count=1 -v ./e2e/...

# Every fuzz function for a few seconds; FUZZTIME=10m for a hunt.
fuzz:
	tools/fuzz.sh

# Deliberate mistakes in the deciding code, each of which must turn a test red. Takes some minutes.
mutate:
	tools/mutate/mutate.py

# What one check costs, beside other servers, directly and through Envoy: half an hour. BENCHFLAGS are its flags, as in
# BENCHFLAGS='-only unix/1-conn/64 -opa PATH'; BENCHFLAGS=-quick sees that it works.
bench: tools build
	go build -trimpath -o bin/ ./bench
	bin/bench -latchkey bin/latchkey $(BENCHFLAGS)

# What a hub and its replicas cost, and how soon a revoked key is dead at all of them: half an hour. BENCHFLAGS are its flags,
# as in BENCHFLAGS='-parts revokes -fleets 100'; BENCHFLAGS=-quick sees that it works.
bench-fleet: tools build
	go build -trimpath -o bin/ ./bench/fleet
	bin/fleet -latchkey bin/latchkey -sidecar bin/latchkey-sidecar $(BENCHFLAGS)

# The benchmarks of single functions.
microbench:
	go test -run='^$$' -bench=. -benchmem ./...

# Those of this tree beside those of another revision, as in: make bench-compare REV=v1.0.0 BENCH=Lookup
bench-compare: tools
	tools/bench-compare.sh "$(REV)"

# A real Envoy in front of an echo upstream, with keys to try.
demo: tools
	go run ./cmd/latchkey demo

# A hub, five sidecars and five Envoys: how long a revoke takes, and what happens without the hub.
fleet: tools build
	bin/latchkey demo --fleet

build:
	go build -trimpath -ldflags="-X main.version=$(VERSION)" -o bin/ ./cmd/...

# Two images: everything, and the sidecar alone. PLATFORM=linux/arm64 makes them for other machines than this one.
image:
	$(IMAGE) --target latchkey -t localhost/latchkey:$(VERSION) .
	$(IMAGE) --target sidecar -t localhost/latchkey-sidecar:$(VERSION) .

clean:
	rm -rf bin .tools
