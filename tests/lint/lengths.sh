#!/bin/sh
# Functions of at most 60 lines and files of at most 500: beyond that there is a second concept inside.
# usage: lengths.sh [ROOT]   (tests may be longer)
cd "${1:-.}" || exit 1
find gateway drivers \( -name '*.c' -o -name '*.h' \) -print | sort | xargs awk '
    FNR == 1 { if (start) complain("function is not closed"); start = 0 }
    FNR == 501 { print FILENAME ": more than 500 lines"; bad = 1 }
    /^\{/ { start = FNR }
    /^\}/ && start {
        if (FNR - start - 1 > 60) { print FILENAME ":" start ": function of " FNR - start - 1 " lines (60 at most)"; bad = 1 }
        start = 0
    }
    function complain(what) { print FILENAME ": " what; bad = 1 }
    END { exit bad }'
