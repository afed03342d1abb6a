#!/usr/bin/env bash
# Fails when the .proto files break those who use the main branch's. On a branch, the base is main as it is upstream
# (origin/main, else main). On main itself that would be a comparison with nothing, so there the base is the commit before.
set -euo pipefail
cd "$(dirname "$0")/.."

if ! head=$(git rev-parse --verify --quiet HEAD); then
  echo "breaking: no git history here, nothing to compare with"
  exit 0
fi
base=$(git rev-parse --verify --quiet origin/main || git rev-parse --verify --quiet main || echo "$head")
if [ "$base" = "$head" ]; then
  base=$(git rev-parse --verify --quiet HEAD~1 || echo "$head")
fi
if [ -z "$(git ls-tree -r --name-only "$base" -- proto | grep '\.proto$')" ]; then
  echo "breaking: commit ${base:0:12} has no .proto yet, nothing to break"
  exit 0
fi

# The base as a plain folder: works in shallow clones and linked worktrees, where buf's own `.git#…` input does not always.
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
git archive "$base" -- buf.yaml proto | tar -x -C "$tmp"
echo "breaking: against commit ${base:0:12}"
buf breaking --against "$tmp"
