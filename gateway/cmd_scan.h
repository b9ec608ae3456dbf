/* cmd_scan: `field2mqtt scan`, in parts: options (cmd_scan.c), asking (cmd_scan_ask.c), how far it is (cmd_scan_progress.c)
 * and what is printed (cmd_scan_print.c). Knows addresses and keys; what an answer is, the driver knows. */
#ifndef GW_CMD_SCAN_H
#define GW_CMD_SCAN_H

#include <stdio.h>

#include "gateway/cmd.h"

enum { GW_SCAN_ADDRESSES = 256, GW_SCAN_WORDS = 32, GW_SCAN_SETTINGS = 96, GW_SCAN_QUESTIONS = 8 };

/* Who was found. */
struct gw_scan_device {
    uint16_t address;
    struct gw_probed probed;
    bool is_all;          /* it answers to every address */
    char *notes, *points; /* YAML: lines of comments; further points */
    size_t notes_bytes, points_bytes;
};

/* The bus by one set of keys. */
struct gw_scan_setting {
    const char *words[GW_SCAN_WORDS]; /* KEY=VALUE */
    size_t n_words, n_fixed;          /* the first ones are the same in all settings */
    struct gw_config *config;
    struct gw_bus *bus;
    struct gw_scan_device devices[GW_SCAN_ADDRESSES];
    size_t n_devices;
    bool is_known[GW_SCAN_ADDRESSES], is_late[GW_SCAN_ADDRESSES];
    unsigned n_garbled,
        n_hung_up; /* what came was no answer; the link was closed instead of an answer */
    uint16_t garbled_address;
    const char *garbled_reason; /* of the last one */
};

struct gw_scan {
    const struct gw_driver *driver;
    uint16_t addresses[GW_SCAN_ADDRESSES];
    size_t n_addresses;
    bool has_all_settings, is_quick;
    int64_t timeout_us;
    struct gw_scan_setting *settings;
    size_t n_settings;
    int signal_fd;
    bool is_stopped; /* by a signal */
    size_t n_found;
    struct {
        bool is_terminal, is_line_open;
        int64_t start_us, told_us;
        int64_t total_us, done_us; /* of silence, as predicted */
        int64_t aside_us;          /* spent on those who answered */
    } progress;
};

int64_t gw_scan_now_us(void);

/* Asks everybody. Returns the exit code when it could not; what was found until then holds. */
int gw_scan_ask(struct gw_scan *scan);

/* ---- to stderr: one line that is refreshed on a terminal, else a line now and then ---- */

void gw_scan_progress_begin(struct gw_scan *scan);
void gw_scan_progress_pass(struct gw_scan *scan, const struct gw_scan_setting *setting,
                           unsigned question);
void gw_scan_progress_at(struct gw_scan *scan, const struct gw_scan_setting *setting,
                         uint16_t address);
void gw_scan_progress_found(struct gw_scan *scan, const struct gw_scan_setting *setting,
                            const struct gw_scan_device *device);
void gw_scan_progress_end(struct gw_scan *scan);

/* ---- the outcome ---- */

/* The buses and devices as YAML to stdout. */
void gw_scan_print(const struct gw_scan *scan);
/* What to look after, to stderr. */
void gw_scan_print_hints(const struct gw_scan *scan);
/* "baud=9600 parity=none"; "" with one setting only. Returns buf. */
const char *gw_scan_setting_name(const struct gw_scan_setting *setting, char buf[80]);
/* Text of a device between quotes, as a YAML scalar of one line: every byte that is no plain ASCII is \xHH. */
void gw_scan_put_quoted(FILE *out, const char *text, size_t len);

#endif
