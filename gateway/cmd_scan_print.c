/* cmd_scan_print: what a scan found, as YAML that `field2mqtt check` takes, and what to look after when it found nothing.
 * What a device says of itself is hostile: it stands in comments, quoted, and cannot end the line. */
#include <string.h>

#include "gateway/cmd_scan.h"

void gw_scan_put_quoted(FILE *out, const char *text, size_t len)
{
    fputc('"', out);
    for (size_t i = 0; i < len; i++) {
        unsigned char byte = (unsigned char)text[i];

        if (byte == '"' || byte == '\\')
            fprintf(out, "\\%c", byte);
        else if (byte < 0x20 || byte > 0x7e)
            fprintf(out, "\\x%02X", byte);
        else
            fputc(byte, out);
    }
    fputc('"', out);
}

const char *gw_scan_setting_name(const struct gw_scan_setting *setting, char buf[80])
{
    size_t len = 0;

    buf[0] = '\0';
    for (size_t i = setting->n_fixed; i < setting->n_words && len < 80; i++)
        len += (size_t)snprintf(buf + len, 80 - len, "%s%s", len > 0 ? " " : "", setting->words[i]);
    return buf;
}

/* The name of the bus from where it is: "ttyUSB0", "10.0.0.5". */
static void put_bus_name(const char *where, size_t index)
{
    const char *slash = strrchr(where, '/');
    const char *name = slash && slash[1] ? slash + 1 : where;

    for (int n = 0; *name && n < 40; name++, n++) {
        bool is_plain = (*name >= 'a' && *name <= 'z') || (*name >= 'A' && *name <= 'Z') ||
                        (*name >= '0' && *name <= '9') || strchr("_.-", *name);
        putchar(is_plain ? *name : '-');
    }
    if (index > 0)
        printf("-%zu", index + 1);
}

/* KEY=VALUE as a line of YAML; numbers and words stand as they are. */
static void put_key(const char *word)
{
    const char *value = strchr(word, '=') + 1;
    size_t len = strlen(value);

    printf("    %.*s: ", (int)(value - word - 1), word);
    if (len > 0 && (strspn(value, "0123456789") == len ||
                    strspn(value, "abcdefghijklmnopqrstuvwxyz0123456789") == len)) {
        printf("%s\n", value);
        return;
    }
    putchar('"');
    for (; *value; value++) {
        if (*value == '"' || *value == '\\')
            putchar('\\');
        if ((unsigned char)*value < 0x20 || *value == 0x7f)
            printf("\\x%02X", (unsigned char)*value);
        else
            putchar(*value);
    }
    puts("\"");
}

static void put_device(const struct gw_scan *scan, const struct gw_scan_device *device,
                       size_t bus_index)
{
    const char *key = scan->driver->scan->address_key;
    char suffix[24] = "";

    if (bus_index > 0) /* the same unit at two settings */
        snprintf(suffix, sizeof suffix, "-%zu", bus_index + 1);

    if (device->is_all)
        printf("      # it answers whatever the %s is\n", key);
    if (device->notes_bytes > 0)
        fputs(device->notes, stdout);
    printf("      - name: %s-%u%s\n        %s: %u\n        points:\n", key, device->address, suffix,
           key, device->address);
    if (device->probed.refusal)
        printf("          # refused (%s): put in what the manual of the device says\n",
               device->probed.reason);
    else
        printf("          # it answers to this; put in what the manual of the device says\n");
    printf("          - { name: first, %s }\n", device->probed.point);
    if (device->points_bytes > 0)
        fputs(device->points, stdout);
}

void gw_scan_print(const struct gw_scan *scan)
{
    size_t n_buses = 0;

    for (size_t i = 0; i < scan->n_settings; i++) {
        const struct gw_scan_setting *setting = &scan->settings[i];

        if (setting->n_devices == 0)
            continue;
        printf("%s  - name: ",
               n_buses == 0 ? "buses:\n" : "  # a line has one setting: keep one of these buses\n");
        put_bus_name(strchr(setting->words[0], '=') + 1, n_buses);
        printf("\n    driver: %s\n", scan->driver->name);
        for (size_t k = 0; k < setting->n_words; k++)
            put_key(setting->words[k]);
        printf("    devices:\n");
        for (size_t k = 0; k < setting->n_devices; k++)
            put_device(scan, &setting->devices[k], n_buses);
        n_buses++;
    }
    fflush(stdout);
}

static void print_garbled(const struct gw_scan *scan)
{
    for (size_t i = 0; i < scan->n_settings; i++) {
        const struct gw_scan_setting *setting = &scan->settings[i];
        char name[80];

        gw_scan_setting_name(setting, name);
        if (setting->n_garbled > 0)
            fprintf(
                stderr,
                "%s%s%u times what came was no answer (the last at %s %u: %s): two devices with "
                "one %s, another master, or the wrong speed or parity\n",
                name, *name ? ": " : "", setting->n_garbled, scan->driver->scan->address_key,
                setting->garbled_address,
                setting->garbled_reason ? setting->garbled_reason : "garbage",
                scan->driver->scan->address_key);
        if (setting->n_hung_up > 0)
            fprintf(stderr, "%s%s%u times the other side hung up instead of an answer\n", name,
                    *name ? ": " : "", setting->n_hung_up);
    }
}

static bool has_line(const struct gw_driver *driver)
{
    for (const struct gw_key *key = driver->bus_keys; key->name; key++)
        if (key->flags & GW_BAUD)
            return true;
    return false;
}

void gw_scan_print_hints(const struct gw_scan *scan)
{
    print_garbled(scan);
    if (scan->n_found > 0 || scan->is_stopped)
        return;
    fprintf(stderr, "nobody answered. What to look after:\n");
    if (has_line(scan->driver))
        fprintf(stderr,
                "- A and B swapped: makers name the two wires differently, so just try\n"
                "- the common ground (third wire), power, and the right terminals\n"
                "- termination: 120 ohm at both ends of the line, nowhere else\n"
                "- an adapter that needs its direction switched: rs485=rts-up or rs485=kernel\n"
                "- other speeds or settings: --baud 1200,2400,4800,38400,57600 stop_bits=2\n");
    else
        fprintf(stderr, "- whether the port is that of Modbus: 502 as a rule\n"
                        "- RTU inside of TCP, as serial device servers speak it: framing=rtu\n"
                        "- access lists and the number of connections that the device allows\n");
    fprintf(stderr, "- slow devices: --timeout 500ms\n");
}
