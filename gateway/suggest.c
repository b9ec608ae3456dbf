/* suggest: which word was probably meant. Part of diag.h. */
#include "gateway/diag.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

enum { WORD_MAX = 64 };

/* What other gateways call it. The first whose own word is a candidate holds, so one word may stand for several. */
static const struct {
    const char *theirs, *ours;
} synonyms[] = {
    {"baudrate", "baud"},
    {"baud_rate", "baud"},
    {"speed", "baud"},
    {"bytesize", "data_bits"},
    {"tty", "port"},
    {"serial_port", "port"},
    {"ip", "host"},
    {"ip_address", "host"},
    {"hostname", "host"},
    {"protocol", "driver"},
    {"slaves", "devices"},
    {"slave", "unit"},
    {"slave_id", "unit"},
    {"slaveid", "unit"},
    {"slave_address", "unit"},
    {"unit_id", "unit"},
    {"unitid", "unit"},
    {"station", "unit"},
    {"address", "register"},
    {"address", "unit"},
    {"addr", "register"},
    {"addr", "unit"},
    {"registers", "points"},
    {"tags", "points"},
    {"channels", "points"},
    {"metrics", "points"},
    {"sensors", "points"},
    {"unit_of_measurement", "unit"},
    {"datatype", "type"},
    {"data_type", "type"},
    {"byte_order", "order"},
    {"byteorder", "order"},
    {"word_order", "order"},
    {"endianness", "order"},
    {"factor", "scale"},
    {"multiplier", "scale"},
    {"gain", "scale"},
    {"precision", "decimals"},
    {"value_map", "enum"},
    {"writable", "access"},
    {"read_only", "access"},
    {"poll", "interval"},
    {"poll_interval", "interval"},
    {"scan_interval", "interval"},
    {"polling_interval", "interval"},
    {"period", "interval"},
    {"response_timeout", "timeout"},
    {"heartbeat", "max_silence"},
    {"hysteresis", "deadband"},
    {"broker", "servers"},
    {"host", "servers"},
    {"url", "servers"},
    {"user", "username"},
    {"login", "username"},
    {"passwd", "password"},
    {"n", "none"},
    {"e", "even"},
    {"o", "odd"},
    {"on_change", "change"},
    {"always", "every"},
    {"modbus", "modbus-rtu"},
    {"modbus_rtu", "modbus-rtu"},
    {"modbus_tcp", "modbus-tcp"},
    {"rtu", "modbus-rtu"},
    {"tcp", "modbus-tcp"},
};

static size_t min3(size_t a, size_t b, size_t c)
{
    size_t least = a < b ? a : b;

    return least < c ? least : c;
}

/* Damerau-Levenshtein distance (optimal string alignment), letters compared without case. */
static size_t distance(const char *a, size_t n_a, const char *b, size_t n_b)
{
    size_t rows[3][WORD_MAX + 1];
    size_t *before = rows[0], *last = rows[1], *row = rows[2];

    for (size_t j = 0; j <= n_b; j++)
        last[j] = j;
    for (size_t i = 1; i <= n_a; i++) {
        row[0] = i;
        for (size_t j = 1; j <= n_b; j++) {
            int x = tolower((unsigned char)a[i - 1]), y = tolower((unsigned char)b[j - 1]);

            row[j] = min3(last[j] + 1, row[j - 1] + 1, last[j - 1] + (x != y));
            if (i > 1 && j > 1 && x == tolower((unsigned char)b[j - 2]) &&
                y == tolower((unsigned char)a[i - 2]) && before[j - 2] + 1 < row[j])
                row[j] = before[j - 2] + 1;
        }
        size_t *spare = before;
        before = last;
        last = row;
        row = spare;
    }
    return last[n_b];
}

const char *gw_synonym(const char *word, const char *const *candidates, size_t n_candidates)
{
    for (size_t s = 0; s < sizeof synonyms / sizeof synonyms[0]; s++)
        for (size_t i = 0; strcasecmp(word, synonyms[s].theirs) == 0 && i < n_candidates; i++)
            if (strcmp(candidates[i], synonyms[s].ours) == 0)
                return candidates[i];
    return NULL;
}

const char *gw_suggest(const char *word, const char *const *candidates, size_t n_candidates)
{
    size_t len = strlen(word), limit = len / 3 ? len / 3 : 1, best = limit + 1;
    const char *near = NULL;

    if (len == 0 || len > WORD_MAX)
        return NULL;
    if ((near = gw_synonym(word, candidates, n_candidates)))
        return near;
    for (size_t i = 0; i < n_candidates; i++) {
        size_t n = strlen(candidates[i]);

        if (n > WORD_MAX || n > len + limit || len > n + limit)
            continue;
        size_t d = distance(word, len, candidates[i], n);
        /* Of two equally near ones the one of the same length: letters were swapped or mistyped. */
        if (d < best || (near && d == best && n == len && strlen(near) != len)) {
            best = d;
            near = candidates[i];
        }
    }
    /* Of a word of one letter nothing is left when one may differ. */
    return near && best < len ? near : NULL;
}
