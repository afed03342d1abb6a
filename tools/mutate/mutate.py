#!/usr/bin/env python3
"""Applies each mutation of mutations.txt to a copy of the tree and runs the tests of the deciding packages.

usage: tools/mutate/mutate.py [WORDS...]     only the mutations whose name holds one of the words
Prints a line for each and exits with 1 if one survives or no longer applies.
"""
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
UNIT = ["./key", "./directory", "./policy", "./authz"]
ORACLE = ["./e2e", "-run", "TestCheckAgreesWithTheOracle"]


def mutations():
    text = (ROOT / "tools/mutate/mutations.txt").read_text()
    for block in re.split(r"^== ", text, flags=re.M)[1:]:
        match = re.fullmatch(r"(.*?)\n(.*?)\n<<<\n(.*?)\n===\n(.*?)>>>\n*", block, flags=re.S)
        if not match:
            sys.exit("mutations.txt: can't read the block:\n" + block)
        yield match.groups()


def red(tree, args):
    run = subprocess.run(["go", "test", "-count=1", *args], cwd=tree, capture_output=True, text=True, check=False)
    names = re.findall(r"^--- FAIL: (\S+)", run.stdout, flags=re.M)
    if "[build failed]" in run.stdout or "[setup failed]" in run.stdout:
        return ["(doesn't compile)"] if "compil" not in run.stdout else names or ["build"]
    return names or (["?"] if run.returncode else [])


def main():
    wanted = sys.argv[1:]
    survivors = total = 0
    with tempfile.TemporaryDirectory() as scratch:
        tree = pathlib.Path(scratch) / "tree"
        shutil.copytree(ROOT, tree, ignore=shutil.ignore_patterns(".git", ".tools", "latchkey-data"), symlinks=True)
        for name, file, old, new in mutations():
            if wanted and not any(w in name for w in wanted):
                continue
            total += 1
            path = tree / file
            source = path.read_text()
            if source.count(old) != 1:
                print(f"STALE     {name}: its text stands {source.count(old)} times in {file}")
                survivors += 1
                continue
            path.write_text(source.replace(old, new.rstrip("\n")))
            built = subprocess.run(["go", "vet", "./" + os.path.dirname(file)], cwd=tree, capture_output=True, text=True, check=False)
            failing = [] if built.returncode else red(tree, UNIT)
            by = "unit tests"
            if not failing and built.returncode == 0:
                failing, by = red(tree, ORACLE), "the oracle alone"
            path.write_text(source)
            if built.returncode:
                print(f"BROKEN    {name}: doesn't build\n{built.stderr}")
                survivors += 1
            elif failing:
                print(f"red       {name}: {by}: {', '.join(failing[:3])}{' …' if len(failing) > 3 else ''}")
            else:
                print(f"SURVIVED  {name}")
                survivors += 1
            sys.stdout.flush()
    print(f"{total} mutations, {survivors} not caught")
    sys.exit(1 if survivors else 0)


if __name__ == "__main__":
    main()
