#!/bin/sh
# No unfinished work and no switched-off code in what is shipped.
# usage: words.sh [ROOT]
cd "${1:-.}" || exit 1
found=$(find Makefile gateway drivers tests config systemd docs -type f ! -path '*/__pycache__/*' ! -path tests/lint/words.sh \
    ! -path tests/lint/selftest.sh 2>/dev/null |
    xargs -r grep -nEw 'TODO|FIXME|XXX|HACK' /dev/null
    find gateway drivers -name '*.[ch]' -print | xargs -r grep -nE '^[[:space:]]*#[[:space:]]*if[[:space:]]+0' /dev/null
    find gateway drivers -name '*.[ch]' -print | xargs -r grep -nE '\<(alloca|strcpy|strcat|sprintf|vsprintf|gets|strtok|atoi|atof)\(' /dev/null)
[ -z "$found" ] || { echo "$found"; exit 1; }
