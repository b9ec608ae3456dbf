/* cmd_scan_ask: asks every address at every setting.
 *
 * DESIGN: the first question goes to all addresses at all settings before the second one does, since most devices answer
 * the first. A setting at which somebody answered gets all its questions at once, and ends the scan unless all settings
 * are wanted. Who answers late is asked once more with patience. An answer to an address that no device has tells that
 * somebody answers to all: the same answer at other addresses is then that somebody, not a device for each. */
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/cmd_scan.h"
#include "gateway/driver_bus.h"

enum { OPEN_US = 5000000, PATIENCE = 5, TRIES = 4, EXIT_NO_LINK = 2 };

/* One question to all addresses at one setting. */
struct pass {
    struct gw_scan *scan;
    struct gw_scan_setting *setting;
    unsigned question;
    int64_t done_us; /* of the progress, when it began */
    bool has_nobody; /* an address that no device has was answered ... */
    int nobody;      /* ... with this refusal, 0: with data */
    bool has_crowd;
    uint16_t crowd; /* the first address of those that are answered in the same way */
    struct gw_probed crowd_probed;
};

/* ---- the link ---- */

static bool open_link(struct gw_scan *scan, struct gw_scan_setting *setting)
{
    struct gw_driver_diag diag = {0};
    enum gw_err err = scan->driver->open(setting->bus, gw_scan_now_us() + OPEN_US, &diag);

    if (err == GW_OK)
        return true;
    scan->driver->close(setting->bus);
    scan->is_stopped = err == GW_E_CLOSED;
    gw_scan_progress_end(scan);
    if (!scan->is_stopped)
        fprintf(stderr, "field2mqtt scan: %s\n", diag.text[0] ? diag.text : gw_err_str(err));
    return false;
}

static void wait_or_signal(const struct gw_scan *scan, int64_t wait_us)
{
    struct pollfd fd = {.fd = scan->signal_fd, .events = POLLIN};

    (void)poll(&fd, 1, (int)((wait_us + 999) / 1000));
}

/* ---- how long it takes ---- */

static unsigned n_questions(const struct gw_scan *scan)
{
    return scan->is_quick ? 1 : scan->driver->scan->n_questions;
}

/* One question to all addresses, when nobody answers. */
static int64_t silence_us(const struct gw_scan *scan, const struct gw_scan_setting *setting)
{
    int64_t sum_us = 0;

    for (size_t i = 0; i < scan->n_addresses; i++) {
        const struct gw_probe what = {scan->addresses[i], 0, scan->timeout_us};

        sum_us += scan->driver->probe_us(setting->config->buses->driver_conf, &what);
    }
    return sum_us;
}

static void predict(struct gw_scan *scan)
{
    scan->progress.total_us = 0;
    for (size_t s = 0; s < scan->n_settings; s++)
        scan->progress.total_us += n_questions(scan) * silence_us(scan, &scan->settings[s]);
}

/* Somebody answered: the other settings are not asked any more. */
static void predict_rest(const struct pass *pass)
{
    pass->scan->progress.total_us = pass->done_us + (n_questions(pass->scan) - pass->question) *
                                                        silence_us(pass->scan, pass->setting);
}

/* ---- one address ---- */

/* Until it was really asked. GW_E_LINK: and the link cannot be opened again. */
static enum gw_err probe(const struct pass *pass, const struct gw_probe *what,
                         struct gw_probed *ret_probed)
{
    struct gw_scan *scan = pass->scan;
    enum gw_err err = GW_E_BUSY;

    for (int i = 0; i < TRIES && err == GW_E_BUSY; i++) {
        *ret_probed = (struct gw_probed){0};
        err = scan->driver->probe(pass->setting->bus, what, ret_probed);
        if (ret_probed->late_address > 0 && ret_probed->late_address < GW_SCAN_ADDRESSES)
            pass->setting->is_late[ret_probed->late_address] = true;
        if (err == GW_E_BUSY)
            wait_or_signal(scan, ret_probed->hold_us);
    }
    if (err == GW_E_LINK) {
        pass->setting->n_hung_up++;
        return open_link(scan, pass->setting) ? GW_E_TIMEOUT : GW_E_LINK;
    }
    return err;
}

static void put_note(void *ctx, const char *what, const char *text, size_t len)
{
    FILE *const *out = ctx;

    fprintf(out[0], "      # %s: ", what);
    gw_scan_put_quoted(out[0], text, len);
    fputc('\n', out[0]);
}

static void put_point(void *ctx, const char *name, const char *keys)
{
    FILE *const *out = ctx;

    fprintf(out[1], "          - { name: %s, %s }\n", name, keys);
}

/* What it says of itself, and a question that it answers with data if it refused the first. */
static void get_to_know(const struct pass *pass, struct gw_scan_device *device)
{
    const struct gw_driver *driver = pass->scan->driver;
    struct gw_probe what = {device->address, pass->question, pass->scan->timeout_us * 2};
    FILE *out[2] = {open_memstream(&device->notes, &device->notes_bytes),
                    open_memstream(&device->points, &device->points_bytes)};
    const struct gw_identity identity = {out, put_note, put_point};
    enum gw_err err = GW_OK;

    while (device->probed.refusal && ++what.question < driver->scan->n_questions &&
           err != GW_E_CLOSED && err != GW_E_LINK) {
        struct gw_probed probed;

        err = probe(pass, &what, &probed);
        if (err == GW_OK && !probed.refusal)
            device->probed = probed;
    }
    if (out[0] && out[1] && err != GW_E_CLOSED && err != GW_E_LINK)
        (void)driver->identify(pass->setting->bus, &what, &identity); /* the next probe tells */
    for (int i = 0; i < 2; i++)
        if (out[i])
            fclose(out[i]);
}

static void add_device(const struct pass *pass, uint16_t address, const struct gw_probed *probed)
{
    struct gw_scan_device *device = &pass->setting->devices[pass->setting->n_devices++];
    int64_t start_us = gw_scan_now_us();

    pass->setting->is_known[address] = true;
    if (pass->scan->n_found++ == 0 && !pass->scan->has_all_settings)
        predict_rest(pass);
    device->address = address;
    device->probed = *probed;
    gw_scan_progress_found(pass->scan, pass->setting, device);
    get_to_know(pass, device);
    pass->scan->progress.aside_us += gw_scan_now_us() - start_us;
}

static void take_answer(struct pass *pass, uint16_t address, const struct gw_probed *probed)
{
    if (!pass->has_nobody || probed->refusal != pass->nobody) {
        add_device(pass, address, probed);
        return;
    }
    if (!pass->has_crowd) {
        pass->crowd = address;
        pass->crowd_probed = *probed;
    }
    pass->has_crowd = true;
}

static enum gw_err ask_address(struct pass *pass, uint16_t address, int64_t timeout_us)
{
    const struct gw_probe what = {address, pass->question, timeout_us};
    struct gw_probed probed;
    enum gw_err err = probe(pass, &what, &probed);

    if (err == GW_OK)
        take_answer(pass, address, &probed);
    if (err == GW_E_PROTO) {
        pass->setting->n_garbled++;
        pass->setting->garbled_address = address;
        pass->setting->garbled_reason = probed.reason;
    }
    if (err == GW_E_CLOSED)
        pass->scan->is_stopped = true;
    return err == GW_E_CLOSED || err == GW_E_LINK ? err : GW_OK;
}

/* ---- all addresses ---- */

static enum gw_err ask_nobody(struct pass *pass)
{
    const struct gw_probe what = {pass->scan->driver->scan->nobody, pass->question,
                                  pass->scan->timeout_us};
    struct gw_probed probed;

    if (!what.address)
        return GW_OK;
    enum gw_err err = probe(pass, &what, &probed);
    pass->has_nobody = err == GW_OK;
    pass->nobody = probed.refusal;
    pass->scan->is_stopped |= err == GW_E_CLOSED;
    return err == GW_E_CLOSED || err == GW_E_LINK ? err : GW_OK;
}

static enum gw_err ask_all(struct pass *pass)
{
    struct gw_scan *scan = pass->scan;
    struct gw_scan_setting *setting = pass->setting;
    enum gw_err err = ask_nobody(pass);

    for (size_t i = 0; i < scan->n_addresses && err == GW_OK; i++) {
        const struct gw_probe what = {scan->addresses[i], pass->question, scan->timeout_us};

        gw_scan_progress_at(scan, setting, what.address);
        if (!setting->is_known[what.address])
            err = ask_address(pass, what.address, what.timeout_us);
        scan->progress.done_us +=
            scan->driver->probe_us(setting->config->buses->driver_conf, &what);
    }
    for (size_t i = 0; i < scan->n_addresses && err == GW_OK; i++) {
        uint16_t address = scan->addresses[i];

        if (setting->is_late[address] && !setting->is_known[address])
            err = ask_address(pass, address, scan->timeout_us * PATIENCE);
        setting->is_late[address] = false;
    }
    return err;
}

/* Somebody who answers to all is one device. When others are there too, a refusal is the gateway's before them. */
static void settle_crowd(struct pass *pass)
{
    struct gw_scan_setting *setting = pass->setting;

    if (!pass->has_crowd || (pass->nobody != 0 && setting->n_devices > 0))
        return;
    add_device(pass, pass->crowd, &pass->crowd_probed);
    setting->devices[setting->n_devices - 1].is_all = true;
    for (size_t i = 0; i < GW_SCAN_ADDRESSES; i++)
        setting->is_known[i] = true; /* nobody else can be told apart from it */
}

static bool ask_setting(struct gw_scan *scan, struct gw_scan_setting *setting, unsigned question)
{
    struct pass pass = {
        .scan = scan, .setting = setting, .question = question, .done_us = scan->progress.done_us};

    if (!open_link(scan, setting))
        return false;
    gw_scan_progress_pass(scan, setting, question);
    enum gw_err err = ask_all(&pass);
    if (err == GW_OK || err == GW_E_CLOSED)
        settle_crowd(&pass);
    scan->driver->close(setting->bus);
    return err == GW_OK;
}

/* ---- all settings ---- */

/* The questions that are left at a setting where somebody answered. */
static bool ask_rest(struct gw_scan *scan, struct gw_scan_setting *setting, unsigned question)
{
    bool is_fine = true;

    while (is_fine && ++question < n_questions(scan))
        is_fine = ask_setting(scan, setting, question);
    return is_fine;
}

int gw_scan_ask(struct gw_scan *scan)
{
    bool is_done[GW_SCAN_SETTINGS] = {false}, is_fine = true;

    predict(scan);
    gw_scan_progress_begin(scan);
    for (unsigned question = 0; question < n_questions(scan); question++)
        for (size_t s = 0; s < scan->n_settings && is_fine; s++) {
            struct gw_scan_setting *setting = &scan->settings[s];

            if (is_done[s])
                continue;
            is_fine = ask_setting(scan, setting, question);
            if (!is_fine || setting->n_devices == 0)
                continue;
            is_fine = ask_rest(scan, setting, question);
            is_done[s] = true;
            if (is_fine && !scan->has_all_settings)
                goto end;
        }
end:
    gw_scan_progress_end(scan);
    return is_fine || scan->is_stopped ? GW_EXIT_OK : EXIT_NO_LINK;
}
