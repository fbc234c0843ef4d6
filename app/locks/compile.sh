#!/bin/sh
# Write every lock file anew: app/locks/compile.sh [path of uv].
# One lock per Python minor for the nodes, one for the control node's own Ansible, one for the tests.
set -eu
uv=${1:-uv}
cd "$(dirname "$0")"
export UV_CUSTOM_COMPILE_COMMAND="app/locks/compile.sh"
for minor in 3.10 3.11 3.12 3.13; do
    "$uv" pip compile -q --build-constraints build.in --python-version "$minor" --python-platform x86_64-manylinux_2_28 --generate-hashes \
        --no-annotate --no-emit-package pyspark --no-emit-package chainer --all-extras \
        ../pyproject.toml tools.in -o "py$(echo "$minor" | tr -d .).txt"
done
"$uv" pip compile -q --build-constraints build.in --python-version 3.10 --generate-hashes --no-annotate --no-deps sdists.in -o sdists.txt
"$uv" pip compile -q --build-constraints build.in --universal --python-version 3.10 --generate-hashes --no-annotate bootstrap.in -o bootstrap.txt
cd ../../requirements
for name in control test; do
    "$uv" pip compile -q --build-constraints ../app/locks/build.in --universal --python-version 3.11 --generate-hashes --no-annotate "$name.in" -o "$name.txt"
done
