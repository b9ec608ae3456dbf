/* scan: is there a unit at this address? One read of one register or bit, which every device answers in some way: with
 * data, or with an exception. A gateway's word for a silent unit (exceptions 10 and 11) is none. */
#include "drivers/modbus/driver.h"

#include <stdio.h>

#include "drivers/modbus/frame.h"

/* Most devices have holding registers, and those without refuse them in a frame; sensors that know input registers alone,
 * and relay boards that know coils alone, may keep silent to what they do not know. */
static const struct {
    uint8_t function;
    enum modbus_area area;
} questions[] = {
    {MODBUS_FC_READ_HOLDING, MODBUS_HOLDING},
    {MODBUS_FC_READ_INPUT, MODBUS_INPUT},
    {MODBUS_FC_READ_COILS, MODBUS_COIL},
};

/* Over TCP: 255 is a device that has no unit id, and some know 0 only. 248 to 254 are reserved (MODBUS over Serial Line
 * V1.02, 2.2). Behind TCP whoever speaks Modbus refuses in a frame, and silence is long: two questions. */
const struct gw_scan_traits modbus_rtu_scan_traits = {
    .address_key = "unit",
    .addresses = "1-247",
    .max_address = 255,
    .n_questions = 3,
    .timeout_us = 100 * 1000,
};
const struct gw_scan_traits modbus_tcp_scan_traits = {
    .address_key = "unit",
    .addresses = "1-247,255,0",
    .max_address = 255,
    .nobody = 253,
    .n_questions = 2,
    .timeout_us = 1000 * 1000,
};

enum { REQUEST_CHARS = 8, REPLY_CHARS = 7, EXCEPTION_PATH = 10, EXCEPTION_TARGET = 11 };

int64_t modbus_probe_us(const void *bus_conf, const struct gw_probe *probe)
{
    const struct modbus_bus_conf *conf = bus_conf;
    int64_t pause_us = modbus_silence_us(conf);

    if (pause_us < conf->request_delay_us)
        pause_us = conf->request_delay_us;
    if (pause_us < conf->unit_change_delay_us)
        pause_us = conf->unit_change_delay_us;
    return pause_us + modbus_char_us(conf, REQUEST_CHARS + REPLY_CHARS) + probe->timeout_us;
}

/* What an answer PDU says, exceptions first. */
static enum gw_err judge(const struct modbus_exchange *exchange, uint8_t function,
                         struct gw_probed *ret_probed)
{
    uint16_t value;
    int exception = 0;
    enum gw_err err = modbus_parse_read(exchange->reply, exchange->ret_reply_len, function, 1,
                                        &value, &exception);

    if (exception == EXCEPTION_PATH || exception == EXCEPTION_TARGET)
        return GW_E_TIMEOUT;
    ret_probed->refusal = exception;
    ret_probed->reason = exception      ? modbus_exception_reason(exception)
                         : err != GW_OK ? "bad_reply"
                                        : NULL;
    return exception ? GW_OK : err;
}

enum gw_err modbus_probe(struct gw_bus *bus, const struct gw_probe *probe,
                         struct gw_probed *ret_probed)
{
    struct gw_outcome outcome = {0};
    struct modbus_call call;
    char place[24];
    const uint8_t function = questions[probe->question].function;

    call.len = modbus_build_read(call.pdu, function, 0, 1, &call.reply_len);
    struct modbus_exchange exchange = {
        .unit = (uint8_t)probe->address,
        .request = call.pdu,
        .request_len = call.len,
        .reply_len = call.reply_len,
    };
    snprintf(ret_probed->point, sizeof ret_probed->point, "register: \"%s\"",
             modbus_print_register(questions[probe->question].area, 0, place));

    int64_t until_us = bus->host->now_us(bus->host->ctx) + modbus_probe_us(bus->conf, probe);
    enum gw_err err = modbus_wire_exchange(bus->state, &exchange, until_us, &outcome);
    ret_probed->reason = outcome.reason;
    ret_probed->hold_us = outcome.hold_us;
    ret_probed->late_address = modbus_wire_take_late(bus->state);
    return err ? err : judge(&exchange, function, ret_probed);
}
