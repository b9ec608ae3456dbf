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

long_function=$(echo 'void gw_long(void)'; echo '{'; yes '    ;' | head -61; echo '}')
long_file=$(yes '/* a line */' | head -501)
check lengths "$long_function" "a function of 61 lines"
check lengths "$long_file" "a file of 501 lines"
check words '/* TODO: finish */' "unfinished work"
check words "$(printf '#if 0\nint x;\n#endif')" "switched-off code"
check words 'void f(char *a) { strcpy(a, a); }' "strcpy"
check clang-tidy 'int gw_f(int *p); int gw_f(int *p) { int x; if (p) return 1; return x + *p; }' "a null pointer that is followed"
check cppcheck 'int gw_f(void); int gw_f(void) { int a[4]; a[0] = 1; return a[7]; }' "an index out of range"
exit $bad
