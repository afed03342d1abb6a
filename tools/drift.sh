#!/usr/bin/env bash
# Fails when the generated Go beside the .proto files is not what `make generate` writes now: changed by hand,
# made by other plugin versions, or left behind by a .proto that is gone.
set -euo pipefail
cd "$(dirname "$0")/.."

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
buf generate -o "$tmp/fresh"

mkdir "$tmp/ours"
find proto -name '*.go' -print0 | tar -c --null -T - | tar -x -C "$tmp/ours"
if ! diff -ru "$tmp/ours/proto" "$tmp/fresh/proto"; then
  echo "drift: the generated code differs from its .proto: run \`make generate\` and commit what it writes" >&2
  exit 1
fi
