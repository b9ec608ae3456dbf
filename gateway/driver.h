/* driver: the contract between the gateway and a driver plug-in. This is the one header that is installed.
 *
 * A driver is a shared object in the plug-in directory that exports one symbol, `field2mqtt_plugin`.
 * It holds no YAML, no topic, no MQTT, no scaling, no retry policy, no thread and no global state: the core
 * parses the keys by the driver's tables, allocates its state, owns the thread, and says when.
 * All monotonic times are microseconds (`_us`), all wall-clock times milliseconds since 1970 (`_wall_ms`). */
#ifndef GW_DRIVER_H
#define GW_DRIVER_H

#include "gateway/err.h"
#include "gateway/value.h"

#define GW_DRIVER_ABI 1u

/* ---- Sentences for people -------------------------------------------------------------------------- */

/* Filled in by the functions below that take one. The core adds file, line, column and the source line. */
struct gw_driver_diag {
    const char
        *key; /* which key is at fault: the core points at it; NULL points at the whole section */
    char text[240]; /* "register 70000 is out of range (0-65535)" */
};

/* ---- Keys: what a user may write ------------------------------------------------------------------- */

enum gw_key_type {
    GW_KEY_BOOL,    /* bool: true or false */
    GW_KEY_INT,     /* int64_t, min..max; decimal or 0x hexadecimal */
    GW_KEY_FLOAT,   /* double, min..max */
    GW_KEY_DECIMAL, /* struct gw_decimal, exactly as written, min..max */
    GW_KEY_TEXT,    /* const char *, UTF-8, NUL-terminated; min..max is the length in bytes */
    GW_KEY_CHOICE,  /* int, the value of one of `choices` */
    GW_KEY_DURATION, /* int64_t in microseconds, written 500us, 20ms, 10s, 5m, 2h, 7d; min..max in us */
    GW_KEY_SIZE,     /* int64_t in bytes, written 512B, 64KiB, 10MB; min..max in bytes */
    GW_KEY_PARSED, /* the driver's own notation: `parse` turns the text into the member */
    GW_KEY_LIST, /* struct gw_list of texts; a single text counts as a list of one. min..max items */
    GW_KEY_MAP, /* a mapping of keys of its own: `keys` fill the struct of item_size bytes that is the member. Given
                   again in an inner section, it changes only the keys that it has. */
    GW_KEY_MAPS, /* struct gw_items: a list of such mappings, each with the defaults of `keys`; a single mapping
                    counts as a list of one. Given again, the list is replaced. min..max items */
    GW_KEY_CUSTOM, /* used by the core only: `parse` is not called, a walker of the core handles it */
};

enum gw_key_flags {
    GW_REQUIRED = 1, /* a section without it is a mistake */
    GW_INHERIT =
        2, /* may also stand in an outer section (device key at the bus, point key at the device
                        or bus) as the default of all the sections below it */
    GW_SECRET = 4,  /* never printed */
    GW_ADDRESS = 8, /* says where the hardware is: field2mqtt simulate puts it elsewhere */
    GW_BAUD =
        16, /* GW_KEY_INT of a bus: speed of its line, said beside the time that the polling needs */
};

struct gw_choice {
    const char *name; /* what the user writes; NULL ends the table */
    int value;
    const char *help;
};

struct gw_list {
    const char *const *items;
    size_t n_items;
};

struct gw_items {
    const void *items; /* n_items structs of the key's item_size */
    size_t n_items;
};

struct gw_key {
    const char *name; /* as in the YAML; NULL ends the table */
    enum gw_key_type type;
    unsigned flags;   /* enum gw_key_flags */
    size_t offset;    /* of the member in the configuration struct */
    double min, max;  /* both 0: no limit */
    const char *def;  /* default, as a user would write it; NULL: the member stays zero */
    const char *unit; /* for the help text: "registers", "ms"; NULL without one */
    const char *help; /* one sentence */
    const struct gw_choice *choices;
    /* Parses `text` into the member at `field`. Pure. GW_E_CONFIG with diag->text filled in on a mistake. */
    enum gw_err (*parse)(const char *text, void *field, struct gw_driver_diag *diag);
    const char *
        pattern; /* ECMA-262 regular expression that every accepted text matches; for the JSON Schema */
    const char *example; /* for the manual */
    /* Of GW_KEY_MAP and GW_KEY_MAPS. Offsets in `keys` are in the inner struct; of their flags only GW_REQUIRED may be
     * set, and in the items of GW_KEY_MAPS only, since a mapping may be put together from several sections. */
    const struct gw_key *keys;
    size_t item_size;
};

/* ---- What the core hands to a driver --------------------------------------------------------------- */

/* Services of the core. Valid for the life of the bus. */
struct gw_host {
    void *ctx;
    int64_t (*now_us)(void *ctx); /* monotonic */
    void (*debug)(void *ctx, const char *fmt, ...)
        GW_PRINTF(2, 3); /* goes to the log at debug level */
    int wake_fd; /* readable when the core wants a blocking call to return GW_E_CLOSED soon; -1 without one */
    int listen_fd; /* the same for listen: also readable when a command waits; -1 without one */
};

struct gw_bus {
    const char *name;
    const void *conf; /* the struct that bus_keys describe */
    void *state;      /* bus_state_size zeroed bytes */
    const struct gw_host *host;
    struct gw_device *devices;
    size_t n_devices;
};

struct gw_device {
    const char *name;
    struct gw_bus *bus;
    const void *conf;          /* the struct that device_keys describe */
    void *state;               /* device_state_size(device) zeroed bytes */
    const void *const *points; /* per point: the struct that point_keys describe */
    size_t n_points;
    size_t index; /* in bus->devices */
};

/* What check_point tells the core about a point. */
struct gw_point_traits {
    enum gw_kind
        kind; /* of the values that execute delivers: GW_BOOL, GW_INT, GW_UINT, GW_FLOAT32, GW_FLOAT64, GW_TEXT */
    double raw_min,
        raw_max; /* what the field can hold, before scaling; both 0 when unlimited or text */
    bool can_write;
    bool can_read;
    bool is_scaled; /* results come with an exp10 that is read from the device */
    bool
        is_heard; /* the instrument says it unasked: listen delivers it, plan and execute never see it */
};

/* One exchange on the wire that serves one or more points. A plain value: may be copied and kept. */
struct gw_request {
    uint32_t wire_us;      /* predicted time on the wire: request, silence, turnaround, reply */
    uint16_t first_member; /* its points are plan->members[first_member .. + n_members) */
    uint16_t n_members;
    uint16_t n_units;  /* registers, bits or bytes that it reads: for reports */
    uint16_t n_wanted; /* ... of which points asked for */
    uint32_t priv[4];  /* the driver's own */
};

/* Filled by plan and split. The core provides the arrays: at least 2 x points + 2 entries of each. */
struct gw_plan {
    struct gw_request *requests;
    size_t n_requests, max_requests;
    uint16_t
        *members; /* indexes of points of the device; a point may be a member of several requests */
    size_t n_members, max_members;
};

/* What one point of a request turned out to be. Zeroed by the core before execute. */
struct gw_result {
    enum gw_err err; /* GW_OK: value holds */
    bool is_partial; /* this request brought only a part (a scale, say): another request of the plan
                              delivers the point, the core leaves it alone. err and value are not looked at. */
    const char *reason; /* static snake_case code when err is not OK: "illegal_data_address",
                              "not_available", "not_a_number", "bad_bcd"; NULL: gw_err_str(err) */
    struct gw_value
        value; /* raw: neither scaled nor named. Text stays valid until the next execute on this bus. */
    int32_t exp10; /* value is to be multiplied by 10^exp10 (a scale read from the device) */
};

/* What the core should know of an exchange besides its error. Zeroed by the core before execute. */
struct gw_outcome {
    int64_t acquired_us; /* monotonic, when the answer had arrived */
    int64_t
        hold_us; /* start no other request to this device for this long; other devices may go on */
    const char *reason; /* static code for an error of the whole exchange: "illegal_function",
                            "bad_crc", "late_answer", "gateway_target_no_response"; NULL: gw_err_str(err) */
    int exception;      /* the code the device refused with, 0 without one: for counters */
};

/* A write asked for by a command. */
struct gw_write {
    uint16_t point;
    struct gw_value value; /* raw: the core has unscaled it and checked its range */
};

/* ---- Simulation: the other side of the wire -------------------------------------------------------- */

/* Faults in percent of the requests; mutually exclusive per request, drawn in this order. */
struct gw_sim_faults {
    double drop, delay, exception, garbage;
    int64_t delay_us; /* how late a delayed answer is */
    uint32_t seed;
};

struct gw_sim {
    const struct gw_bus *bus;
    struct gw_sim_faults faults;
    int stop_fd; /* readable when the simulation has to end */
    void *ctx;
    /* Gives the raw value that a point has now. Thread-safe for one bus. */
    void (*read)(void *ctx, const struct gw_device *device, size_t point,
                 struct gw_value *ret_value);
    /* Told that somebody wrote a point. */
    void (*written)(void *ctx, const struct gw_device *device, size_t point,
                    const struct gw_value *value);
    /* Told once that the simulated side can be reached now; `where` is for people: "127.0.0.1:1502". */
    void (*ready)(void *ctx, const char *where);
};

/* What decode tells of bytes. */
struct gw_decoded {
    void *ctx;
    /* bytes[at .. at + len) are a message (why is NULL), or none, and why; in the order in which they stand. */
    void (*part)(void *ctx, size_t at, size_t len, const char *why);
    /* What the last message says of a point. */
    void (*result)(void *ctx, uint16_t point, const struct gw_result *result);
};

/* Where the simulated side of a bus is. */
struct gw_sim_place {
    const char *dir;  /* serial ports become the pty link DIR/BUS */
    int port_offset;  /* added to TCP ports */
    size_t bus_index; /* a TCP host that is not loopback becomes 127.0.0.(1 + bus_index % 250) */
};

/* ---- Scan: who is on the bus ----------------------------------------------------------------------- */

/* Devices of a bus are told apart by a number, a key of theirs. */
struct gw_scan_traits {
    const char *address_key; /* "unit" */
    const char *addresses;   /* that devices have as a rule: "1-247" */
    uint16_t max_address;    /* the highest that can be asked */
    uint16_t nobody; /* no device has it: who answers there answers to every address; 0: none */
    unsigned n_questions; /* ways to ask, that which most devices answer first */
    int64_t timeout_us;   /* for an answer, unless the user says otherwise */
};

struct gw_probe {
    uint16_t address;
    unsigned question;  /* 0 .. n_questions - 1 */
    int64_t timeout_us; /* for an answer, without the time on the wire */
};

/* What came. Zeroed by the core before. */
struct gw_probed {
    int refusal;        /* the code with which it was refused; 0: answered */
    const char *reason; /* static: what was refused, or is wrong with what came */
    char point[64];     /* what was asked for, as the keys of a point: "register: holding:0" */
    int64_t hold_us;
    int late_address; /* somebody else's answer to an earlier probe came only now; 0: none did */
};

/* Told what a device says of itself; the text is hostile, as its bytes came. */
struct gw_identity {
    void *ctx;
    void (*told)(void *ctx, const char *what, const char *text, size_t len);
    void (*point)(void *ctx, const char *name, const char *keys); /* that can be read */
};

/* ---- The table ------------------------------------------------------------------------------------- */

struct gw_driver {
    const char *name;    /* as in `driver:`; [a-z0-9-]+ */
    const char *summary; /* one line */

    const struct gw_key *bus_keys, *device_keys, *point_keys;
    size_t bus_conf_size, device_conf_size, point_conf_size;
    size_t bus_state_size;
    int64_t reopen_min_us,
        reopen_max_us; /* back-off of open after a failure, unless the user says otherwise */

    /* How much state a device needs; called after its points are known. Pure. NULL: none. */
    size_t (*device_state_size)(const struct gw_device *device);

    /* Check what no single key can tell (this type needs two registers, ...). Pure, no I/O; called while the
     * configuration loads. GW_E_CONFIG with *diag filled in. Any of them may be NULL except check_point. */
    enum gw_err (*check_bus)(const void *bus_conf, struct gw_driver_diag *diag);
    enum gw_err (*check_device)(const void *bus_conf, const void *device_conf,
                                struct gw_driver_diag *diag);
    enum gw_err (*check_point)(const void *bus_conf, const void *device_conf,
                               const void *point_conf, struct gw_point_traits *ret_traits,
                               struct gw_driver_diag *diag);
    /* Prepares the state of a device (sorts its points, ...). Pure, no I/O, may be called once only. NULL: nothing to do. */
    enum gw_err (*prepare)(struct gw_device *device);
    /* Gives back what prepare took. Called once for each device before its memory is freed, also after a failed prepare
     * and without any: safe on zeroed state. NULL: nothing to give back. */
    void (*release)(struct gw_device *device);

    /* Opens the link of a bus. Blocks until deadline_us at most. GW_E_LINK, GW_E_TIMEOUT (unreachable for
     * now: the core tries again) with a sentence in diag->text. After a failed open, close is called. */
    enum gw_err (*open)(struct gw_bus *bus, int64_t deadline_us, struct gw_driver_diag *diag);
    /* Closes the link. Never fails; safe after a failed open and when called twice. */
    void (*close)(struct gw_bus *bus);

    /* A reload may change the devices of a bus between two calls of the other functions, opened or not. Those that stay keep
     * state, conf and points; their struct gw_device moves and gets another index, so nothing may point to it between
     * two calls. A new one was prepared below another struct gw_bus of the same conf. false: the bus is closed, and opened
     * again with the new devices. */
    bool devices_may_change;
    /* Of an opened bus: a device has come; a device is to go, and release follows. May block as long as close does. NULL:
     * nothing to do. */
    void (*join)(struct gw_device *device);
    void (*leave)(struct gw_device *device);

    /* Turns points of a device that are due together into the requests that take the least time on the wire.
     * Pure: no I/O. `points` are sorted, without repeats. Every point becomes a member of at least one request. */
    enum gw_err (*plan)(struct gw_device *device, const uint16_t *points, size_t n_points,
                        struct gw_plan *ret_plan);
    /* Says for people what a request reads: "input:0-35 (function 4)". Pure. NULL: check prints the number of units. */
    void (*describe)(const struct gw_device *device, const struct gw_request *request, char *buf,
                     size_t size);
    /* Runs one request before deadline_us and fills results[i] for members[i]. Blocks. Returns
     * GW_OK       answered; each result has its own error;
     * GW_E_TIMEOUT, GW_E_LINK, GW_E_PROTO, GW_E_BUSY, GW_E_REFUSED   for the whole request; results are not looked at. */
    enum gw_err (*execute)(struct gw_device *device, const struct gw_request *request,
                           const uint16_t *members, int64_t deadline_us, struct gw_result *results,
                           struct gw_outcome *outcome);
    /* After GW_E_REFUSED: makes smaller requests of a refused one, to find the points that are unreadable.
     * No request in *ret_plan: nothing smaller is left, its points are unreadable. Pure. NULL: never smaller. */
    enum gw_err (*split)(struct gw_device *device, const struct gw_request *request,
                         const uint16_t *members, struct gw_plan *ret_plan);
    /* Forgets what the device refused so far; the next plan tries again. NULL: nothing is remembered. */
    void (*forget)(struct gw_device *device);

    /* Writes the first of these points, and those behind it that go with it in one exchange (where they are
     * contiguous). GW_OK only after the device has confirmed. *ret_n_written counts what was confirmed; the core calls
     * again for the rest. GW_E_RANGE: nothing was sent. GW_E_BUSY without an exception: the same. NULL: read-only. */
    enum gw_err (*write)(struct gw_device *device, const struct gw_write *writes, size_t n_writes,
                         int64_t deadline_us, size_t *ret_n_written, struct gw_outcome *outcome);

    /* Waits until deadline_us for one message that an instrument sends unasked (a deadline that has passed: only looks
     * what is there) and calls heard() for each result that it brings, of points with is_heard. Returns
     * GW_OK         a message was heard, be it one that no point wants; more may be there already;
     * GW_E_TIMEOUT  nothing came until the deadline;
     * GW_E_PROTO    what came cannot be trusted and was dropped;
     * GW_E_LINK, GW_E_CLOSED (host->listen_fd became readable).
     * acquired_us: monotonic, when the message had arrived. Text stays valid until heard() returns.
     * What instruments say while execute waits for another one is kept by the driver, within a bound, and delivered here.
     * NULL: this driver only answers. */
    enum gw_err (*listen)(struct gw_bus *bus, int64_t deadline_us,
                          void (*heard)(void *ctx, struct gw_device *device, uint16_t point,
                                        const struct gw_result *result, int64_t acquired_us),
                          void *ctx);

    /* Changes the addresses in *bus_conf to where simulate serves them. `place->dir` outlives the conf;
     * texts are made in buf. NULL together with simulate. */
    enum gw_err (*redirect)(void *bus_conf, const char *bus_name, const struct gw_sim_place *place,
                            char *buf, size_t size);
    /* Plays all the devices of a bus at the (redirected) addresses until stop_fd is readable. Blocks. */
    enum gw_err (*simulate)(const struct gw_sim *sim, struct gw_driver_diag *diag);

    /* Bytes as they are on an opened bus, for `field2mqtt capture`: sends n_send bytes (0: none), then waits until
     * deadline_us for bytes and gives those that came. GW_E_TIMEOUT: none; GW_E_LINK; GW_E_CLOSED. Not mixed with the
     * functions above. NULL: there are no bytes to show. */
    enum gw_err (*raw)(struct gw_bus *bus, const uint8_t *send, size_t n_send, int64_t deadline_us,
                       uint8_t *buf, size_t size, size_t *ret_len);

    /* Reads bytes as if the device had said them, and then nothing more, for `field2mqtt try`: whoever writes a template
     * is told what is understood, and where and why the rest is not. Pure; the bus is not opened. NULL: cannot. */
    enum gw_err (*decode)(struct gw_device *device, const uint8_t *bytes, size_t len,
                          const struct gw_decoded *decoded);

    /* For `field2mqtt scan`, all four or none; NULL: the driver cannot. They only read, whatever they are asked. */
    const struct gw_scan_traits *scan;
    /* How long the probe takes when nobody answers. Pure. */
    int64_t (*probe_us)(const void *bus_conf, const struct gw_probe *probe);
    /* Asks once whether somebody is at an address of an opened bus. Blocks for about probe_us. GW_OK: there is, *ret_probed
     * says more; GW_E_TIMEOUT: silence; GW_E_PROTO: something came that is no answer; GW_E_BUSY: nothing was sent, ask
     * again after hold_us; GW_E_REFUSED: nobody can be asked there; GW_E_LINK: open again; GW_E_CLOSED (wake_fd). */
    enum gw_err (*probe)(struct gw_bus *bus, const struct gw_probe *probe,
                         struct gw_probed *ret_probed);
    /* Asks who answered for what it says of itself. GW_OK when it says nothing, too; GW_E_LINK; GW_E_CLOSED. */
    enum gw_err (*identify)(struct gw_bus *bus, const struct gw_probe *probe,
                            const struct gw_identity *identity);
    /* Optional: reads a place (in the driver's own notation) once and tells everything that it may mean, each as the keys
     * of a point. What the device refuses within the place is left out and told in diag->text, with GW_OK. Further
     * exchanges have as long as the first has until deadline_us. GW_E_CONFIG with diag->text when `place` is none. */
    enum gw_err (*examine)(struct gw_device *device, const char *place, int64_t deadline_us,
                           void (*found)(void *ctx, const char *yaml, const struct gw_value *value),
                           void *ctx, struct gw_driver_diag *diag);
};

/* The one exported symbol: `const struct gw_plugin field2mqtt_plugin`. */
struct gw_plugin {
    uint32_t abi;                           /* GW_DRIVER_ABI */
    uint32_t driver_size;                   /* sizeof(struct gw_driver) */
    uint32_t key_size;                      /* sizeof(struct gw_key) */
    const struct gw_driver *const *drivers; /* NULL ends */
};

#define GW_PLUGIN_SYMBOL "field2mqtt_plugin"
#define GW_PLUGIN_EXPORT __attribute__((visibility("default")))

#endif
