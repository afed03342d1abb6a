#!/usr/bin/env bash
# Writes everything that is generated and checked in: the Go beside the .proto files, the descriptors of the policy language and
# of the configuration files with their comments, the JSON Schema that the examples name, and the references in docs/. With a
# folder, it writes there instead, and leaves the references to the tests, which hold them against what they are made of.
set -euo pipefail
cd "$(dirname "$0")/.."

out=${1:-.}
mkdir -p "$out/policyfile" "$out/examples" "$out/cmd/latchkey/testdata"
buf generate -o "$out"
buf build --path proto/latchkey/policy --exclude-imports --as-file-descriptor-set -o "$out/policyfile/policy.binpb"
buf build --path proto/latchkey/config --exclude-imports --as-file-descriptor-set -o "$out/cmd/latchkey/testdata/config.binpb"
# Whole or not at all: the program is built from what may just have been broken.
go run ./cmd/latchkey policy schema >"$out/examples/.schema"
mv "$out/examples/.schema" "$out/examples/policy.schema.json"
if [ "$out" = . ]; then
  go test -run '^TestReference$' ./policyfile ./cmd/latchkey ./cmd/latchkey-sidecar -update
fi
