#!/usr/bin/env bash
# Fails when what is generated and checked in, but for the references in docs/, which tests compare, is not what `make generate`
# writes now: changed by hand, made by other plugin versions, or left behind by a .proto that is gone.
set -euo pipefail
cd "$(dirname "$0")/.."

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
tools/generate.sh "$tmp/fresh"

mkdir "$tmp/ours"
{
  find proto -name '*.go' -print0
  printf '%s\0' policyfile/policy.binpb cmd/latchkey/testdata/config.binpb examples/policy.schema.json
} | tar -c --null -T - | tar -x -C "$tmp/ours"
if ! diff -ru "$tmp/ours" "$tmp/fresh"; then
  echo "drift: generated files differ from their sources: run \`make generate\` and commit what it writes" >&2
  exit 1
fi
