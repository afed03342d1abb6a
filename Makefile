# Every target is one command. `make test` is the whole test run; the others are its parts.
export PATH := $(CURDIR)/.tools/bin:$(PATH)
export GOTOOLCHAIN := local
export GOFLAGS := -mod=readonly

.PHONY: generate

generate:
	buf generate
