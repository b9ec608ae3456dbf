/* pattern: see the header. Bytes, not UTF-8: what comes from a line need not be UTF-8. */
#include "drivers/serial/pattern.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <stdlib.h>
#include <string.h>

#include "drivers/serial/notation.h"

/* What no sane pattern needs on a message of 4 KiB, and what takes some milliseconds at most. */
enum { MATCH_LIMIT = 100000, DEPTH_LIMIT = 1000, HEAP_LIMIT_KIB = 1024 };

struct serial_pattern {
    pcre2_code *code;
    pcre2_match_data *data;
    pcre2_match_context *context;
    bool fits;
};

void serial_pattern_free(struct serial_pattern *pattern)
{
    if (!pattern)
        return;
    pcre2_match_context_free(pattern->context);
    pcre2_match_data_free(pattern->data);
    pcre2_code_free(pattern->code);
    free(pattern);
}

struct serial_pattern *serial_pattern_new(const char *text, struct gw_driver_diag *diag)
{
    struct serial_pattern *pattern = calloc(1, sizeof *pattern);
    PCRE2_SIZE at;
    PCRE2_UCHAR why[120];
    int code;

    if (!pattern)
        return NULL;
    pattern->code = pcre2_compile((PCRE2_SPTR)text, PCRE2_ZERO_TERMINATED,
                                  PCRE2_DOTALL | PCRE2_DOLLAR_ENDONLY | PCRE2_NEVER_UTF |
                                      PCRE2_NEVER_BACKSLASH_C,
                                  &code, &at, NULL);
    if (!pattern->code) {
        pcre2_get_error_message(code, why, sizeof why);
        serial_complain(diag, "pattern \"%.60s\" is wrong at character %zu: %s", text, at + 1,
                        (const char *)why);
        serial_pattern_free(pattern);
        return NULL;
    }
    pattern->data = pcre2_match_data_create_from_pattern(pattern->code, NULL);
    pattern->context = pcre2_match_context_create(NULL);
    if (!pattern->data || !pattern->context) {
        serial_complain(diag, "out of memory");
        serial_pattern_free(pattern);
        return NULL;
    }
    pcre2_set_match_limit(pattern->context, MATCH_LIMIT);
    pcre2_set_depth_limit(pattern->context, DEPTH_LIMIT);
    pcre2_set_heap_limit(pattern->context, HEAP_LIMIT_KIB);
    return pattern;
}

bool serial_pattern_match(struct serial_pattern *pattern, const uint8_t *bytes, size_t len)
{
    static const uint8_t nothing[1];

    pattern->fits = pcre2_match(pattern->code, bytes ? bytes : nothing, len, 0, 0, pattern->data,
                                pattern->context) > 0;
    return pattern->fits;
}

bool serial_pattern_has_group(const struct serial_pattern *pattern, const char *name)
{
    PCRE2_SPTR first, last;

    return pcre2_substring_nametable_scan(pattern->code, (PCRE2_SPTR)name, &first, &last) > 0;
}

bool serial_pattern_group(const struct serial_pattern *pattern, const char *name, size_t *ret_at,
                          size_t *ret_len)
{
    PCRE2_SPTR first, last;
    int size = pcre2_substring_nametable_scan(pattern->code, (PCRE2_SPTR)name, &first, &last);
    const PCRE2_SIZE *spans = pcre2_get_ovector_pointer(pattern->data);
    uint32_t n = pcre2_get_ovector_count(pattern->data);

    if (!pattern->fits || size <= 0)
        return false;
    for (; first <= last; first += size) { /* with (?J) several groups may have one name */
        uint32_t group = (uint32_t)(first[0] << 8 | first[1]);

        if (group >= n || spans[2 * group] == PCRE2_UNSET ||
            spans[2 * group + 1] < spans[2 * group])
            continue;
        *ret_at = spans[2 * group];
        *ret_len = spans[2 * group + 1] - *ret_at;
        return true;
    }
    return false;
}

void serial_pattern_groups(const struct serial_pattern *pattern,
                           void (*visit)(void *ctx, const char *name), void *ctx)
{
    PCRE2_SPTR table = NULL;
    uint32_t n = 0, size = 0;

    pcre2_pattern_info(pattern->code, PCRE2_INFO_NAMECOUNT, &n);
    if (n == 0)
        return;
    pcre2_pattern_info(pattern->code, PCRE2_INFO_NAMEENTRYSIZE, &size);
    pcre2_pattern_info(pattern->code, PCRE2_INFO_NAMETABLE, &table);
    for (uint32_t i = 0; table && i < n; i++)
        visit(ctx, (const char *)table + i * size + 2);
}

void serial_pattern_span(const struct serial_pattern *pattern, size_t *ret_at, size_t *ret_len)
{
    const PCRE2_SIZE *spans = pcre2_get_ovector_pointer(pattern->data);

    *ret_at = pattern->fits ? spans[0] : 0;
    *ret_len = pattern->fits && spans[1] >= spans[0] ? spans[1] - spans[0] : 0;
}
