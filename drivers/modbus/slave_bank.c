/* slave_bank: the registers and coils of simulated devices. Nothing is stored here: a register is what its points
 * are at the moment, so that no two of them can disagree. Addresses between points are 0, as merged reads need them;
 * addresses far from every point do not exist. */
#include <string.h>

#include "drivers/modbus/driver.h"
#include "drivers/modbus/regs.h"
#include "drivers/modbus/slave_impl.h"

enum {
    NEAR_REGISTERS =
        125, /* so far from a point a register is still there: what one request can read */
    NEAR_BITS = 2000,
    COIL_BITS_MAX = 2000,
    WRITE_BITS_MAX = 1968,
    READ_WORDS_MAX = 125,
    WRITE_WORDS_MAX = 123,
    READ_WRITE_WORDS_MAX = 121, /* written by function 23 */
    ILLEGAL_FUNCTION = 1,
    ILLEGAL_ADDRESS = 2,
    ILLEGAL_VALUE = 3,
};

/* A part of one area of one unit. A bit takes a word. */
struct window {
    const struct gw_sim *sim;
    uint8_t unit;
    uint8_t function; /* of reading: which areas are seen through it */
    uint16_t first, count;
    uint16_t *words; /* [count] */
};

struct request {
    const struct gw_sim *sim;
    uint8_t unit;
    const uint8_t *pdu;
    size_t len;
    uint8_t *reply;
};

static uint16_t get16(const uint8_t *bytes)
{
    return (uint16_t)(bytes[0] << 8 | bytes[1]);
}

static const struct modbus_device_conf *conf_of(const struct gw_device *device)
{
    return device->conf;
}

static const struct gw_device *next_device(const struct gw_sim *sim, uint8_t unit, size_t *at)
{
    while (*at < sim->bus->n_devices) {
        const struct gw_device *device = &sim->bus->devices[(*at)++];
        if (conf_of(device)->unit == unit)
            return device;
    }
    return NULL;
}

/* ---- points to words ---- */

struct image {
    uint16_t regs[MODBUS_REGS_MAX], masks[MODBUS_REGS_MAX];
};

/* What the registers of a point hold now. */
static void take_image(const struct gw_sim *sim, const struct gw_device *device, size_t index,
                       struct image *image)
{
    static const char *const dates[] = {"2026-11-24T10:05:12.345", "2026-11-24T10:05:12"};
    const struct modbus_point_conf *point = device->points[index];
    struct gw_value value = {.kind = GW_NONE};
    uint16_t mask;

    memset(image, 0, sizeof *image);
    sim->read(sim->ctx, device, index, &value);
    enum gw_err err = modbus_encode(point, &value, image->regs, &mask);
    for (size_t i = 0; err && i < 2;
         i++) { /* the core gives a text, not knowing how a date looks */
        value = (struct gw_value){.kind = GW_TEXT, .text = {dates[i], strlen(dates[i])}};
        err = modbus_encode(point, &value, image->regs, &mask);
    }
    if (err)
        memset(image->regs, 0, sizeof image->regs);
    modbus_point_masks(point, image->masks);
}

static bool overlaps(const struct window *window, uint16_t first, uint16_t count)
{
    return first < window->first + window->count && window->first < first + count;
}

/* Puts words of a point into the window; other bits of the same registers stay. */
static void put(const struct window *window, uint16_t first, const uint16_t *regs,
                const uint16_t *masks, uint16_t count)
{
    for (uint16_t i = 0; i < count; i++) {
        int at = first + i - window->first;
        if (at >= 0 && at < window->count)
            window->words[at] = (uint16_t)((window->words[at] & ~masks[i]) | (regs[i] & masks[i]));
    }
}

static bool is_seen(const struct window *window, const struct gw_device *device,
                    const struct modbus_address *address, uint16_t count)
{
    return address->is_set && overlaps(window, address->first, count) &&
           modbus_read_function(device->conf, address->area) == window->function;
}

static void put_point(const struct window *window, const struct gw_device *device, size_t index)
{
    const struct modbus_point_conf *point = device->points[index];
    uint16_t units = modbus_point_units(point);
    bool has_high = is_seen(window, device, &point->address, units);
    bool has_low = is_seen(window, device, &point->low_part, units);
    bool has_written = is_seen(window, device, &point->write_address, units);
    struct image image;

    if (!has_high && !has_low && !has_written)
        return;
    take_image(window->sim, device, index, &image);
    if (has_high)
        put(window, point->address.first, image.regs, image.masks, units);
    if (has_low)
        put(window, point->low_part.first, image.regs + units, image.masks + units, units);
    if (has_written)
        put(window, point->write_address.first, image.regs, image.masks, units);
}

/* A scale that moved would make its values jump by decades: scales are always 0, which is x 1. */
static void put_scale(const struct window *window, const struct gw_device *device, size_t index)
{
    static const uint16_t none = 0, all = 0xFFFF;
    const struct modbus_point_conf *point = device->points[index];

    if (is_seen(window, device, &point->scale_register, 1))
        put(window, point->scale_register.first, &none, &all, 1);
}

static void fill(const struct window *window)
{
    const struct gw_device *device;

    memset(window->words, 0, window->count * sizeof *window->words);
    for (size_t at = 0; (device = next_device(window->sim, window->unit, &at));) {
        for (size_t i = 0; i < device->n_points; i++)
            put_point(window, device, i);
        for (size_t i = 0; i < device->n_points; i++)
            put_scale(window, device, i);
    }
}

/* ---- what is there ---- */

static bool is_near_address(const struct window *window, const struct gw_device *device,
                            const struct modbus_address *address, uint16_t units)
{
    int near = modbus_area_is_bits(address->area) ? NEAR_BITS : NEAR_REGISTERS;

    return address->is_set &&
           modbus_read_function(device->conf, address->area) == window->function &&
           window->first >= address->first - near && window->first < address->first + units + near;
}

/* Whether the first address of the window is near a point. */
static bool has_first(const struct window *window)
{
    const struct gw_device *device;

    for (size_t at = 0; (device = next_device(window->sim, window->unit, &at));)
        for (size_t i = 0; i < device->n_points; i++) {
            const struct modbus_point_conf *point = device->points[i];
            uint16_t units = modbus_point_units(point);
            if (is_near_address(window, device, &point->address, units) ||
                is_near_address(window, device, &point->low_part, units) ||
                is_near_address(window, device, &point->write_address, units) ||
                is_near_address(window, device, &point->scale_register, 1))
                return true;
        }
    return false;
}

static bool is_there(const struct window *window)
{
    struct window last = *window;

    if (window->first + window->count > 0x10000)
        return false;
    last.first = (uint16_t)(window->first + window->count - 1);
    return has_first(window) && has_first(&last);
}

/* The most that the devices of the unit give in one request; 0: there is no such device. */
static int64_t request_limit(const struct gw_sim *sim, uint8_t unit, bool is_bits)
{
    const struct gw_device *device;
    int64_t limit = 0;

    for (size_t at = 0; (device = next_device(sim, unit, &at));) {
        const struct modbus_device_conf *conf = device->conf;
        int64_t own = is_bits ? conf->max_bits : conf->max_registers;
        if (own > limit)
            limit = own;
    }
    return limit;
}

/* ---- words to points ---- */

static const struct modbus_address *target_of(const struct modbus_point_conf *point)
{
    return point->write_address.is_set ? &point->write_address : &point->address;
}

static bool take_words(uint16_t *regs, uint16_t first, uint16_t count, const struct window *written)
{
    bool is_touched = false;

    for (uint16_t i = 0; i < count; i++) {
        int at = first + i - written->first;
        if (at >= 0 && at < written->count) {
            regs[i] = written->words[at];
            is_touched = true;
        }
    }
    return is_touched;
}

static void tell_point(const struct window *written, const struct gw_device *device, size_t index)
{
    const struct modbus_point_conf *point = device->points[index];
    const struct modbus_address *target = target_of(point);
    uint16_t units = modbus_point_units(point);
    struct gw_result result = {.err = GW_OK};
    char text[MODBUS_TEXT_MAX];
    struct image image;

    take_image(written->sim, device, index, &image);
    bool is_touched = take_words(image.regs, target->first, units, written);
    if (point->low_part.is_set && !point->write_address.is_set)
        is_touched |= take_words(image.regs + units, point->low_part.first, units, written);
    if (!is_touched)
        return;
    modbus_decode(point, image.regs, text, &result);
    if (!result.err)
        written->sim->written(written->sim->ctx, device, index, &result.value);
}

static void tell(const struct window *written, enum modbus_area area)
{
    const struct gw_device *device;

    for (size_t at = 0; (device = next_device(written->sim, written->unit, &at));)
        for (size_t i = 0; i < device->n_points; i++) {
            const struct modbus_point_conf *point = device->points[i];
            if (!modbus_is_raw(point) && target_of(point)->area == area)
                tell_point(written, device, i);
        }
}

/* ---- requests ---- */

static size_t refuse(const struct request *request, uint8_t exception)
{
    request->reply[0] = request->pdu[0] | 0x80;
    request->reply[1] = exception;
    return 2;
}

static size_t repeat(const struct request *request, size_t len)
{
    memcpy(request->reply, request->pdu, len);
    return len;
}

static struct window window_of(const struct request *request, uint8_t function, size_t at,
                               uint16_t *words)
{
    return (struct window){
        .sim = request->sim,
        .unit = request->unit,
        .function = function,
        .first = get16(request->pdu + at),
        .count = get16(request->pdu + at + 2),
        .words = words,
    };
}

static size_t reply_words(const struct request *request, const struct window *window)
{
    request->reply[1] = (uint8_t)(2 * window->count);
    for (size_t i = 0; i < window->count; i++) {
        request->reply[2 + 2 * i] = (uint8_t)(window->words[i] >> 8);
        request->reply[3 + 2 * i] = (uint8_t)(window->words[i] & 0xFF);
    }
    return 2u + request->reply[1];
}

static size_t reply_bits(const struct request *request, const struct window *window)
{
    request->reply[1] = (uint8_t)((window->count + 7) / 8);
    memset(request->reply + 2, 0, request->reply[1]);
    for (size_t i = 0; i < window->count; i++)
        request->reply[2 + i / 8] |= (uint8_t)((window->words[i] != 0) << i % 8);
    return 2u + request->reply[1];
}

static size_t read_some(const struct request *request)
{
    uint16_t words[COIL_BITS_MAX];
    uint8_t function = request->pdu[0];
    bool is_bits = function == MODBUS_FC_READ_COILS || function == MODBUS_FC_READ_DISCRETE;

    struct window window = window_of(request, function, 1, words);
    if (window.count == 0 || window.count > request_limit(request->sim, request->unit, is_bits))
        return refuse(request, ILLEGAL_VALUE);
    if (!is_there(&window))
        return refuse(request, ILLEGAL_ADDRESS);
    fill(&window);
    request->reply[0] = function;
    return is_bits ? reply_bits(request, &window) : reply_words(request, &window);
}

/* The function through which what is written can be read. */
static uint8_t read_function_of(const struct request *request, enum modbus_area area)
{
    size_t at = 0;

    return modbus_read_function(next_device(request->sim, request->unit, &at)->conf, area);
}

static size_t write_register(const struct request *request)
{
    uint16_t word = get16(request->pdu + 3);
    struct window window = window_of(request, read_function_of(request, MODBUS_HOLDING), 1, &word);

    window.count = 1;
    if (!is_there(&window))
        return refuse(request, ILLEGAL_ADDRESS);
    tell(&window, MODBUS_HOLDING);
    return repeat(request, 5);
}

static size_t mask_register(const struct request *request)
{
    uint16_t word, and_mask = get16(request->pdu + 3), or_mask = get16(request->pdu + 5);
    struct window window = window_of(request, read_function_of(request, MODBUS_HOLDING), 1, &word);

    window.count = 1;
    if (!is_there(&window))
        return refuse(request, ILLEGAL_ADDRESS);
    fill(&window);
    word = (uint16_t)((word & and_mask) | (or_mask & ~and_mask));
    tell(&window, MODBUS_HOLDING);
    return repeat(request, 7);
}

/* Writes registers from a block of address, count, byte count and words that begins at `at`. Returns an exception or 0. */
static uint8_t write_block(const struct request *request, size_t at, uint16_t max)
{
    uint16_t words[WRITE_WORDS_MAX];

    if (request->len < at + 5)
        return ILLEGAL_VALUE;
    struct window window = window_of(request, read_function_of(request, MODBUS_HOLDING), at, words);
    if (window.count == 0 || window.count > max || request->pdu[at + 4] != 2 * window.count ||
        request->len != at + 5 + request->pdu[at + 4])
        return ILLEGAL_VALUE;
    if (!is_there(&window))
        return ILLEGAL_ADDRESS;
    for (size_t i = 0; i < window.count; i++)
        words[i] = get16(request->pdu + at + 5 + 2 * i);
    tell(&window, MODBUS_HOLDING);
    return 0;
}

static size_t write_registers(const struct request *request)
{
    uint8_t exception = write_block(request, 1, WRITE_WORDS_MAX);

    return exception ? refuse(request, exception) : repeat(request, 5);
}

/* Source: MODBUS Application Protocol V1.1b3, 6.17: the write is done before the read. */
static size_t read_write(const struct request *request)
{
    uint16_t words[READ_WORDS_MAX];
    struct window window = window_of(request, MODBUS_FC_READ_HOLDING, 1, words);

    if (window.count == 0 || window.count > READ_WORDS_MAX)
        return refuse(request, ILLEGAL_VALUE);
    window.function = read_function_of(request, MODBUS_HOLDING);
    if (!is_there(&window))
        return refuse(request, ILLEGAL_ADDRESS);
    uint8_t exception = write_block(request, 5, READ_WRITE_WORDS_MAX);
    if (exception)
        return refuse(request, exception);
    fill(&window);
    request->reply[0] = request->pdu[0];
    return reply_words(request, &window);
}

/* The word that a coil gets by the value field of function 5. False when no point takes such a value. */
static bool coil_word(const struct window *window, uint16_t field, uint16_t *ret_word)
{
    const struct gw_device *device;

    for (size_t at = 0; (device = next_device(window->sim, window->unit, &at));)
        for (size_t i = 0; i < device->n_points; i++) {
            const struct modbus_point_conf *point = device->points[i];
            const struct modbus_address *target = target_of(point);
            if (modbus_is_raw(point) || target->area != MODBUS_COIL ||
                target->first != window->first)
                continue;
            if (modbus_point_type(point).type != MODBUS_BOOL || field == point->on_value ||
                field == point->off_value) {
                *ret_word =
                    modbus_point_type(point).type != MODBUS_BOOL ? field : field == point->on_value;
                return true;
            }
        }
    *ret_word = field == MODBUS_COIL_ON;
    return field == MODBUS_COIL_ON || field == MODBUS_COIL_OFF;
}

static size_t write_coil(const struct request *request)
{
    uint16_t word = 0;
    struct window window = window_of(request, MODBUS_FC_READ_COILS, 1, &word);

    window.count = 1;
    if (!is_there(&window))
        return refuse(request, ILLEGAL_ADDRESS);
    if (!coil_word(&window, get16(request->pdu + 3), &word))
        return refuse(request, ILLEGAL_VALUE);
    tell(&window, MODBUS_COIL);
    return repeat(request, 5);
}

static size_t write_coils(const struct request *request)
{
    uint16_t words[WRITE_BITS_MAX];
    struct window window = window_of(request, MODBUS_FC_READ_COILS, 1, words);
    const uint8_t *bytes = request->pdu + 6;

    if (window.count == 0 || window.count > WRITE_BITS_MAX ||
        request->pdu[5] != (window.count + 7) / 8 || request->len != 6u + request->pdu[5])
        return refuse(request, ILLEGAL_VALUE);
    if (!is_there(&window))
        return refuse(request, ILLEGAL_ADDRESS);
    for (size_t i = 0; i < window.count; i++)
        words[i] = bytes[i / 8] >> i % 8 & 1;
    tell(&window, MODBUS_COIL);
    return repeat(request, 5);
}

static const struct {
    uint8_t function;
    size_t min_len, max_len; /* of the request */
    size_t (*answer)(const struct request *request);
} functions[] = {
    {MODBUS_FC_READ_COILS, 5, 5, read_some},
    {MODBUS_FC_READ_DISCRETE, 5, 5, read_some},
    {MODBUS_FC_READ_HOLDING, 5, 5, read_some},
    {MODBUS_FC_READ_INPUT, 5, 5, read_some},
    {MODBUS_FC_WRITE_COIL, 5, 5, write_coil},
    {MODBUS_FC_WRITE_REGISTER, 5, 5, write_register},
    {MODBUS_FC_WRITE_COILS, 7, MODBUS_PDU_MAX, write_coils},
    {MODBUS_FC_WRITE_REGISTERS, 8, MODBUS_PDU_MAX, write_registers},
    {MODBUS_FC_MASK_WRITE, 7, 7, mask_register},
    {MODBUS_FC_READ_WRITE, 12, MODBUS_PDU_MAX, read_write},
};

size_t slave_bank_answer(const struct gw_sim *sim, uint8_t unit, const uint8_t *pdu, size_t len,
                         uint8_t *reply)
{
    const struct request request = {
        .sim = sim, .unit = unit, .pdu = pdu, .len = len, .reply = reply};
    size_t at = 0;

    if (len == 0 || !next_device(sim, unit, &at))
        return 0;
    size_t raw_len = slave_raw_answer(sim, unit, pdu, len, reply);
    if (raw_len > 0)
        return raw_len;
    for (size_t i = 0; i < sizeof functions / sizeof functions[0]; i++)
        if (functions[i].function == pdu[0])
            return len < functions[i].min_len || len > functions[i].max_len
                       ? refuse(&request, ILLEGAL_VALUE)
                       : functions[i].answer(&request);
    return refuse(&request, ILLEGAL_FUNCTION);
}
