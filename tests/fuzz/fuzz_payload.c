/* Any map, any raw value, any text: a reading is good and finite or bad without a number, its JSON is JSON, and what can
 * be inverted comes back. */
#include "tests/fuzz/fuzz.h"

#include <jansson.h>
#include <math.h>

#include "gateway/mapping.h"
#include "gateway/number.h"
#include "gateway/payload.h"

struct head {
    int64_t scale, offset;
    uint64_t bits;
    int8_t scale_exp, offset_exp, decimals, exp10;
    uint8_t kind, flags;
};

static void check_json(const struct gw_publish *publish, const struct gw_map *map,
                       const struct gw_reading *reading)
{
    static char buf[1 << 16];
    size_t len;
    json_error_t error;
    json_t *root;

    if (gw_payload_point(publish, map, reading, buf, sizeof buf, &len, NULL) != GW_OK)
        return;
    root = json_loadb(buf, len, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL | JSON_DECODE_INT_AS_REAL,
                      &error);
    assert(root);
    assert((reading->quality == GW_BAD) == json_is_null(json_object_get(root, "value")));
    json_decref(root);
}

static void check_inverse(const struct gw_map *map, const struct gw_value *raw,
                          const struct gw_reading *reading)
{
    const struct gw_point_traits traits = {.kind = raw->kind};
    struct gw_value again;

    /* Named, rounded or with too many digits, a value has no exact way back by its number. */
    if (reading->enum_name || map->decimals >= 0 ||
        (reading->value.kind != GW_DECIMAL && reading->value.kind != GW_INT))
        return;
    if (gw_map_unscale(map, &traits, &reading->value, &again) == GW_OK)
        assert(again.kind == raw->kind && again.u == raw->u);
}

static struct gw_map make_map(const struct head *head)
{
    static const struct gw_enum_name names[] = {{0, "off \"0\""}, {1, "on"}};

    return (struct gw_map){.scale = {head->scale ? head->scale : 1, head->scale_exp % 19},
                           .offset = {head->offset, head->offset_exp % 19},
                           .offset_first = head->flags & 1,
                           .decimals = head->decimals % 19,
                           .unit = head->flags & 2 ? "\"\\\xC2\xB0" : NULL,
                           .enums = names,
                           .n_enums = head->flags & 4 ? 2 : 0};
}

static struct gw_result make_result(const struct head *head, const char *text, size_t len)
{
    struct gw_result result = {.err = GW_OK, .exp10 = head->exp10};

    result.value.kind = (enum gw_kind)(head->kind % (GW_TEXT + 1));
    if (result.value.kind == GW_TEXT) {
        result.value.text.p = text;
        result.value.text.len = len;
    } else if (result.value.kind == GW_BOOL) {
        result.value.b = head->bits & 1;
    } else if (result.value.kind == GW_DECIMAL) {
        result.value.dec = (struct gw_decimal){(int64_t)head->bits, head->exp10 % 19};
    } else {
        memcpy(&result.value.u, &head->bits, sizeof head->bits);
    }
    return result;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct gw_publish json = {.payload = GW_PAYLOAD_JSON};
    static const struct gw_publish template = {
        .payload = GW_PAYLOAD_TEMPLATE,
        .payload_template =
            "{\"value\":${value},\"t\":\"${value} ${unit} ${time}\",\"r\":${reason}}"};
    struct gw_reading reading;
    struct head head;

    if (size < sizeof head)
        return 0;
    memcpy(&head, data, sizeof head);
    char *text = (char *)fuzz_copy(data + sizeof head, size - sizeof head, 0);
    struct gw_map map = make_map(&head);
    struct gw_result result = make_result(&head, text, size - sizeof head);
    gw_map_result(&map, &result, (int64_t)head.bits, &reading);
    if (reading.quality == GW_BAD)
        assert(reading.reason && reading.value.kind == GW_NONE);
    else
        assert(reading.value.kind == GW_TEXT || isfinite(gw_value_to_double(&reading.value)));
    check_json(&json, &map, &reading);
    check_json(&template, &map, &reading);
    if (reading.quality == GW_GOOD && result.exp10 == 0 &&
        (result.value.kind == GW_INT || result.value.kind == GW_UINT))
        check_inverse(&map, &result.value, &reading);
    free(text);
    return 0;
}
