#!/usr/bin/env bash
# Compares the Go benchmarks of another revision with those of this tree as it stands, in one run: the test binaries of both are
# built first and then run in turns, so that what the machine does meanwhile meets both. Run by `make bench-compare REV=…`.
#   BENCH      regular expression of the benchmarks (default: all)
#   PKG        packages (default: all that have benchmarks in both)
#   ROUNDS     how often each is run (default 6, the fewest that benchstat gives a confidence interval for)
#   BENCHTIME  how long each benchmark runs (default 300ms)
set -euo pipefail
cd "$(dirname "$0")/.."

rev=${1:-}
if [ -z "$rev" ] || ! git rev-parse --quiet --verify "$rev^{commit}" >/dev/null; then
  echo "bench-compare: REV='$rev' is no revision: say which to compare with, as in make bench-compare REV=HEAD~1" >&2
  exit 2
fi
bench=${BENCH:-.}
rounds=${ROUNDS:-6}
time=${BENCHTIME:-300ms}

dir=$(mktemp -d)
trap 'git worktree remove --force "$dir/old" 2>/dev/null || true; rm -rf "$dir"' EXIT
git worktree add --quiet --detach "$dir/old" "$rev"
new=$PWD

# Folders of the packages of a tree that have benchmarks.
with_benchmarks() {
  (cd "$1" && go list -f '{{.Dir}}{{range .TestGoFiles}} {{.}}{{end}}{{range .XTestGoFiles}} {{.}}{{end}}' ${PKG:-./...} 2>/dev/null) |
    while read -r folder files; do
      for file in $files; do
        if grep -q '^func Benchmark' "$folder/$file"; then
          realpath --relative-to="$1" "$folder"
          break
        fi
      done
    done | sort
}
packages=$(comm -12 <(with_benchmarks "$dir/old") <(with_benchmarks "$new"))
if [ -z "$packages" ]; then
  echo "bench-compare: no package has benchmarks in both $rev and this tree" >&2
  exit 1
fi

build() { # tree, where to
  mkdir -p "$2"
  for package in $packages; do
    (cd "$1" && go test -c -o "$2/${package//\//-}.test" "./$package")
  done
}
echo "bench-compare: building $(git rev-parse --short "$rev") and this tree" >&2
build "$dir/old" "$dir/old.tests"
build "$new" "$dir/new.tests"

one() { # tree, tests, results
  for package in $packages; do
    (cd "$1/$package" && "$2/${package//\//-}.test" -test.run='^$' -test.bench="$bench" -test.benchmem -test.benchtime="$time") >>"$3"
  done
}
for round in $(seq "$rounds"); do
  echo "bench-compare: round $round of $rounds" >&2
  # Each goes first as often as the other.
  if [ $((round % 2)) = 1 ]; then
    one "$dir/old" "$dir/old.tests" "$dir/before"
    one "$new" "$dir/new.tests" "$dir/after"
  else
    one "$new" "$dir/new.tests" "$dir/after"
    one "$dir/old" "$dir/old.tests" "$dir/before"
  fi
done
(cd "$dir" && benchstat before after)
