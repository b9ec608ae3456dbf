/* json_scan: a strict reader of small JSON texts from outside. Takes no memory: values are slices of the text, so that
 * numbers keep every digit. What is not exactly JSON is refused, and so are duplicate keys and deep nesting. Pure.
 * Source: RFC 8259; NUL characters (\u0000) are refused besides. */
#ifndef GW_JSON_SCAN_H
#define GW_JSON_SCAN_H

#include <stdbool.h>
#include <stddef.h>

enum { GW_SCAN_DEPTH_MAX = 8, GW_SCAN_MEMBERS_MAX = 64, GW_SCAN_KEY_MAX = 128 };

enum gw_scan_type {
    GW_SCAN_NOTHING,
    GW_SCAN_OBJECT,
    GW_SCAN_ARRAY,
    GW_SCAN_TEXT,
    GW_SCAN_NUMBER,
    GW_SCAN_TRUE,
    GW_SCAN_FALSE,
    GW_SCAN_NULL,
};

enum gw_scan_fault {
    GW_SCAN_GOOD,
    GW_SCAN_SYNTAX,
    GW_SCAN_DEEP,      /* more than GW_SCAN_DEPTH_MAX levels */
    GW_SCAN_DUPLICATE, /* a key stands twice in one object */
    GW_SCAN_MANY, /* more than GW_SCAN_MEMBERS_MAX members, or a key longer than GW_SCAN_KEY_MAX bytes */
};

/* A value as it stands in the text, without the white space around it. */
struct gw_scan_value {
    enum gw_scan_type type;
    const char *at;
    size_t len;
};

/* Checks the whole text, which has to be one value. */
enum gw_scan_fault gw_scan(const char *text, size_t len, struct gw_scan_value *ret_value);

/* Goes through the members of an object that gw_scan has found good; *at begins as 0. False at the end. */
bool gw_scan_next(const struct gw_scan_value *object, size_t *at, struct gw_scan_value *ret_key,
                  struct gw_scan_value *ret_value);

/* Writes the characters of a text value that gw_scan has found good. False when they need more than size bytes. */
bool gw_scan_text(const struct gw_scan_value *value, char *buf, size_t size, size_t *ret_len);
bool gw_scan_is(const struct gw_scan_value *value, const char *text);

/* Is it text in UTF-8 without control characters other than tab and line breaks? */
bool gw_scan_is_plain_text(const char *text, size_t len);

#endif
