#!/bin/sh
# Who includes whom: downward only in gateway/ (layers.txt), a driver sees the contract, itself and drivers/common, gateway/ sees no driver,
# and each outside library is included in one place, so that it can be replaced.
# usage: includes.sh [ROOT]
layers=$(cd "$(dirname "$0")" && pwd)/layers.txt
cd "${1:-.}" || exit 1
# shellcheck disable=SC2016
find gateway drivers -name '*.[ch]' -print | sort | xargs awk '
    function complain(what) { print FILENAME ":" FNR ": " what; bad = 1 }
    function layer_of(path,    name, i) {
        name = path
        sub(/.*\//, "", name)
        for (i = 1; i <= n; i++)
            if (name ~ pattern[i]) return layer[i]
        return ""
    }
    function folder_of(path) { sub(/\/[^\/]*$/, "", path); return path }
    FILENAME == layers {
        if ($0 ~ /^[a-z]/) {
            n++; layer[n] = $2; pattern[n] = $1
            gsub(/\./, "\\.", pattern[n]); gsub(/\*/, ".*", pattern[n]); pattern[n] = "^" pattern[n] "$"
        }
        next
    }
    FNR == 1 {
        in_core = FILENAME ~ /^gateway\//
        own = in_core ? layer_of(FILENAME) : ""
        if (in_core && own == "") complain("is in no layer: tests/lint/layers.txt")
    }
    !/^[ \t]*#[ \t]*include/ { next }
    { target = $0; sub(/^[^"<]*["<]/, "", target); sub(/[">].*/, "", target); is_ours = $0 ~ /include[ \t]*"/ }
    in_core && (target ~ /^drivers\// || target ~ /^field2mqtt\//) { complain("gateway/ includes " target); next }
    in_core && is_ours {
        if (target !~ /^gateway\//) complain("\"" target "\" is not written from the root")
        else if (own != "" && layer_of(target) != "" && layer_of(target) + 0 > own + 0)
            complain("layer " own " includes " target " of layer " layer_of(target))
        else if (own == 2 && target ~ /^gateway\/(log|clock)\.h$/) complain("layer 2 is pure, and includes " target)
        next
    }
    in_core && own != "" && own <= 2 && target ~ /^(pthread|poll|threads|signal|sys\/(socket|epoll|eventfd|select|un)|netdb|netinet\/.*)\.h$/ \
        && FILENAME !~ /^gateway\/(log|clock)\./ { complain("layer " own " is without threads and sockets, and includes <" target ">") }
    !in_core && is_ours {
        if (target ~ /^gateway\/(err|value|driver)\.h$/ || target ~ /^drivers\/common\//) next
        if (target ~ /\//) { if (folder_of(target) != folder_of(FILENAME)) complain("a driver includes " target) }
        else if ((getline line < (folder_of(FILENAME) "/" target)) < 0) complain("a driver includes " target)
        next
    }
    target ~ /^(yaml|jansson|sqlite3|libserialport|microhttpd|pcre2|modbus|dlfcn)\.h$/ || target ~ /^(MQTT|modbus\/|systemd\/|protobuf-c\/)/ {
        library = target
        if (target ~ /^MQTT/) library = "MQTT"
        sub(/^modbus\//, "", library); sub(/\/.*/, "", library)
        place = in_core ? FILENAME : folder_of(FILENAME)
        sub(/^gateway\/yaml_.*/, "gateway/yaml_*.c", place) # one reader in two files: the tree, and its errors in words
        sub(/^gateway\/mqtt_paho.*/, "gateway/mqtt_paho.*", place) # one client in a few files with one header
        sub(/^gateway\/store_sqlite.*/, "gateway/store_sqlite.*", place)
        if ((library in home) && home[library] != place) complain("<" target "> is included by " home[library] " already")
        home[library] = place
    }
    END { exit bad }' layers="$layers" "$layers"
