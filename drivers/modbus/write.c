/* write: values to coils and holding registers, and requests of their own. What is contiguous goes out in one exchange; bits of a register are
 * written by function 22 where the device knows it, else the register is read, changed and written back. */
#include "drivers/modbus/driver.h"

#include <string.h>

#include "drivers/modbus/regs.h"

enum { WRITE_REGISTERS_MAX = 123, READ_WRITE_MAX = 121, WRITE_COILS_MAX = 1968 };

/* The rest of the writes that were asked for. */
struct job {
    struct gw_device *device;
    const struct modbus_device_conf *conf;
    const struct gw_write *writes;
    size_t n_writes;
    int64_t deadline_us;
    struct gw_outcome *outcome;
};

static const struct modbus_point_conf *point_of(const struct job *job, size_t i)
{
    return job->device->points[job->writes[i].point];
}

static const struct modbus_address *target_of(const struct modbus_point_conf *point)
{
    return point->write_address.is_set ? &point->write_address : &point->address;
}

static enum gw_err send(const struct job *job, struct modbus_call *call)
{
    return modbus_call(job->device, call, 0, NULL, job->deadline_us, job->outcome);
}

static enum gw_err send_single(const struct job *job, uint8_t function, uint16_t address,
                               uint16_t value)
{
    struct modbus_call call = {.raw_reply = NULL};

    call.len = modbus_build_write_single(call.pdu, function, address, value, &call.reply_len);
    return send(job, &call);
}

/* ---- requests of their own ---- */

static enum gw_err write_raw(const struct job *job, size_t *ret_n)
{
    const struct modbus_point_conf *point = point_of(job, 0);
    const struct modbus_bytes *reply = modbus_raw_reply(point);
    struct modbus_call call = {
        .len = point->request.n, .reply_len = reply->n, .raw_reply = reply->bytes};

    if (job->writes[0].value.kind != GW_BOOL || !job->writes[0].value.b)
        return GW_E_RANGE;
    memcpy(call.pdu, point->request.bytes, point->request.n);
    *ret_n = 1;
    return send(job, &call);
}

/* ---- coils ---- */

static bool is_plain_coil(const struct modbus_point_conf *point)
{
    return modbus_point_type(point).type == MODBUS_BOOL && point->on_value == MODBUS_COIL_ON &&
           point->off_value == MODBUS_COIL_OFF && !point->read_alone && !modbus_is_raw(point);
}

/* How many of the writes, from the first on, are for coils that follow each other. */
static size_t count_coils(const struct job *job)
{
    const struct modbus_address *first = target_of(point_of(job, 0));
    size_t n = 1;

    if (job->conf->write_coils == 5 || !is_plain_coil(point_of(job, 0)))
        return 1;
    for (; n < job->n_writes && n < WRITE_COILS_MAX; n++) {
        const struct modbus_address *target = target_of(point_of(job, n));
        if (target->area != MODBUS_COIL || target->first != first->first + n ||
            !is_plain_coil(point_of(job, n)))
            break;
    }
    return n;
}

static enum gw_err write_coils(const struct job *job, size_t *ret_n)
{
    const struct modbus_point_conf *point = point_of(job, 0);
    uint16_t address = target_of(point)->first, value, mask;
    size_t n = count_coils(job);
    bool bits[WRITE_COILS_MAX];
    struct modbus_call call = {.raw_reply = NULL};

    for (size_t i = 0; i < n; i++) {
        enum gw_err err = modbus_encode(point_of(job, i), &job->writes[i].value, &value, &mask);
        if (err)
            return err;
        bits[i] = value != 0;
    }
    *ret_n = n;
    if (n == 1 && job->conf->write_coils != 15) {
        if (modbus_point_type(point).type == MODBUS_BOOL)
            value = (uint16_t)(bits[0] ? point->on_value : point->off_value);
        return send_single(job, MODBUS_FC_WRITE_COIL, address, value);
    }
    call.len = modbus_build_write_coils(call.pdu, address, bits, (uint16_t)n, &call.reply_len);
    return send(job, &call);
}

/* ---- registers ---- */

static enum gw_err send_registers(const struct job *job, uint16_t first, const uint16_t *regs,
                                  size_t n)
{
    struct modbus_call call = {.raw_reply = NULL};
    enum gw_err err = GW_OK;

    if (job->conf->write_registers == 23) {
        uint16_t read[READ_WRITE_MAX];

        if (n > READ_WRITE_MAX)
            return GW_E_RANGE;
        call.len = modbus_build_read_write(call.pdu, first, regs, (uint16_t)n, &call.reply_len);
        /* What it reads is not looked at: the core reads back what it wants to be sure of. */
        return modbus_call(job->device, &call, (uint16_t)n, read, job->deadline_us, job->outcome);
    }
    if (job->conf->write_registers == 6 || (job->conf->write_registers == 0 && n == 1)) {
        for (size_t i = 0; !err && i < n; i++)
            err = send_single(job, MODBUS_FC_WRITE_REGISTER, (uint16_t)(first + i), regs[i]);
        return err;
    }
    call.len = modbus_build_write_registers(call.pdu, first, regs, (uint16_t)n, &call.reply_len);
    return send(job, &call);
}

static bool is_shared(const struct modbus_point_conf *point)
{
    uint16_t masks[MODBUS_REGS_MAX];

    return modbus_point_masks(point, masks);
}

/* True when the write goes right behind n registers of the run. A device that is written with function 6 gets one value
 * after the other anyway. */
static bool continues(const struct job *job, size_t i, size_t n_regs)
{
    const struct modbus_point_conf *point = point_of(job, i);
    const struct modbus_address *first = target_of(point_of(job, 0)), *target = target_of(point);

    return job->conf->write_registers != 6 && !point_of(job, 0)->read_alone && !point->read_alone &&
           target->area == MODBUS_HOLDING && target->first == first->first + n_regs &&
           n_regs + modbus_point_type(point).n_regs <= READ_WRITE_MAX && !is_shared(point);
}

static enum gw_err write_registers(const struct job *job, size_t *ret_n)
{
    uint16_t regs[WRITE_REGISTERS_MAX], mask;
    size_t n = 0, n_regs = 0;

    do {
        enum gw_err err =
            modbus_encode(point_of(job, n), &job->writes[n].value, regs + n_regs, &mask);
        if (err)
            return err;
        n_regs += modbus_point_type(point_of(job, n)).n_regs;
        n++;
    } while (n < job->n_writes && continues(job, n, n_regs));
    *ret_n = n;
    return send_registers(job, target_of(point_of(job, 0))->first, regs, n_regs);
}

/* ---- bits of registers ---- */

enum { SHARED_REGISTERS_MAX = 2 };

struct change {
    size_t n_regs;
    uint16_t values[SHARED_REGISTERS_MAX], masks[SHARED_REGISTERS_MAX];
};

static enum gw_err add_change(const struct job *job, size_t i, struct change *change)
{
    uint16_t values[SHARED_REGISTERS_MAX], masks[SHARED_REGISTERS_MAX], mask;
    enum gw_err err = modbus_encode(point_of(job, i), &job->writes[i].value, values, &mask);

    if (err)
        return err;
    modbus_point_masks(point_of(job, i), masks);
    for (size_t k = 0; k < change->n_regs; k++) {
        change->values[k] = (uint16_t)((change->values[k] & ~masks[k]) | values[k]);
        change->masks[k] = change->masks[k] | masks[k];
    }
    return GW_OK;
}

static enum gw_err change_registers(const struct job *job, uint16_t first,
                                    const struct change *change)
{
    uint16_t regs[SHARED_REGISTERS_MAX], count = (uint16_t)change->n_regs;
    struct modbus_call call = {.raw_reply = NULL};

    if (job->conf->mask_write && count == 1) {
        call.len = modbus_build_mask_write(call.pdu, first, (uint16_t)~change->masks[0],
                                           change->values[0], &call.reply_len);
        return send(job, &call);
    }
    call.len = modbus_build_read(call.pdu, modbus_read_function(job->conf, MODBUS_HOLDING), first,
                                 count, &call.reply_len);
    enum gw_err err = modbus_call(job->device, &call, count, regs, job->deadline_us, job->outcome);
    if (err)
        return err;
    for (size_t k = 0; k < count; k++)
        regs[k] = (uint16_t)((regs[k] & ~change->masks[k]) | change->values[k]);
    return send_registers(job, first, regs, count);
}

static enum gw_err write_bits(const struct job *job, size_t *ret_n)
{
    const struct modbus_address *first = target_of(point_of(job, 0));
    struct change change = {.n_regs = modbus_point_type(point_of(job, 0)).n_regs};
    size_t n = 0;

    for (; n < job->n_writes; n++) {
        const struct modbus_point_conf *point = point_of(job, n);
        const struct modbus_address *target = target_of(point);
        if (target->area != first->area || target->first != first->first || !is_shared(point) ||
            modbus_point_type(point).n_regs != change.n_regs)
            break;
        enum gw_err err = add_change(job, n, &change);
        if (err)
            return err;
    }
    *ret_n = n;
    return change_registers(job, first->first, &change);
}

/* One exchange (or two, where bits are changed in a register that has to be read first). */
enum gw_err modbus_write(struct gw_device *device, const struct gw_write *writes, size_t n_writes,
                         int64_t deadline_us, size_t *ret_n_written, struct gw_outcome *outcome)
{
    const struct job job = {device, device->conf, writes, n_writes, deadline_us, outcome};
    size_t n = 0;

    *ret_n_written = 0;
    if (n_writes == 0)
        return GW_OK;
    const struct modbus_point_conf *point = point_of(&job, 0);
    enum gw_err err = modbus_is_raw(point)                    ? write_raw(&job, &n)
                      : target_of(point)->area == MODBUS_COIL ? write_coils(&job, &n)
                      : is_shared(point)                      ? write_bits(&job, &n)
                                                              : write_registers(&job, &n);
    if (!err)
        *ret_n_written = n;
    return err;
}
