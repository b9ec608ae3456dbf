#!/bin/sh
# Shows that the other checks can fail: each is given a small tree with the mistake that it looks for.
# usage: selftest.sh [ROOT]
root=$(cd "${1:-.}" && pwd) || exit 1
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
bad=0

fresh() {
    rm -rf "$tree" && mkdir -p "$tree/gateway" "$tree/drivers" "$tree/tests/unit"
    cp "$root/.clang-tidy" "$root/.clang-format" "$tree"
    printf 'int gw_fine(int a);\nint gw_fine(int a)\n{\n    return a + 1;\n}\n' >"$tree/gateway/fine.c"
}
check() { # NAME: passes the good tree, $mistake makes it fail
    fresh
    sh "$root/tests/lint/$1.sh" "$tree" >/dev/null 2>&1 || { echo "$1.sh fails on a good tree"; bad=1; }
    printf '%s\n' "$2" >"$tree/gateway/wrong.c"
    ! sh "$root/tests/lint/$1.sh" "$tree" >/dev/null 2>&1 || { echo "$1.sh does not see: $3"; bad=1; }
}

check_includes() { # FILE TEXT WHAT: a tree with this file more is refused
    rm -rf "$tree" && mkdir -p "$tree/gateway" "$tree/drivers/a" "$tree/drivers/b" "$tree/drivers/common"
    printf '#include "gateway/err.h"\n#include <yaml.h>\n' >"$tree/gateway/topic.c"
    printf '#include "gateway/driver.h"\n#include "drivers/a/a.h"\n#include "drivers/common/c.h"\n#include "a.h"\n#include <modbus.h>\n' >"$tree/drivers/a/a.c"
    printf '#include <field2mqtt/driver.h>\n' >"$tree/drivers/a/a.h"
    sh "$root/tests/lint/includes.sh" "$tree" >/dev/null 2>&1 || { echo "includes.sh fails on a good tree"; bad=1; }
    printf '%s\n' "$2" >"$tree/$1"
    ! sh "$root/tests/lint/includes.sh" "$tree" >/dev/null 2>&1 || { echo "includes.sh does not see: $3"; bad=1; }
}

long_function=$(echo 'void gw_long(void)'; echo '{'; yes '    ;' | head -61; echo '}')
long_file=$(yes '/* a line */' | head -501)
check lengths "$long_function" "a function of 61 lines"
check lengths "$long_file" "a file of 501 lines"
check words '/* TODO: finish */' "unfinished work"
check words "$(printf '#if 0\nint x;\n#endif')" "switched-off code"
check words 'void f(char *a) { strcpy(a, a); }' "strcpy"
check clang-tidy 'int gw_f(int *p); int gw_f(int *p) { int x; if (p) return 1; return x + *p; }' "a null pointer that is followed"
check cppcheck 'int gw_f(void); int gw_f(void) { int a[4]; a[0] = 1; return a[7]; }' "an index out of range"
check_includes gateway/payload.c '#include "gateway/bus.h"' "an include upwards"
check_includes gateway/payload.c '#include "gateway/clock.h"' "a clock in pure logic"
check_includes gateway/payload.c '#include <pthread.h>' "threads in pure logic"
check_includes gateway/payload.c '#include "payload.h"' "a path that is not from the root"
check_includes gateway/unheard_of.c '#include <stdio.h>' "a file of no layer"
check_includes gateway/bus.c '#include "drivers/a/a.h"' "the core that includes a driver"
check_includes gateway/bus.c '#include <field2mqtt/driver.h>' "the core that includes the installed header"
check_includes drivers/b/b.c '#include "gateway/config.h"' "a driver that knows the core"
check_includes drivers/b/b.c '#include "drivers/a/a.h"' "a driver that knows another"
check_includes drivers/common/c.c '#include "drivers/a/a.h"' "what drivers share, and knows one of them"
check_includes gateway/bus.c '#include "drivers/common/c.h"' "the core that includes what drivers share"
check_includes drivers/b/b.c '#include "elsewhere.h"' "a driver that includes what is not its own"
check_includes drivers/b/b.c '#include <modbus/modbus.h>' "a library of two places"
check_includes gateway/bus.c '#include <yaml.h>' "a library of two files"

check_links() { # LINK WHAT
    rm -rf "$tree" && mkdir -p "$tree/docs"
    printf '# A page\n\n## What is kept: all\n' >"$tree/docs/page.md"
    # shellcheck disable=SC2016
    printf '[a](docs/page.md) [b](docs/page.md#what-is-kept-all)\n```\n[c](no)\n```\n' >"$tree/README.md"
    sh "$root/tests/lint/links.sh" "$tree" >/dev/null 2>&1 || { echo "links.sh fails on a good tree"; bad=1; }
    printf '[d](%s)\n' "$1" >>"$tree/README.md"
    ! sh "$root/tests/lint/links.sh" "$tree" >/dev/null 2>&1 || { echo "links.sh does not see: $2"; bad=1; }
}
check_links docs/gone.md "a link to no file"
check_links docs/page.md#what-is-lost "a link to no heading"
exit $bad
