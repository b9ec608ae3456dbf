/* check: what no single key of a bus, device or point can tell. Pure; sentences are for the person who wrote the file. */
#include "drivers/modbus/conf.h"

#include <stdarg.h>
#include <stdio.h>

#include "drivers/modbus/pdu.h"
#include "drivers/modbus/plan.h"
#include "drivers/modbus/regs.h"

enum { WRITE_REGISTERS_MAX = 123 }; /* of one function 16 */

static enum gw_err GW_PRINTF(3, 4)
    complain(struct gw_driver_diag *diag, const char *key, const char *fmt, ...)
{
    va_list args;

    diag->key = key;
    va_start(args, fmt);
    vsnprintf(diag->text, sizeof diag->text, fmt, args);
    va_end(args);
    return GW_E_CONFIG;
}

/* libmodbus opens any other speed as 9600 baud without a word. */
static bool is_standard_baud(int64_t baud)
{
    static const int32_t standard[] = {
        110,     300,     600,     1200,    2400,    4800,    9600,    19200,
        38400,   57600,   115200,  230400,  460800,  500000,  576000,  921600,
        1000000, 1152000, 1500000, 2000000, 2500000, 3000000, 3500000, 4000000,
    };

    for (size_t i = 0; i < sizeof standard / sizeof standard[0]; i++)
        if (standard[i] == baud)
            return true;
    return false;
}

enum gw_err modbus_check_bus(const void *bus_conf, struct gw_driver_diag *diag)
{
    const struct modbus_bus_conf *bus = bus_conf;

    if (bus->transport != MODBUS_TCP && bus->data_bits != 8)
        return complain(diag, "data_bits", "data_bits %d cannot carry RTU frames, which need 8",
                        (int)bus->data_bits);
    if (bus->transport == MODBUS_RTU && !is_standard_baud(bus->baud))
        return complain(diag, "baud",
                        "baud %d is not a speed of serial ports (1200, 2400, 4800, 9600, "
                        "19200, 38400, 57600, 115200, ...)",
                        (int)bus->baud);
    return GW_OK;
}

enum gw_err modbus_check_device(const void *bus_conf, const void *device_conf,
                                struct gw_driver_diag *diag)
{
    const struct modbus_bus_conf *bus = bus_conf;
    const struct modbus_device_conf *device = device_conf;

    if (bus->transport != MODBUS_TCP && device->unit == 0)
        return complain(diag, "unit", "unit 0 is for broadcasts, which no device answers (1-247)");
    return GW_OK;
}

/* ---- points ---- */

struct point {
    const struct modbus_device_conf *device;
    const struct modbus_point_conf *conf;
    struct modbus_type_spec type;
    struct gw_driver_diag *diag;
};

static enum gw_err check_address(const struct point *point, const char *key,
                                 const struct modbus_address *address, unsigned n_units)
{
    static const char digits[] = {
        [MODBUS_COIL] = '0', [MODBUS_DISCRETE] = '1', [MODBUS_HOLDING] = '4', [MODBUS_INPUT] = '3'};
    char text[24];

    if (!address->is_set)
        return GW_OK;
    modbus_print_register(address->area, address->first, text);
    if (address->is_modicon && point->conf->numbering != MODBUS_NUMBERING_MODICON)
        return complain(point->diag, key,
                        "%c%04u is a Modicon number; write %s, or numbering: modicon",
                        digits[address->area], address->first + 1u, text);
    if (address->first + n_units > 65536)
        return complain(point->diag, key, "%u registers from %s on go beyond 65535", n_units, text);
    return GW_OK;
}

static enum gw_err check_addresses(const struct point *point)
{
    const struct modbus_point_conf *conf = point->conf;
    const struct {
        const char *key;
        const struct modbus_address *address;
        unsigned n_units;
    } rows[] = {
        {"register", &conf->address, modbus_point_units(conf)},
        {"low_register", &conf->low_part, modbus_point_units(conf)},
        {"scale_register", &conf->scale_register, 1},
        {"write_register", &conf->write_address, point->type.n_regs},
    };
    enum gw_err err = GW_OK;

    for (size_t i = 0; !err && i < sizeof rows / sizeof rows[0]; i++)
        err = check_address(point, rows[i].key, rows[i].address, rows[i].n_units);
    return err;
}

/* A coil holds a bool, or takes a number as the value field of function 5 (relay boards: a time) and is never read. */
static bool is_value_coil(const struct modbus_point_conf *conf, const struct modbus_type_spec *type)
{
    return conf->address.area == MODBUS_COIL && type->type == MODBUS_UINT16;
}

static enum gw_err check_bits(const struct point *point)
{
    const struct modbus_point_conf *conf = point->conf;
    struct modbus_span span = modbus_value_span(point->device, conf);

    if (!is_value_coil(conf, &point->type) && point->type.type != MODBUS_BOOL)
        return complain(point->diag, "type", "a %s",
                        conf->address.area == MODBUS_COIL
                            ? "coil is bool (or uint16, to write a value with function 5)"
                            : "discrete input is bool");
    if (conf->low_part.is_set || conf->scale_register.is_set)
        return complain(point->diag, conf->low_part.is_set ? "low_register" : "scale_register",
                        "only registers have one, not coils and discrete inputs");
    if (span.end - span.first > (uint32_t)point->device->max_bits)
        return complain(point->diag, "register",
                        "reading from a multiple of coil_block %d on needs %u bits, max_bits is %d",
                        (int)point->device->coil_block, (unsigned)(span.end - span.first),
                        (int)point->device->max_bits);
    return GW_OK;
}

static enum gw_err check_low_part(const struct point *point, const struct modbus_span *span)
{
    const struct modbus_point_conf *conf = point->conf;
    unsigned half = modbus_point_units(conf);
    int distance = (int)conf->low_part.first - (int)conf->address.first;

    if (!modbus_type_is_number(point->type.type) || point->type.n_regs % 2 ||
        modbus_point_masks(conf, (uint16_t[MODBUS_REGS_MAX]){0}))
        return complain(point->diag, "low_register",
                        "only numbers of 32 and 64 bits have halves that can stand apart");
    if (conf->low_part.area != conf->address.area)
        return complain(point->diag, "low_register", "both halves have to be in the same table");
    if (distance < (int)half && -distance < (int)half)
        return complain(point->diag, "low_register", "the halves overlap");
    if (span->end - span->first > (uint32_t)point->device->max_registers)
        return complain(
            point->diag, "low_register",
            "the halves are %u registers apart; they have to be read in one request, which "
            "reads %d at most",
            (unsigned)(span->end - span->first), (int)point->device->max_registers);
    return GW_OK;
}

static enum gw_err check_registers(const struct point *point)
{
    const struct modbus_point_conf *conf = point->conf;
    struct modbus_span span = modbus_value_span(point->device, conf);

    if (conf->low_part.is_set) {
        enum gw_err err = check_low_part(point, &span);
        if (err)
            return err;
    } else if (point->type.n_regs > point->device->max_registers) {
        return complain(point->diag, "type", "the type needs %u registers, max_registers is %d",
                        point->type.n_regs, (int)point->device->max_registers);
    }
    if (!conf->scale_register.is_set)
        return GW_OK;
    if (modbus_area_is_bits(conf->scale_register.area))
        return complain(point->diag, "scale_register", "a scale is in a holding or input register");
    if (!modbus_type_is_number(point->type.type) || point->type.type == MODBUS_BOOL)
        return complain(point->diag, "scale_register", "only numbers have a scale");
    return GW_OK;
}

static enum gw_err check_write(const struct point *point)
{
    const struct modbus_point_conf *conf = point->conf;
    bool has_values = conf->on_value != MODBUS_COIL_ON || conf->off_value != MODBUS_COIL_OFF;

    if (conf->write_address.is_set &&
        conf->write_address.area !=
            (modbus_area_is_bits(conf->address.area) ? MODBUS_COIL : MODBUS_HOLDING))
        return complain(point->diag, "write_register", "%s are written to %s",
                        modbus_area_is_bits(conf->address.area) ? "bits" : "registers",
                        modbus_area_is_bits(conf->address.area) ? "coils" : "holding registers");
    if (conf->address.area == MODBUS_COIL && point->device->write_coils == 15 &&
        (has_values || is_value_coil(conf, &point->type)))
        return complain(point->diag, has_values ? "on_value" : "type",
                        "only function 5 sends a value, and write_coils_with is 15");
    return GW_OK;
}

/* Functions of the specification that are not confirmed by their own bytes. */
static bool has_own_answer(uint8_t function)
{
    return (function >= MODBUS_FC_READ_COILS && function <= MODBUS_FC_READ_INPUT) ||
           function == MODBUS_FC_WRITE_COILS || function == MODBUS_FC_WRITE_REGISTERS ||
           function == MODBUS_FC_READ_WRITE;
}

static enum gw_err check_raw(const struct point *point)
{
    const struct modbus_point_conf *conf = point->conf;
    uint8_t function = conf->request.bytes[0];

    if (function == 0 || function > 0x7F)
        return complain(point->diag, "register", "a request begins with its function, 01-7F");
    if (conf->low_part.is_set || conf->scale_register.is_set || conf->write_address.is_set)
        return complain(point->diag,
                        conf->low_part.is_set         ? "low_register"
                        : conf->scale_register.is_set ? "scale_register"
                                                      : "write_register",
                        "a raw request has no registers");
    if (conf->reply.n > 0 && conf->reply.bytes[0] != function)
        return complain(point->diag, "reply",
                        "the reply to a request of function %02X begins with it", function);
    if (conf->reply.n == 0 && has_own_answer(function))
        return complain(
            point->diag, "register",
            "function %d is not answered with the bytes of the request; say with reply: "
            "what confirms it",
            function);
    return GW_OK;
}

/* Written is true, and nothing else: what would false be? */
static void raw_traits(struct gw_point_traits *ret_traits)
{
    *ret_traits =
        (struct gw_point_traits){.kind = GW_BOOL, .raw_min = 1, .raw_max = 1, .can_write = true};
}

enum gw_err modbus_check_point(const void *bus_conf, const void *device_conf,
                               const void *point_conf, struct gw_point_traits *ret_traits,
                               struct gw_driver_diag *diag)
{
    const struct modbus_point_conf *conf = point_conf;
    const struct point point = {device_conf, conf, modbus_point_type(conf), diag};

    (void)bus_conf;
    if (modbus_is_raw(conf)) {
        raw_traits(ret_traits);
        return check_raw(&point);
    }
    if (conf->reply.n > 0)
        return complain(diag, "reply", "only a raw request (register: raw:42) has one");
    enum gw_err err = check_addresses(&point);
    if (!err)
        err =
            modbus_area_is_bits(conf->address.area) ? check_bits(&point) : check_registers(&point);
    if (!err)
        err = check_write(&point);
    if (err)
        return err;
    const struct modbus_address *target =
        conf->write_address.is_set ? &conf->write_address : &conf->address;
    *ret_traits = (struct gw_point_traits){0};
    modbus_type_traits(&point.type, ret_traits);
    ret_traits->is_scaled = conf->scale_register.is_set;
    ret_traits->can_read = !is_value_coil(conf, &point.type);
    /* The halves of a value cannot be written at once, and a half-written value is a wrong one. */
    ret_traits->can_write = (target->area == MODBUS_COIL || target->area == MODBUS_HOLDING) &&
                            !conf->low_part.is_set && point.type.n_regs <= WRITE_REGISTERS_MAX;
    return GW_OK;
}
