#!/bin/sh
# cppcheck over the shipped sources; every finding is an error.
# usage: cppcheck.sh [ROOT]
cd "${1:-.}" || exit 1
command -v cppcheck >/dev/null || { echo "cppcheck is missing: .ci/install-packages .ci/packages.check"; exit 1; }
cppcheck --quiet --error-exitcode=1 --std=c11 -j "$(nproc)" -I. -D_GNU_SOURCE -D__linux__ --inline-suppr \
    --enable=warning,performance,portability --suppress=missingIncludeSystem --suppress=nullPointerRedundantCheck:gateway/yaml_tree.h gateway drivers
