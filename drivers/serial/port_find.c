/* port_find: from what a user calls a port to its device file. A link is followed each time a port is opened, and a USB
 * identity is looked up each time, so that an adapter that comes back under another name is found.
 * Source: Linux Documentation/ABI/testing/sysfs-bus-usb; a tty's `device` lies in the folder of a USB interface, whose
 * parent is the USB device with idVendor, idProduct and serial. */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "drivers/serial/port_impl.h"

enum { ID_MAX = 128, NAMES_MAX = 100 };

struct identity {
    char vendor[8], product[8], serial[ID_MAX];
    long interface; /* -1: any */
};

/* Tests put their own /sys and /dev below another root. */
static const char *root(void)
{
    const char *root = secure_getenv("FIELD2MQTT_DEVICE_ROOT");

    return root ? root : "";
}

static bool take_hex(const char **text, char ret_hex[8])
{
    size_t n = 0;

    for (; isxdigit((unsigned char)**text) && n < 4; (*text)++)
        ret_hex[n++] = (char)tolower((unsigned char)**text);
    ret_hex[n] = '\0';
    return n == 4;
}

/* usb:VID:PID, usb:VID:PID:SERIAL, usb:VID:PID:SERIAL:INTERFACE; SERIAL may be empty. */
static bool parse_identity(const char *name, struct identity *ret_identity)
{
    const char *text = name + 4;
    struct identity *id = ret_identity;
    char *end;

    *id = (struct identity){.interface = -1};
    if (!take_hex(&text, id->vendor) || *text++ != ':' || !take_hex(&text, id->product))
        return false;
    if (*text == '\0')
        return true;
    if (*text++ != ':')
        return false;
    size_t len = strcspn(text, ":");
    if (len >= sizeof id->serial)
        return false;
    memcpy(id->serial, text, len);
    text += len;
    if (*text == '\0')
        return true;
    id->interface = strtol(text + 1, &end, 10);
    return isdigit((unsigned char)text[1]) && *end == '\0' && id->interface < 256;
}

bool serial_check_usb_name(const char *name)
{
    struct identity identity;

    return strncmp(name, "usb:", 4) == 0 && parse_identity(name, &identity);
}

/* Reads the first line of DIR/FILE. */
static bool read_line(const char *dir, const char *file, char *buf, size_t size)
{
    char path[PATH_MAX];

    if (snprintf(path, sizeof path, "%s/%s", dir, file) >= (int)sizeof path)
        return false;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    ssize_t n = read(fd, buf, size - 1);
    close(fd);
    if (n < 0)
        return false;
    buf[n] = '\0';
    buf[strcspn(buf, "\n")] = '\0';
    return true;
}

/* Cuts the last part off a path. False at the end of it. */
static bool go_up(char *dir)
{
    char *slash = strrchr(dir, '/');

    if (!slash || slash == dir)
        return false;
    *slash = '\0';
    return true;
}

static bool is_it(char *dir, const struct identity *wanted)
{
    char text[ID_MAX];
    long interface = -1;

    while (!read_line(dir, "idVendor", text, sizeof text)) {
        if (interface < 0 && read_line(dir, "bInterfaceNumber", text, sizeof text))
            interface = strtol(text, NULL, 16);
        if (!go_up(dir))
            return false;
    }
    if (strcasecmp(text, wanted->vendor) != 0)
        return false;
    if (!read_line(dir, "idProduct", text, sizeof text) || strcasecmp(text, wanted->product) != 0)
        return false;
    if (wanted->interface >= 0 && wanted->interface != interface)
        return false;
    return !wanted->serial[0] ||
           (read_line(dir, "serial", text, sizeof text) && strcmp(text, wanted->serial) == 0);
}

/* What was found: the first, how many, and their names for the sentence. */
struct found {
    char first[NAME_MAX + 1], names[NAMES_MAX];
    size_t n;
};

static void look_at(const char *classes, const char *tty, const struct identity *wanted,
                    struct found *found)
{
    char link[PATH_MAX], dir[PATH_MAX];
    size_t at = strlen(found->names);

    if (snprintf(link, sizeof link, "%s/%s/device", classes, tty) >= (int)sizeof link ||
        !realpath(link, dir) || !is_it(dir, wanted))
        return;
    if (found->n++ == 0)
        snprintf(found->first, sizeof found->first, "%s", tty);
    snprintf(found->names + at, sizeof found->names - at, "%s%.20s", at ? ", " : "", tty);
}

static enum gw_err find_usb(const char *name, char ret_path[SERIAL_PATH_MAX],
                            struct gw_driver_diag *diag)
{
    struct identity wanted;
    struct found found = {.n = 0};
    char classes[PATH_MAX];

    if (!parse_identity(name, &wanted)) {
        snprintf(diag->text, sizeof diag->text,
                 "port %.100s is not usb:VENDOR:PRODUCT or usb:VENDOR:PRODUCT:SERIAL", name);
        return GW_E_LINK;
    }
    snprintf(classes, sizeof classes, "%.3000s/sys/class/tty", root());
    DIR *dir = opendir(classes);
    for (struct dirent *entry = dir ? readdir(dir) : NULL; entry; entry = readdir(dir))
        if (entry->d_name[0] != '.')
            look_at(classes, entry->d_name, &wanted, &found);
    if (dir)
        closedir(dir);
    if (found.n == 0) {
        snprintf(diag->text, sizeof diag->text, "port %.100s is not plugged in", name);
        return GW_E_LINK;
    }
    if (found.n > 1) { /* a wrong instrument is worse than none */
        snprintf(diag->text, sizeof diag->text,
                 "port %.60s fits %zu adapters (%.80s); add the serial number or the interface",
                 name, found.n, found.names);
        return GW_E_LINK;
    }
    int len = snprintf(ret_path, SERIAL_PATH_MAX, "%s/dev/%s", root(), found.first);
    return len < SERIAL_PATH_MAX ? GW_OK : GW_E_LINK;
}

enum gw_err serial_find_port(const char *name, char ret_path[SERIAL_PATH_MAX],
                             struct gw_driver_diag *diag)
{
    char found[PATH_MAX], path[PATH_MAX];
    int len;

    if (strncmp(name, "usb:", 4) == 0) {
        enum gw_err err = find_usb(name, ret_path, diag);
        if (err != GW_OK)
            return err;
        snprintf(found, sizeof found, "%s", ret_path);
    } else {
        snprintf(found, sizeof found, "%s", name);
    }
    /* libserialport takes no links. What does not exist is told by whoever opens it. */
    len = snprintf(ret_path, SERIAL_PATH_MAX, "%s", realpath(found, path) ? path : found);
    if (len < SERIAL_PATH_MAX)
        return GW_OK;
    snprintf(diag->text, sizeof diag->text, "port %.100s has too long a path", name);
    return GW_E_LINK;
}
