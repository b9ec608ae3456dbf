/* cmd_read: `field2mqtt read`: what the points of a device are now, or all that a range of registers may mean. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/cmd_talk.h"
#include "gateway/number.h"

enum { TIMEOUT_US = 30000000 };

/* A device must not be able to move the cursor of whoever looks. */
static void print_text(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++)
        putchar((unsigned char)text[i] < 0x20 || text[i] == 0x7f ? '?' : text[i]);
}

static void print_value(const struct gw_value *value, const char *name)
{
    char text[GW_NUMBER_TEXT];

    if (name)
        printf("%s", name);
    else if (value->kind == GW_TEXT)
        print_text(value->text.p, value->text.len);
    else
        printf("%.*s", (int)gw_number_print(value, text), text);
}

/* ---- points ---------------------------------------------------------------------------------------- */

static bool print_point(const struct gw_talk *talk, size_t index)
{
    const struct gw_point_conf *point = &talk->device->points[index];
    const struct gw_reading *reading = &talk->loop->devices[0].readings[index];

    printf("%-24s ", point->name);
    if (reading->quality == GW_GOOD) {
        print_value(&reading->value, reading->enum_name);
        printf("%s%s\n", point->map->unit ? " " : "", point->map->unit ? point->map->unit : "");
    } else {
        printf("bad: %s\n", reading->reason ? reading->reason : "not_read_yet");
    }
    return reading->quality == GW_GOOD;
}

static bool is_polled(const struct gw_talk *talk, size_t index)
{
    return talk->loop->devices[0].points[index].group != GW_SCHEDULE_NO_GROUP;
}

static int print_all(const struct gw_talk *talk)
{
    bool is_good = true;

    for (size_t i = 0; i < talk->device->n_points; i++)
        if (is_polled(talk, i))
            is_good &= print_point(talk, i);
    return is_good ? GW_EXIT_OK : GW_EXIT_FAILED;
}

static size_t find_point(const struct gw_talk *talk, const char *name)
{
    for (size_t i = 0; i < talk->device->n_points; i++)
        if (strcmp(talk->device->points[i].name, name) == 0)
            return i;
    return SIZE_MAX;
}

/* ---- all that registers may mean ------------------------------------------------------------------- */

static void print_meaning(void *ctx, const char *yaml, const struct gw_value *value)
{
    (void)ctx;
    printf("- { name: x, %s }%*s # ", yaml, strlen(yaml) < 52 ? (int)(52 - strlen(yaml)) : 0, "");
    print_value(value, NULL);
    printf("\n");
}

static int examine(struct gw_talk *talk, const char *place)
{
    struct gw_bus_loop *loop = talk->loop;
    struct gw_driver_diag diag = {0};
    int64_t now_us = gw_now_us(&gw_system_clock);
    enum gw_err err = GW_E_CONFIG;

    if (!loop->driver->examine) {
        snprintf(diag.text, sizeof diag.text, "point \"%.60s\" is unknown", place);
    } else {
        err = loop->link.is_open ? GW_OK
                                 : loop->driver->open(loop->bus, now_us + TIMEOUT_US / 6, &diag);
        loop->link.is_open = err == GW_OK;
    }
    if (err == GW_OK)
        err = loop->driver->examine(loop->devices[0].device, place,
                                    now_us + talk->device->timeout_us + 2000000, print_meaning,
                                    NULL, &diag);
    if (err != GW_OK || diag.text[0])
        fprintf(stderr, "field2mqtt read: %s\n", diag.text[0] ? diag.text : gw_err_str(err));
    if (err == GW_OK)
        return GW_EXIT_OK;
    return err == GW_E_CONFIG ? GW_EXIT_USAGE : GW_EXIT_FAILED;
}

static int read_one(struct gw_talk *talk, const char *what)
{
    size_t index = find_point(talk, what);

    if (index == SIZE_MAX)
        return examine(talk, what);
    if (!is_polled(talk, index)) {
        fprintf(stderr, "field2mqtt read: point %s is never read\n", what);
        return GW_EXIT_FAILED;
    }
    (void)gw_talk_until(talk, gw_talk_has_read, NULL, TIMEOUT_US);
    return print_point(talk, index) ? GW_EXIT_OK : GW_EXIT_FAILED;
}

static int run(int argc, char **argv)
{
    struct gw_talk talk = {0};
    const char **words = calloc((size_t)argc + 1, sizeof *words);
    size_t n = 0;
    int code = GW_EXIT_OK;

    if (!words)
        return GW_EXIT_FAILED;
    gw_cmd_paths_init(&talk.paths);
    for (int i = 1; i < argc && code == GW_EXIT_OK; i++) {
        int taken = gw_talk_take(&talk, argc, argv, &i);

        if (taken < 0)
            code = gw_cmd_usage(&gw_cmd_read, "%s needs an argument", argv[i]);
        else if (taken == 0 && argv[i][0] == '-')
            code = gw_cmd_usage(&gw_cmd_read, "unknown option %s", argv[i]);
        else if (taken == 0)
            words[n++] = argv[i];
    }
    if (code == GW_EXIT_OK && n == 0)
        code = gw_cmd_usage(&gw_cmd_read, "which device?");
    if (code == GW_EXIT_OK)
        code = gw_talk_begin(&talk, &gw_cmd_read, words[0]);
    if (code == GW_EXIT_OK && n == 1) {
        (void)gw_talk_until(&talk, gw_talk_has_read, NULL, TIMEOUT_US);
        code = print_all(&talk);
    }
    for (size_t i = 1; i < n && code == GW_EXIT_OK; i++)
        code = read_one(&talk, words[i]);
    gw_talk_end(&talk);
    free(words);
    return code;
}

const struct gw_verb gw_cmd_read = {
    .name = "read",
    .usage = "read [--simulated DIR[,PORT_OFFSET]] -c FILE [BUS/]DEVICE [POINT | REGISTERS]...",
    .summary = "read points once, or show all that registers may mean",
    .run = run,
};
