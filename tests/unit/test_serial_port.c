/* The port of the serial driver, on real ptys and loopback sockets; USB adapters are played by a /sys of our own. */
#include <asm/ioctls.h>
#include <asm/termbits.h>
#include <dirent.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "drivers/serial/port.h"

#define MS INT64_C(1000)
#define S  (1000 * MS)

static int64_t now_us(void *ctx)
{
    struct timespec now;

    (void)ctx;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static int64_t in_us(int64_t us)
{
    return now_us(NULL) + us;
}

static struct world {
    char dir[64], link[96];
    int master;
    struct gw_host host;
    struct serial_port_conf conf;
    struct serial_port port;
    struct gw_driver_diag diag;
} w;

static size_t count_fds(void)
{
    DIR *dir = opendir("/proc/self/fd");
    size_t n = 0;

    assert_non_null(dir);
    while (readdir(dir))
        n++;
    closedir(dir);
    return n;
}

/* A cable is plugged in: a new pty, and the link that leads to it. */
static void plug_in(const char *link)
{
    char name[64];

    w.master = posix_openpt(O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
    assert_true(w.master >= 0);
    assert_int_equal(grantpt(w.master), 0);
    assert_int_equal(unlockpt(w.master), 0);
    assert_int_equal(ptsname_r(w.master, name, sizeof name), 0);
    unlink(link);
    assert_int_equal(symlink(name, link), 0);
}

static void unplug(void)
{
    close(w.master);
    w.master = -1;
}

static int setup(void **state)
{
    (void)state;
    memset(&w, 0, sizeof w);
    snprintf(w.dir, sizeof w.dir, "/tmp/field2mqtt-port-XXXXXX");
    assert_non_null(mkdtemp(w.dir));
    snprintf(w.link, sizeof w.link, "%s/port", w.dir);
    w.host = (struct gw_host){.now_us = now_us, .wake_fd = -1, .listen_fd = -1};
    w.conf = (struct serial_port_conf){
        .name = w.link,
        .line = {.baud = 9600, .data_bits = 8, .parity = SERIAL_PARITY_NONE, .stop_bits = 1},
    };
    plug_in(w.link);
    return 0;
}

static int teardown(void **state)
{
    char command[128];

    (void)state;
    serial_port_close(&w.port);
    serial_port_close(&w.port);
    if (w.master >= 0)
        close(w.master);
    unsetenv("FIELD2MQTT_DEVICE_ROOT");
    snprintf(command, sizeof command, "rm -rf %s", w.dir);
    return system(command);
}

static enum gw_err open_port(void)
{
    return serial_port_open(&w.port, &w.conf, &w.host, in_us(5 * S), &w.diag);
}

static void open_well(void)
{
    if (open_port() != GW_OK)
        fail_msg("%s", w.diag.text);
}

static void send_bytes(const void *bytes, size_t len)
{
    assert_int_equal(write(w.master, bytes, len), (ssize_t)len);
}

/* Reads until there are so many bytes. */
static void read_bytes(uint8_t *buf, size_t len)
{
    size_t got = 0;

    while (got < len) {
        size_t n;
        assert_int_equal(serial_port_read(&w.port, in_us(10 * S), -1, buf + got, len - got, &n),
                         GW_OK);
        got += n;
    }
}

static void assert_read(const char *text)
{
    uint8_t buf[256];

    read_bytes(buf, strlen(text));
    assert_memory_equal(buf, text, strlen(text));
}

static void assert_nothing(void)
{
    uint8_t buf[16];
    size_t n;

    assert_int_equal(serial_port_read(&w.port, in_us(30 * MS), -1, buf, sizeof buf, &n),
                     GW_E_TIMEOUT);
}

static void assert_says(const char *text)
{
    if (!strstr(w.diag.text, text))
        fail_msg("\"%s\" has no \"%s\"", w.diag.text, text);
}

/* ---- bytes ---- */

static void all_bytes_pass_in_both_directions_as_they_are(void **state)
{
    uint8_t all[256], got[256];
    size_t len = 0;

    (void)state;
    for (int i = 0; i < 256; i++)
        all[i] = (uint8_t)i;
    open_well();

    send_bytes(all, sizeof all);
    read_bytes(got, sizeof got);
    assert_memory_equal(got, all, sizeof all);

    assert_int_equal(serial_port_write(&w.port, all, sizeof all, in_us(5 * S)), GW_OK);
    memset(got, 0, sizeof got);
    while (len < sizeof got) {
        struct pollfd fd = {.fd = w.master, .events = POLLIN};
        assert_int_equal(poll(&fd, 1, 10000), 1);
        ssize_t n = read(w.master, got + len, sizeof got - len);
        assert_true(n > 0);
        len += (size_t)n;
    }
    assert_memory_equal(got, all, sizeof all);
}

static void silence_ends_at_the_deadline(void **state)
{
    uint8_t buf[8];
    size_t n;

    (void)state;
    open_well();
    int64_t begin_us = now_us(NULL);
    assert_int_equal(serial_port_read(&w.port, begin_us + 50 * MS, -1, buf, 8, &n), GW_E_TIMEOUT);
    assert_true(now_us(NULL) >= begin_us + 50 * MS);
    assert_int_equal(serial_port_read(&w.port, begin_us - S, -1, buf, 8, &n), GW_E_TIMEOUT);
}

static void a_look_gives_what_is_there(void **state)
{
    uint8_t buf[8];
    size_t n = 0;

    (void)state;
    open_well();
    send_bytes("x", 1);
    for (int i = 0; i < 10000 && n == 0; i++)
        if (serial_port_read(&w.port, 0, -1, buf, 8, &n) != GW_OK)
            usleep(1000);
    assert_int_equal(n, 1);
}

static void a_wait_ends_when_the_core_wants_its_thread_back(void **state)
{
    uint8_t buf[8];
    size_t n;
    int fd = eventfd(1, EFD_CLOEXEC);

    (void)state;
    open_well();
    assert_int_equal(serial_port_read(&w.port, in_us(60 * S), fd, buf, 8, &n), GW_E_CLOSED);
    w.host.wake_fd = fd;
    assert_int_equal(serial_port_pause(&w.port, in_us(60 * S)), GW_E_CLOSED);
    close(fd);
}

static void a_line_that_takes_nothing_ends_the_write_at_the_deadline(void **state)
{
    static uint8_t much[1 << 20];

    (void)state;
    open_well();
    int64_t begin_us = now_us(NULL);
    assert_int_equal(serial_port_write(&w.port, much, sizeof much, begin_us + 100 * MS),
                     GW_E_TIMEOUT);
    assert_true(now_us(NULL) < begin_us + 20 * S);
}

static void what_came_before_can_be_forgotten(void **state)
{
    size_t n = 0;

    (void)state;
    open_well();
    send_bytes("old", 3);
    for (int i = 0; i < 10000 && n < 3; i++) {
        n += serial_port_flush(&w.port);
        usleep(1000);
    }
    assert_int_equal(n, 3);
    send_bytes("new", 3);
    assert_read("new");
}

/* ---- echo ---- */

static void an_echo_is_removed_and_the_answer_is_left(void **state)
{
    (void)state;
    w.conf.has_echo = true;
    open_well();
    assert_int_equal(serial_port_write(&w.port, (const uint8_t *)"SI\r\n", 4, in_us(S)), GW_OK);
    send_bytes("SI\r\nS S 1 g\r\n", 13);
    assert_read("S S 1 g\r\n");
    send_bytes("SI\r\n", 4); /* only once */
    assert_read("SI\r\n");
}

static void an_echo_in_pieces_is_removed(void **state)
{
    (void)state;
    w.conf.has_echo = true;
    open_well();
    assert_int_equal(serial_port_write(&w.port, (const uint8_t *)"SI\r\n", 4, in_us(S)), GW_OK);
    for (const char *c = "SI\r\n"; *c; c++) {
        send_bytes(c, 1);
        assert_nothing();
    }
    send_bytes("ok", 2);
    assert_read("ok");
    assert_int_equal(w.port.n_echo_lost, 0);
}

static void an_answer_of_an_adapter_that_does_not_hear_itself_is_left_alone(void **state)
{
    (void)state;
    w.conf.has_echo = true;
    open_well();
    assert_int_equal(serial_port_write(&w.port, (const uint8_t *)"Q\r\n", 3, in_us(S)), GW_OK);
    send_bytes("ST,+1\r\n", 7);
    assert_read("ST,+1\r\n");
    assert_int_equal(w.port.n_echo_lost, 3);
}

static void without_the_setting_nothing_is_removed(void **state)
{
    (void)state;
    open_well();
    assert_int_equal(serial_port_write(&w.port, (const uint8_t *)"A", 1, in_us(S)), GW_OK);
    send_bytes("AB", 2);
    assert_read("AB");
}

/* ---- the line ---- */

/* The settings of a pty are seen from both of its ends. */
static struct termios2 settings(void)
{
    struct termios2 settings;

    assert_int_equal(ioctl(w.master, TCGETS2, &settings), 0);
    return settings;
}

static void baud_rates_are_exact_also_odd_ones(void **state)
{
    static const int64_t bauds[] = {300, 1200, 9600, 31250, 74880, 115200, 250000, 921600, 1500000};

    (void)state;
    for (size_t i = 0; i < sizeof bauds / sizeof bauds[0]; i++) {
        w.conf.line.baud = bauds[i];
        open_well();
        assert_int_equal(settings().c_ospeed, bauds[i]);
        assert_int_equal(settings().c_ispeed, bauds[i]);
        serial_port_close(&w.port);
    }
}

static void the_line_is_changed_when_the_last_byte_has_left(void **state)
{
    struct serial_line fast = w.conf.line;
    uint8_t ack[] = {0x06, '0', '5', '0', '\r', '\n'};

    (void)state;
    w.conf.line.baud = 300;
    open_well();
    int64_t begin_us = now_us(NULL);
    assert_int_equal(serial_port_write(&w.port, ack, sizeof ack, in_us(S)), GW_OK);
    while (true) { /* the instrument takes it off the line */
        uint8_t got[8];
        if (read(w.master, got, sizeof got) == sizeof ack)
            break;
        usleep(1000);
    }
    fast.baud = 9600;
    assert_int_equal(serial_port_set_line(&w.port, &fast, in_us(10 * S)), GW_OK);
    /* 6 characters of 10 bits at 300 baud */
    assert_true(now_us(NULL) >= begin_us + 200 * MS);
    assert_int_equal(settings().c_ospeed, 9600);
    assert_int_equal(serial_port_set_line(&w.port, &fast, 0), GW_OK); /* as it is already */
}

static void a_change_of_the_line_keeps_its_deadline(void **state)
{
    struct serial_line fast = w.conf.line;

    (void)state;
    w.conf.line.baud = 300;
    open_well();
    assert_int_equal(serial_port_write(&w.port, (const uint8_t *)"0123456789", 10, in_us(S)),
                     GW_OK);
    assert_int_equal(serial_port_set_line(&w.port, &fast, in_us(20 * MS)), GW_E_TIMEOUT);
    assert_int_equal(settings().c_ospeed, 300);
}

static void times_on_the_line_follow_its_format(void **state)
{
    const struct serial_line meter = {300, 7, SERIAL_PARITY_EVEN, 1, SERIAL_FLOW_NONE};
    const struct serial_line p1 = {115200, 8, SERIAL_PARITY_NONE, 1, SERIAL_FLOW_NONE};
    const struct serial_line old = {110, 8, SERIAL_PARITY_NONE, 2, SERIAL_FLOW_NONE};

    (void)state;
    assert_int_equal(serial_line_us(&meter, 6), 200000);
    assert_int_equal(serial_line_us(&p1, 1152), 100000);
    assert_int_equal(serial_line_us(&old, 10), 1000000);
}

static void rs485_that_a_port_does_not_have_is_told(void **state)
{
    (void)state;
    w.conf.rs485 = SERIAL_RS485_RTS_ON;
    assert_int_equal(open_port(), GW_E_LINK);
    assert_says("has no RS-485 mode in its kernel driver");
}

/* ---- opening ---- */

static void a_port_is_ours_alone(void **state)
{
    struct serial_port other = {0};

    (void)state;
    open_well();
    assert_int_equal(serial_port_open(&other, &w.conf, &w.host, in_us(S), &w.diag), GW_E_LINK);
    assert_says("is in use by another program");
    serial_port_close(&w.port);
    assert_int_equal(serial_port_open(&other, &w.conf, &w.host, in_us(S), &w.diag), GW_OK);
    serial_port_close(&other);
}

static void what_cannot_be_opened_is_told_by_name(void **state)
{
    static const struct {
        const char *name, *says;
    } rows[] = {
        {"/dev/null", "port /dev/null is not a serial port"},
        {"/nonexistent/ttyUSB0", "port /nonexistent/ttyUSB0 does not exist"},
        {"/tmp", "port /tmp is not a serial port"},
        {"usb:dead:beef:X", "port usb:dead:beef:X is not plugged in"},
        {"usb:1", "is not usb:VENDOR:PRODUCT or"},
        {"tcp://127.0.0.1", "is not tcp://HOST:PORT"},
        {"tcp://127.0.0.1:1", "port tcp://127.0.0.1:1 refuses connections"},
    };
    size_t n_fds = count_fds();

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        w.conf.name = rows[i].name;
        assert_int_equal(open_port(), GW_E_LINK);
        assert_says(rows[i].says);
        assert_string_equal(w.diag.key, "port");
        serial_port_close(&w.port);
    }
    assert_int_equal(count_fds(), n_fds);
}

static void a_closed_port_says_so(void **state)
{
    uint8_t buf[8];
    size_t n;

    (void)state;
    serial_port_close(&w.port);
    assert_int_equal(serial_port_read(&w.port, 0, -1, buf, 8, &n), GW_E_CLOSED);
    assert_int_equal(serial_port_write(&w.port, buf, 8, 0), GW_E_CLOSED);
    assert_int_equal(serial_port_set_line(&w.port, &w.conf.line, 0), GW_E_CLOSED);
    assert_int_equal(serial_port_flush(&w.port), 0);
}

/* Opens the first real serial port of the machine, if there is one that nobody uses, by libserialport; sends nothing. */
static void a_real_port_is_opened_by_libserialport(void **state)
{
    static const char *const names[] = {"/dev/ttyUSB0", "/dev/ttyACM0", "/dev/ttyS1", "/dev/ttyS2"};

    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        w.conf.name = names[i];
        if (open_port() == GW_OK) {
            assert_non_null(w.port.library);
            return;
        }
        assert_true(strlen(w.diag.text) > 0);
    }
    skip();
}

/* ---- plugging ---- */

static void an_unplugged_port_is_a_lost_link(void **state)
{
    uint8_t buf[8];
    size_t n;

    (void)state;
    open_well();
    unplug();
    assert_int_equal(serial_port_read(&w.port, in_us(60 * S), -1, buf, 8, &n), GW_E_LINK);
}

static void a_port_is_unplugged_and_plugged_in_a_hundred_times(void **state)
{
    uint8_t buf[8];
    size_t n, n_fds = count_fds();

    (void)state;
    for (int i = 0; i < 100; i++) {
        open_well();
        send_bytes("ok", 2);
        assert_read("ok");
        unplug();
        assert_int_equal(serial_port_read(&w.port, in_us(60 * S), -1, buf, 8, &n), GW_E_LINK);
        serial_port_close(&w.port);
        assert_int_equal(open_port(), GW_E_LINK);
        serial_port_close(&w.port);
        plug_in(w.link);
    }
    assert_int_equal(count_fds(), n_fds);
}

/* ---- USB identity ---- */

static void make_dir(const char *path)
{
    char part[256];

    for (const char *c = strchr(path + 1, '/');; c = strchr(c + 1, '/')) {
        snprintf(part, sizeof part, "%.*s", c ? (int)(c - path) : (int)strlen(path), path);
        mkdir(part, 0755);
        if (!c)
            return;
    }
}

static void put(const char *dir, const char *file, const char *text)
{
    char path[300];

    snprintf(path, sizeof path, "%s/%s", dir, file);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fprintf(f, "%s\n", text);
    assert_int_equal(fclose(f), 0);
}

/* An FT232 in place `place` of the USB tree, as Linux 6.1 shows it; its tty leads to the pty that is plugged in. */
static void show_adapter(const char *place, const char *tty, const char *serial,
                         const char *interface)
{
    char usb[128], dir[200], link[128], target[256];

    snprintf(usb, sizeof usb, "%s/sys/devices/usb1/%s", w.dir, place);
    snprintf(dir, sizeof dir, "%s/%s:1.0/%s/tty/%s", usb, place, tty, tty);
    make_dir(dir);
    put(usb, "idVendor", "0403");
    put(usb, "idProduct", "6001");
    put(usb, "serial", serial);
    snprintf(dir, sizeof dir, "%s/%s:1.0", usb, place);
    put(dir, "bInterfaceNumber", interface);
    snprintf(link, sizeof link, "%s/sys/class/tty/%s", w.dir, tty);
    make_dir(link);
    snprintf(target, sizeof target, "%s/%s:1.0/%s", usb, place, tty);
    snprintf(dir, sizeof dir, "%s/device", link);
    assert_int_equal(symlink(target, dir), 0);
    snprintf(link, sizeof link, "%s/dev", w.dir);
    make_dir(link);
    snprintf(link, sizeof link, "%s/dev/%s", w.dir, tty);
    unlink(link);
    char name[64];
    assert_int_equal(ptsname_r(w.master, name, sizeof name), 0);
    assert_int_equal(symlink(name, link), 0);
}

static void hide_adapter(const char *tty)
{
    char command[300];

    snprintf(command, sizeof command, "rm -r %s/sys/class/tty/%s %s/dev/%s", w.dir, tty, w.dir,
             tty);
    assert_int_equal(system(command), 0);
}

static void an_adapter_is_found_by_its_usb_identity(void **state)
{
    static const char *const names[] = {"usb:0403:6001", "usb:0403:6001:FT4XYZ",
                                        "usb:0403:6001:FT4XYZ:0", "usb:0403:6001::0"};
    static const char *const strangers[] = {"usb:0403:6002", "usb:0403:6001:FT4XY",
                                            "usb:0403:6001:FT4XYZ:1"};

    (void)state;
    setenv("FIELD2MQTT_DEVICE_ROOT", w.dir, 1);
    show_adapter("1-2", "ttyUSB3", "FT4XYZ", "00");
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        w.conf.name = names[i];
        open_well();
        send_bytes("hello", 5);
        assert_read("hello");
        serial_port_close(&w.port);
    }
    for (size_t i = 0; i < sizeof strangers / sizeof strangers[0]; i++) {
        w.conf.name = strangers[i];
        assert_int_equal(open_port(), GW_E_LINK);
        assert_says("is not plugged in");
    }
}

static void an_adapter_that_comes_back_under_another_name_is_found_a_hundred_times(void **state)
{
    uint8_t buf[8];
    size_t n, n_fds;
    char tty[16];

    (void)state;
    setenv("FIELD2MQTT_DEVICE_ROOT", w.dir, 1);
    w.conf.name = "usb:0403:6001:FT4XYZ";
    n_fds = count_fds();
    for (int i = 0; i < 100; i++) {
        char place[16];
        snprintf(place, sizeof place, "1-%d", i % 7 + 1);
        snprintf(tty, sizeof tty, "ttyUSB%d", i % 5);
        show_adapter(place, tty, "FT4XYZ", "00");
        open_well();
        send_bytes("ok", 2);
        assert_read("ok");
        unplug();
        hide_adapter(tty);
        assert_int_equal(serial_port_read(&w.port, in_us(60 * S), -1, buf, 8, &n), GW_E_LINK);
        serial_port_close(&w.port);
        assert_int_equal(open_port(), GW_E_LINK);
        plug_in(w.link);
    }
    assert_int_equal(count_fds(), n_fds);
}

static void an_identity_that_fits_two_adapters_opens_neither(void **state)
{
    (void)state;
    setenv("FIELD2MQTT_DEVICE_ROOT", w.dir, 1);
    show_adapter("1-2", "ttyUSB0", "A", "00");
    show_adapter("1-3", "ttyUSB1", "B", "00");
    w.conf.name = "usb:0403:6001";
    assert_int_equal(open_port(), GW_E_LINK);
    assert_says("fits 2 adapters");
    assert_says("ttyUSB1");
    w.conf.name = "usb:0403:6001:B";
    open_well();
}

static void names_of_ports_are_checked_without_opening(void **state)
{
    (void)state;
    assert_true(serial_check_usb_name("usb:0403:6001"));
    assert_true(serial_check_usb_name("usb:0403:6001:FT4XYZ:1"));
    assert_false(serial_check_usb_name("usb:403:6001"));
    assert_false(serial_check_usb_name("usb:0403:6001x"));
    assert_false(serial_check_usb_name("usb:0403:6001:A:"));
    assert_false(serial_check_usb_name("usb:0403:6001:A:x"));
    assert_true(serial_check_tcp_name("tcp://moxa:4001"));
    assert_true(serial_check_tcp_name("tcp://[::1]:4001"));
    assert_false(serial_check_tcp_name("tcp:"));
    assert_false(serial_check_tcp_name("tcp://moxa"));
    assert_false(serial_check_tcp_name("tcp://:4001"));
    assert_false(serial_check_tcp_name("tcp://moxa:0"));
    assert_false(serial_check_tcp_name("tcp://moxa:99999"));
}

/* ---- TCP ---- */

static void a_device_server_is_a_port_too(void **state)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    struct serial_line other = {19200, 8, SERIAL_PARITY_NONE, 1, SERIAL_FLOW_NONE};
    char name[40];
    uint8_t buf[8];
    size_t n;

    (void)state;
    int server = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(server, (struct sockaddr *)&address, size), 0);
    assert_int_equal(listen(server, 1), 0);
    assert_int_equal(getsockname(server, (struct sockaddr *)&address, &size), 0);
    snprintf(name, sizeof name, "tcp://127.0.0.1:%u", (unsigned)ntohs(address.sin_port));
    w.conf.name = name;
    open_well();
    close(w.master);
    w.master = accept(server, NULL, NULL);

    send_bytes("hello", 5);
    assert_read("hello");
    assert_int_equal(serial_port_write(&w.port, (const uint8_t *)"hi", 2, in_us(S)), GW_OK);
    assert_int_equal(read(w.master, buf, 8), 2);
    assert_int_equal(serial_port_set_line(&w.port, &other, in_us(S)), GW_E_REFUSED);
    unplug();
    assert_int_equal(serial_port_read(&w.port, in_us(60 * S), -1, buf, 8, &n), GW_E_LINK);
    close(server);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(all_bytes_pass_in_both_directions_as_they_are),
        TEST(silence_ends_at_the_deadline),
        TEST(a_look_gives_what_is_there),
        TEST(a_wait_ends_when_the_core_wants_its_thread_back),
        TEST(a_line_that_takes_nothing_ends_the_write_at_the_deadline),
        TEST(what_came_before_can_be_forgotten),
        TEST(an_echo_is_removed_and_the_answer_is_left),
        TEST(an_echo_in_pieces_is_removed),
        TEST(an_answer_of_an_adapter_that_does_not_hear_itself_is_left_alone),
        TEST(without_the_setting_nothing_is_removed),
        TEST(baud_rates_are_exact_also_odd_ones),
        TEST(the_line_is_changed_when_the_last_byte_has_left),
        TEST(a_change_of_the_line_keeps_its_deadline),
        TEST(times_on_the_line_follow_its_format),
        TEST(rs485_that_a_port_does_not_have_is_told),
        TEST(a_port_is_ours_alone),
        TEST(what_cannot_be_opened_is_told_by_name),
        TEST(a_closed_port_says_so),
        TEST(a_real_port_is_opened_by_libserialport),
        TEST(an_unplugged_port_is_a_lost_link),
        TEST(a_port_is_unplugged_and_plugged_in_a_hundred_times),
        TEST(an_adapter_is_found_by_its_usb_identity),
        TEST(an_adapter_that_comes_back_under_another_name_is_found_a_hundred_times),
        TEST(an_identity_that_fits_two_adapters_opens_neither),
        TEST(names_of_ports_are_checked_without_opening),
        TEST(a_device_server_is_a_port_too),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
