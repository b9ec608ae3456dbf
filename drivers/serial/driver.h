/* driver: what the functions of the driver table share: the state of a bus and of an instrument, and the parts of a
 * conversation. What bytes mean is in frame.h and extract.h. */
#ifndef SERIAL_DRIVER_H
#define SERIAL_DRIVER_H

#include "drivers/serial/extract.h"
#include "drivers/serial/line.h"

/* An answer that is owed may come until so many times the time that it had. */
enum { SERIAL_DOUBT_TIMES = 3, SERIAL_SEND_MAX = 1024 };

/* The state of an instrument; that of a bus is struct serial_line_state. */
struct serial_device {
    struct serial_ear ear;
    struct serial_reader reader;
    struct serial_vars vars;
    bool is_started;    /* on_open was done since the port was opened */
    int64_t restart_us; /* on_open again, not before: it failed, or nothing was heard for long */
    int64_t
        doubt_until_us; /* an answer is owed: until then it may come, and the right one cannot be told from it */
    struct serial_stream stream;
};

static inline struct serial_line_state *serial_line_of(const struct gw_device *device)
{
    return device->bus->state;
}

static inline int64_t serial_now(const struct gw_bus *bus)
{
    return bus->host->now_us(bus->host->ctx);
}

static inline int64_t serial_sooner(int64_t a_us, int64_t b_us)
{
    return a_us < b_us ? a_us : b_us;
}

/* ---- talk.c ---- */

/* How long nothing has to come until what is held is all of a frame. 0: that is never so. */
int64_t serial_idle_us(const struct gw_device *device);
/* Gives the next frame that has arrived. It is valid until something is heard or the next call.
 * Errors: GW_E_TIMEOUT: none yet; GW_E_PROTO with *ret_reason: what stood there is no frame. */
GW_MUST_CHECK enum gw_err serial_cut_frame(struct gw_device *device, struct serial_frame *ret_frame,
                                           const char **ret_reason);
/* The same, and waits for it until until_us. Also GW_E_LINK and GW_E_CLOSED. */
GW_MUST_CHECK enum gw_err serial_next_frame(struct gw_device *device, int64_t until_us, int wake_fd,
                                            struct serial_frame *ret_frame,
                                            const char **ret_reason);
/* Does a frame have a pattern of the device? NULL: no. */
bool serial_frame_has(struct gw_device *device, const char *pattern,
                      const struct serial_frame *frame);

/* Makes the device ready to hear an answer: what came before is forgotten. */
void serial_open_ear(struct gw_device *device);
/* Sends a text before until_us, after the pause that the bus wants between requests. *ret_reason as below. */
GW_MUST_CHECK enum gw_err serial_send(struct gw_device *device, const char *text,
                                      const struct serial_append_conf *checksum, int64_t until_us,
                                      const char **ret_reason);

/* Runs steps. Variables that their answers bring are kept.
 * Errors: GW_E_TIMEOUT: what was expected did not come; those of the port. *ret_reason: static, or as it was. */
GW_MUST_CHECK enum gw_err serial_run_steps(struct gw_device *device, const struct gw_items *steps,
                                           int64_t until_us, const char **ret_reason);
/* Sets the line to what the bus says, after steps have changed it. */
GW_MUST_CHECK enum gw_err serial_restore_line(struct gw_bus *bus, int64_t until_us);
/* Runs on_open of a device if that was not done yet. */
GW_MUST_CHECK enum gw_err serial_start_device(struct gw_device *device, int64_t until_us,
                                              const char **ret_reason);

/* ---- the table ---- */

enum gw_err serial_decode(struct gw_device *device, const uint8_t *bytes, size_t len,
                          const struct gw_decoded *decoded);
size_t serial_device_size(const struct gw_device *device);
enum gw_err serial_prepare(struct gw_device *device);
void serial_release(struct gw_device *device);
enum gw_err serial_open(struct gw_bus *bus, int64_t deadline_us, struct gw_driver_diag *diag);
void serial_close(struct gw_bus *bus);
void serial_join_bus(struct gw_device *device);
void serial_leave_bus(struct gw_device *device);
enum gw_err serial_raw(struct gw_bus *bus, const uint8_t *send, size_t n_send, int64_t deadline_us,
                       uint8_t *buf, size_t size, size_t *ret_len);
enum gw_err serial_plan(struct gw_device *device, const uint16_t *points, size_t n_points,
                        struct gw_plan *ret_plan);
void serial_describe(const struct gw_device *device, const struct gw_request *request, char *buf,
                     size_t size);
enum gw_err serial_execute(struct gw_device *device, const struct gw_request *request,
                           const uint16_t *members, int64_t deadline_us, struct gw_result *results,
                           struct gw_outcome *outcome);
enum gw_err serial_write(struct gw_device *device, const struct gw_write *writes, size_t n_writes,
                         int64_t deadline_us, size_t *ret_n_written, struct gw_outcome *outcome);
enum gw_err serial_listen(struct gw_bus *bus, int64_t deadline_us,
                          void (*heard)(void *ctx, struct gw_device *device, uint16_t point,
                                        const struct gw_result *result, int64_t acquired_us),
                          void *ctx);
enum gw_err serial_redirect(void *bus_conf, const char *bus_name, const struct gw_sim_place *place,
                            char *buf, size_t size);
enum gw_err serial_simulate(const struct gw_sim *sim, struct gw_driver_diag *diag);

#endif
