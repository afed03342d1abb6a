#!/usr/bin/env bash
# Writes everything that is generated and checked in: the Go beside the .proto files, the policy language's
# descriptor with its comments, and the JSON Schema that the examples name. With a folder, it writes there instead.
set -euo pipefail
cd "$(dirname "$0")/.."

out=${1:-.}
mkdir -p "$out/policyfile" "$out/examples"
buf generate -o "$out"
buf build --path proto/latchkey/policy --exclude-imports --as-file-descriptor-set -o "$out/policyfile/policy.binpb"
go run ./cmd/latchkey policy schema >"$out/examples/policy.schema.json"
