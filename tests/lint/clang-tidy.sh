#!/bin/sh
# clang-tidy by .clang-tidy over the shipped sources; every finding is an error.
# usage: clang-tidy.sh [ROOT]
cd "${1:-.}" || exit 1
command -v clang-tidy >/dev/null || { echo "clang-tidy is missing: .ci/install-packages .ci/packages.check"; exit 1; }
# Drivers may include the installed header: `make lint` has made it in the build folder.
export FIELD2MQTT_BUILD="${FIELD2MQTT_BUILD:-build/debug}"
# Checked in a loop of single files, as many at a time as there are processors.
# shellcheck disable=SC2016
find gateway drivers -name '*.c' -print | sort | xargs -P "$(nproc)" -I{} sh -c '
    out=$(clang-tidy --quiet "$1" -- -I. -I"$FIELD2MQTT_BUILD/include" -D_GNU_SOURCE -std=c11 2>/dev/null) || { echo "$out"; exit 1; }' sh {}
