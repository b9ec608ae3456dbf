/* identify: what a unit says of itself: device identification (function 43/14), server id (17), the common model of
 * SunSpec. A unit that knows none of them refuses or keeps silent. Reads only.
 * Source: MODBUS Application Protocol V1.1b3, 6.13 and 6.21; SunSpec Device Information Model Specification, 6. */
#include "drivers/modbus/driver.h"

#include <stdio.h>
#include <string.h>

enum {
    OBJECTS = 7,     /* of the basic and regular categories */
    PARTS_MAX = 16,  /* of a stream of objects */
    MODELS_MAX = 64, /* of SunSpec */
    COMMON_REGS = 66,
    ANSWER_CHARS = 256, /* the longest there is */
};

struct identification {
    struct gw_bus *bus;
    const struct gw_probe *probe;
    const struct gw_identity *identity;
    bool is_known[OBJECTS]; /* told already */
};

/* Some devices hang up when they do not know a function: that is an answer, and the next question finds them again. */
static enum gw_err call_again(struct gw_bus *bus, int64_t until_us)
{
    struct gw_driver_diag diag;

    return modbus_wire_open(bus->state, bus->conf, bus->host, until_us, &diag) == GW_OK ? GW_E_PROTO
                                                                                        : GW_E_LINK;
}

/* Asks, after the doubt about an earlier answer is over. reply_len 0: as long as it says itself. */
static enum gw_err ask(const struct identification *id, const struct modbus_call *call,
                       struct modbus_exchange *ret_exchange)
{
    const struct gw_host *host = id->bus->host;
    const struct modbus_bus_conf *conf = id->bus->conf;
    int64_t patience_us =
        modbus_probe_us(conf, id->probe) + modbus_char_us(conf, ANSWER_CHARS - call->reply_len);
    enum gw_err err = GW_E_BUSY;

    *ret_exchange = (struct modbus_exchange){
        .unit = (uint8_t)id->probe->address,
        .request = call->pdu,
        .request_len = call->len,
        .reply_len = call->reply_len,
    };
    for (int i = 0; i < 3 && err == GW_E_BUSY; i++) {
        struct gw_outcome outcome = {0};

        err = modbus_wire_exchange(id->bus->state, ret_exchange,
                                   host->now_us(host->ctx) + patience_us, &outcome);
        if (err == GW_E_BUSY && modbus_wire_pause(id->bus->state, outcome.hold_us) != GW_OK)
            return GW_E_CLOSED;
    }
    return err == GW_E_LINK ? call_again(id->bus, host->now_us(host->ctx) + id->probe->timeout_us)
                            : err;
}

/* ---- function 43/14 ---- */

static void tell_object(void *ctx, uint8_t object, const uint8_t *text, size_t len)
{
    static const char *const names[OBJECTS] = {
        "vendor", "product_code", "revision", "url", "product", "model", "application",
    };
    struct identification *id = ctx;

    if (object >= OBJECTS || id->is_known[object] || len == 0)
        return;
    id->is_known[object] = true;
    id->identity->told(id->identity->ctx, names[object], (const char *)text, len);
}

/* One stream of objects, in as many parts as it takes. */
static enum gw_err ask_objects(struct identification *id, uint8_t category, uint8_t object,
                               uint8_t *ret_level)
{
    struct modbus_exchange exchange;
    struct modbus_call call = {.reply_len = 0};
    enum gw_err err = GW_OK;

    for (int part = 0; part < PARTS_MAX; part++) {
        uint8_t next = 0;
        int exception;

        call.len = modbus_build_identification(call.pdu, category, object);
        err = ask(id, &call, &exchange);
        if (err == GW_OK)
            err = modbus_parse_identification(exchange.reply, exchange.ret_reply_len, tell_object,
                                              id, &next, ret_level, &exception);
        if (err || next <= object) /* a device that goes in circles does not hold us */
            break;
        object = next;
    }
    return err;
}

static enum gw_err ask_identification(struct identification *id)
{
    uint8_t level = 0;
    enum gw_err err = ask_objects(id, 1, 0, &level);

    return err == GW_OK && level >= 2 ? ask_objects(id, 2, 3, &level) : err;
}

/* ---- function 17 ---- */

/* What the bytes mean is the maker's business: often an id, a run indicator (00 or FF) and a text. */
static enum gw_err ask_server_id(struct identification *id)
{
    struct modbus_exchange exchange;
    const struct modbus_call call = {.pdu = {MODBUS_FC_SERVER_ID}, .len = 1, .reply_len = 0};
    const uint8_t *reply = exchange.reply;

    enum gw_err err = ask(id, &call, &exchange);
    size_t len = err == GW_OK ? exchange.ret_reply_len : 0;
    if (len > 2 && reply[0] == MODBUS_FC_SERVER_ID && reply[1] == len - 2)
        id->identity->told(id->identity->ctx, "server_id", (const char *)reply + 2, len - 2);
    return err;
}

/* ---- SunSpec ---- */

static enum gw_err read_regs(const struct identification *id, unsigned first, uint16_t count,
                             uint16_t *ret_regs)
{
    struct modbus_exchange exchange;
    struct modbus_call call = {.len = 0};
    int exception;

    if (first + count > 0x10000)
        return GW_E_RANGE;
    call.len = modbus_build_read(call.pdu, MODBUS_FC_READ_HOLDING, (uint16_t)first, count,
                                 &call.reply_len);
    enum gw_err err = ask(id, &call, &exchange);
    return err ? err
               : modbus_parse_read(exchange.reply, exchange.ret_reply_len, MODBUS_FC_READ_HOLDING,
                                   count, ret_regs, &exception);
}

static const struct {
    const char *name, *point;
    uint16_t at, n; /* registers behind the length of the model */
} common[] = {
    {"sunspec_manufacturer", "manufacturer", 0, 16},
    {"sunspec_model", "model", 16, 16},
    {"sunspec_version", "version", 40, 8},
    {"sunspec_serial", "serial", 48, 16},
};

static void tell_common(const struct identification *id, unsigned first, const uint16_t *regs,
                        size_t n_regs)
{
    const struct gw_identity *identity = id->identity;

    for (size_t i = 0; i < sizeof common / sizeof common[0]; i++) {
        char text[2 * COMMON_REGS], keys[64];
        size_t len = 0;

        if (common[i].at + common[i].n > n_regs)
            continue;
        for (size_t k = 0; k < common[i].n; k++) {
            text[len++] = (char)(regs[common[i].at + k] >> 8);
            text[len++] = (char)regs[common[i].at + k];
        }
        len = strnlen(text, len);
        while (len > 0 && text[len - 1] == ' ')
            len--;
        if (len == 0)
            continue;
        identity->told(identity->ctx, common[i].name, text, len);
        snprintf(keys, sizeof keys, "register: \"holding:%u\", type: \"string[%u]\"",
                 first + common[i].at, common[i].n);
        identity->point(identity->ctx, common[i].point, keys);
    }
}

/* The models one after the other, by the lengths that the device says: "1, 103, 120". */
static void tell_models(const struct identification *id, unsigned first)
{
    char models[8 * MODELS_MAX];
    uint16_t regs[COMMON_REGS], length;
    size_t len = 0;

    for (int i = 0; i < MODELS_MAX; i++) {
        /* One after the other: some devices have no length behind the end. */
        if (read_regs(id, first, 1, regs) != GW_OK || regs[0] == 0xFFFF ||
            read_regs(id, first + 1, 1, &length) != GW_OK)
            break;
        len += (size_t)snprintf(models + len, sizeof models - len, "%s%u", i ? ", " : "", regs[0]);
        uint16_t n_regs = length < COMMON_REGS ? length : COMMON_REGS;
        if (i == 0 && regs[0] == 1 && n_regs > 0 && read_regs(id, first + 2, n_regs, regs) == GW_OK)
            tell_common(id, first + 2, regs, n_regs);
        first += 2u + length;
    }
    if (len > 0)
        id->identity->told(id->identity->ctx, "sunspec_models", models, len);
}

static enum gw_err ask_sunspec(const struct identification *id)
{
    static const uint16_t bases[] = {40000, 50000, 0};
    uint16_t regs[2];
    enum gw_err err = GW_OK;

    for (size_t i = 0; i < sizeof bases / sizeof bases[0]; i++) {
        err = read_regs(id, bases[i], 2, regs);
        if (err == GW_OK && regs[0] == 0x5375 && regs[1] == 0x6E53) { /* "SunS" */
            tell_models(id, bases[i] + 2u);
            break;
        }
        if (err == GW_E_CLOSED || err == GW_E_LINK)
            break;
    }
    return err;
}

enum gw_err modbus_identify(struct gw_bus *bus, const struct gw_probe *probe,
                            const struct gw_identity *identity)
{
    struct identification id = {.bus = bus, .probe = probe, .identity = identity};

    enum gw_err err = ask_identification(&id);
    if (err != GW_E_CLOSED && err != GW_E_LINK)
        err = ask_server_id(&id);
    if (err != GW_E_CLOSED && err != GW_E_LINK)
        err = ask_sunspec(&id);
    return err == GW_E_CLOSED || err == GW_E_LINK ? err : GW_OK;
}
