/* Any payload for any point: what is accepted is allowed and can be written exactly, what is JSON to us is JSON to
 * jansson, and the answer is JSON whatever the payload was. */
#include "tests/fuzz/fuzz.h"

#include <jansson.h>

#include "gateway/command.h"
#include "gateway/json_scan.h"
#include "gateway/mapping.h"

static const struct gw_enum_name modes[] = {{0, "off"}, {1, "auto"}};
static const struct gw_write_conf write_conf;

#define U16 .traits = {.kind = GW_UINT, .raw_max = 65535}

static struct gw_point_conf points[] = {
    {.name = "speed",
     U16,
     .write = &write_conf,
     .map = &(const struct gw_map){.scale = {1, -2},
                                   .decimals = -1,
                                   .has_min = true,
                                   .has_max = true,
                                   .max = 50,
                                   .step = 0.1}},
    {.name = "mode",
     U16,
     .write = &write_conf,
     .map = &(const struct gw_map){.scale = {1, 0}, .decimals = -1, .enums = modes, .n_enums = 2}},
    {.name = "on",
     .traits = {.kind = GW_BOOL, .raw_max = 1},
     .write = &write_conf,
     .map = &(const struct gw_map){.scale = {1, 0}, .decimals = -1}},
    {.name = "label",
     .traits = {.kind = GW_TEXT},
     .write = &write_conf,
     .map = &(const struct gw_map){.scale = {1, 0}, .decimals = -1}},
    {.name = "heat",
     .traits = {.kind = GW_FLOAT32},
     .write = &write_conf,
     .map = &(const struct gw_map){.scale = {1, 0}, .decimals = -1}},
    {.name = "level", U16, .map = &(const struct gw_map){.scale = {1, 0}, .decimals = -1}},
};
enum { N_POINTS = sizeof points / sizeof points[0] };
static const struct gw_device_conf device = {
    .name = "pump", .points = points, .n_points = N_POINTS};

static void compare(const char *text, size_t size)
{
    struct gw_scan_value value;
    json_error_t error;
    enum gw_scan_fault fault = gw_scan(text, size, &value);
    json_t *json = json_loadb(
        text, size, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES | JSON_DECODE_INT_AS_REAL, &error);

    if (fault == GW_SCAN_GOOD)
        assert(json || json_error_code(&error) == json_error_numeric_overflow);
    if (json && !memchr(text, '\0', size)) /* jansson takes a NUL behind a value for the end */
        assert(fault != GW_SCAN_SYNTAX && fault != GW_SCAN_DUPLICATE);
    json_decref(json);
}

static void check_answer(const struct gw_command *command, enum gw_command_code code,
                         const char *why)
{
    static char buf[1 << 16];
    const struct gw_command_result result = {
        .code = code, .why = why, .id = command->id, .device = &device, .values = &command->values};
    json_error_t error;
    size_t len;

    assert(gw_command_result_print(&result, buf, sizeof buf, &len) == GW_OK);
    json_t *json = json_loadb(buf, len, JSON_REJECT_DUPLICATES | JSON_DECODE_INT_AS_REAL, &error);
    assert(json);
    json_decref(json);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct gw_command command;
    char why[GW_COMMAND_WHY], again[GW_COMMAND_WHY];
    struct gw_value raw;

    if (size == 0)
        return 0;
    int point = data[0] % (N_POINTS + 1) - 1;
    uint8_t *text = fuzz_copy(data + 1, size - 1, 0);
    compare((char *)text, size - 1);
    enum gw_command_code code =
        gw_command_parse(&device, point, (char *)text, size - 1, &command, why);
    if (code == GW_COMMAND_OK) {
        assert(command.values.n > 0 && size - 1 <= GW_COMMAND_PAYLOAD_MAX);
        for (size_t i = 0; i < command.values.n; i++) {
            const struct gw_point_conf *conf = &points[command.values.items[i].point];
            struct gw_value value = gw_command_value(&command.values, i);

            assert(conf->write && gw_command_check(conf, &value, again) == GW_COMMAND_OK);
            assert(gw_map_unscale(conf->map, &conf->traits, &value, &raw) == GW_OK);
        }
    } else {
        assert(why[0]);
    }
    check_answer(&command, code, why);
    free(text);
    return 0;
}
