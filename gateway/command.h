/* command: from a payload to checked values of points, and from an outcome to the result that is published. Pure: no
 * clock, no I/O. Payloads are hostile. Nothing is rounded or guessed: what cannot be written exactly is refused. */
#ifndef GW_COMMAND_H
#define GW_COMMAND_H

#include "gateway/config.h"

enum {
    GW_COMMAND_PAYLOAD_MAX = 4096, /* bytes */
    GW_COMMAND_POINTS_MAX = 32,
    GW_COMMAND_TEXTS_MAX = 1024, /* bytes of all its text values */
    GW_COMMAND_ID_MAX = 64,      /* bytes */
    GW_COMMAND_WHY = 240,
    GW_COMMAND_ONE_DEVICE = -1,
};

/* Stable codes, as they stand in results and in the manual (docs/commands.md). */
enum gw_command_code {
    GW_COMMAND_OK,
    /* Refused before anything was sent to the device. */
    GW_COMMAND_TOO_LARGE,
    GW_COMMAND_BAD_PAYLOAD,
    GW_COMMAND_TOO_DEEP,
    GW_COMMAND_DUPLICATE_KEY,
    GW_COMMAND_UNKNOWN_KEY,
    GW_COMMAND_BAD_ID,
    GW_COMMAND_BAD_EXPIRY,
    GW_COMMAND_UNKNOWN_POINT,
    GW_COMMAND_READ_ONLY,
    GW_COMMAND_WRONG_TYPE,
    GW_COMMAND_UNKNOWN_NAME,
    GW_COMMAND_OUT_OF_RANGE,
    GW_COMMAND_OFF_STEP,
    GW_COMMAND_NOT_ALLOWED,
    GW_COMMAND_NOT_EXACT,
    GW_COMMAND_CHANGE_TOO_LARGE,
    GW_COMMAND_PRESENT_UNKNOWN,
    GW_COMMAND_RETAINED,
    GW_COMMAND_EXPIRED,
    GW_COMMAND_ID_REUSED,
    GW_COMMAND_RATE_LIMITED,
    GW_COMMAND_BUSY,
    GW_COMMAND_LOCKED,
    GW_COMMAND_NOT_ARMED,
    GW_COMMAND_BAD_RESPONSE_TOPIC,
    GW_COMMAND_SUPERSEDED,
    GW_COMMAND_OFFLINE,
    GW_COMMAND_LINK_DOWN,
    GW_COMMAND_STOPPING,
    /* The device was asked. */
    GW_COMMAND_REFUSED,
    GW_COMMAND_DEVICE_BUSY,
    GW_COMMAND_TIMEOUT,
    GW_COMMAND_MISMATCH,
    GW_COMMAND_UNVERIFIED,
    GW_COMMAND_UNKNOWN,
    GW_COMMAND_FAILED,
    GW_COMMAND_CODES, /* their number */
};

const char *gw_command_code_str(enum gw_command_code code);

/* ---- values ---------------------------------------------------------------------------------------- */

/* Engineering values of points of one device, with their texts: may be copied and kept. A name is a text. */
struct gw_command_values {
    uint16_t n, n_text_bytes;
    struct {
        uint16_t point; /* index in the device */
        uint16_t text_at;
        struct gw_value value; /* of a text only the length: see gw_command_value */
    } items[GW_COMMAND_POINTS_MAX];
    char texts[GW_COMMAND_TEXTS_MAX];
};

/* False when there is no room. */
bool gw_command_add(struct gw_command_values *values, uint16_t point, const struct gw_value *value);
/* Gives a value with its text, which points into *values. */
struct gw_value gw_command_value(const struct gw_command_values *values, size_t i);

/* ---- in -------------------------------------------------------------------------------------------- */

struct gw_command {
    char id[GW_COMMAND_ID_MAX + 1]; /* empty without one */
    int64_t expires_wall_ms;        /* 0: never */
    struct gw_command_values values;
};

/* Reads the payload of a command for one point of a device (its index) or, with GW_COMMAND_ONE_DEVICE, for several:
 *   40   true   running   "running"   {"value":40,"id":"a1","expires":1764000000000}
 *   {"speed":40,"mode":"auto"}        {"values":{"speed":40},"id":"a1","expires":"2026-01-01T00:00:00Z"}
 * and checks every value. Returns GW_COMMAND_OK, or why it is refused, with a sentence. The id is filled in whenever it
 * could be read; texts of values are those of the payload, which are not needed afterwards. */
enum gw_command_code gw_command_parse(const struct gw_device_conf *device, int point,
                                      const char *payload, size_t len,
                                      struct gw_command *ret_command, char why[GW_COMMAND_WHY]);

/* Checks one engineering value against what the point allows and can hold. */
enum gw_command_code gw_command_check(const struct gw_point_conf *point,
                                      const struct gw_value *value, char why[GW_COMMAND_WHY]);

/* ---- out ------------------------------------------------------------------------------------------- */

struct gw_command_result {
    enum gw_command_code code;
    const char *why;    /* a sentence; NULL: none */
    const char *reason; /* the device's own code, such as illegal_data_address; NULL without */
    const char *id;     /* NULL or empty without one */
    const struct gw_device_conf *device;
    const char *point; /* its name, of a command to one point; else NULL */
    bool is_one_point; /* value and read_back are of one point, else objects by name */
    const struct gw_command_values *values;    /* asked for; NULL: not understood */
    const struct gw_command_values *read_back; /* NULL: not read back */
    size_t n_written;                          /* of values, from the first on */
    int64_t received_wall_ms, written_wall_ms, verified_wall_ms; /* 0: did not happen */
    bool is_repeated; /* the answer to an earlier command of this id */
};

/* Writes the result as JSON. GW_E_RANGE: it does not fit. */
GW_MUST_CHECK enum gw_err gw_command_result_print(const struct gw_command_result *result, char *buf,
                                                  size_t size, size_t *ret_len);
/* Writes a text as a JSON string with its quotes; bytes that are no UTF-8 become "?". Gives the length; what does not
 * fit is left out, but never the closing quote (size >= 3). */
size_t gw_command_quote(const char *text, size_t len, char *buf, size_t size);

#endif
