/* Control: which messages become orders, what is answered, and what is remembered. Stepped by hand with a clock turned by
 * hand; the buses are played by the test. */
#include "tests/unit/publisher_rig.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "gateway/audit.h"
#include "gateway/control.h"
#include "gateway/control_ids.h"
#include "gateway/queue.h"
#include "tests/unit/random.h"
#include "tests/unit/values.h"

#define S INT64_C(1000000)

static struct gw_write_conf writes[3];
static struct gw_point_conf points[] = {
    {.name = "speed",
     .traits = {.kind = GW_UINT, .raw_max = 65535},
     .access = GW_ACCESS_RW,
     .map = &(const struct gw_map){.scale = {1, 0}, .decimals = -1, .has_max = true, .max = 50},
     .write = &writes[0]},
    {.name = "gate",
     .traits = {.kind = GW_BOOL, .raw_max = 1},
     .access = GW_ACCESS_RW,
     .map = &(const struct gw_map){.scale = {1, 0}, .decimals = -1},
     .write = &writes[1]},
    {.name = "level",
     .traits = {.kind = GW_UINT, .raw_max = 65535},
     .map = &(const struct gw_map){.scale = {1, 0}, .decimals = -1}},
};
static struct gw_device_conf device = {.name = "pump", .points = points, .n_points = 3};
static struct gw_bus_conf bus = {.name = "plc", .devices = &device, .n_devices = 1};

static struct world {
    char dir[64], ids[96], log[96], lock[96];
    struct gw_config config;
    struct gw_clock clock;
    int64_t now_us;
    struct list_outbox *list;
    struct gw_control *control;
} world;

static int64_t world_now_us(void *ctx)
{
    (void)ctx;
    return world.now_us;
}

static int64_t world_wall_ms(void *ctx)
{
    (void)ctx;
    return 1764000000000 + world.now_us / 1000;
}

static void begin(void)
{
    assert_int_equal(
        gw_control_new(&world.config, &world.list->outbox, &world.clock, &world.control), GW_OK);
    assert_non_null(world.control);
    gw_control_set_online(world.control, true);
}

static void end(void)
{
    gw_control_free(world.control);
    world.control = NULL;
}

static int setup(void **state)
{
    (void)state;
    memset(&world, 0, sizeof world);
    memset(writes, 0, sizeof writes);
    log_clear();
    snprintf(world.dir, sizeof world.dir, "/tmp/field2mqtt-control-XXXXXX");
    if (!mkdtemp(world.dir))
        return -1;
    snprintf(world.ids, sizeof world.ids, "%s/ids", world.dir);
    snprintf(world.log, sizeof world.log, "%s/log", world.dir);
    snprintf(world.lock, sizeof world.lock, "%s/lock", world.dir);
    for (int i = 0; i < 2; i++)
        writes[i] = (struct gw_write_conf){.read_back = (uint16_t)i};
    writes[0].set_topic = "a/speed/set";
    writes[0].result_topic = "a/speed/result";
    writes[1].set_topic = "a/gate/set";
    writes[1].result_topic = "a/gate/result";
    device.set_topic = "a/set";
    device.result_topic = "a/result";
    world.now_us = 1000 * S;
    world.clock = (struct gw_clock){NULL, world_now_us, world_wall_ms};
    world.list = list_new(300000);
    world.config = (struct gw_config){
        .commands = {.is_enabled = true,
                     .max_waiting = 4,
                     .timeout_us = 10 * S,
                     .ids_file = world.ids,
                     .audit_file = world.log,
                     .audit_max_bytes = 1 << 20,
                     .response_prefix = "answers/",
                     .result_max_age_us = 60 * S},
        .buses = &bus,
        .n_buses = 1,
    };
    return 0;
}

static int teardown(void **state)
{
    char command[128];

    (void)state;
    end();
    world.list->outbox.ops->free(&world.list->outbox);
    snprintf(command, sizeof command, "rm -rf %s", world.dir);
    return system(command);
}

static struct gw_mqtt_message message_of(const char *topic, const char *payload)
{
    struct gw_mqtt_message message = {.received_us = world.now_us,
                                      .received_wall_ms = world_wall_ms(NULL),
                                      .expiry_s = UINT32_MAX,
                                      .payload_len = (uint32_t)strlen(payload)};

    snprintf(message.topic, sizeof message.topic, "%s", topic);
    memcpy(message.payload, payload,
           strlen(payload) < sizeof message.payload ? strlen(payload) : sizeof message.payload);
    return message;
}

static void deliver(const struct gw_mqtt_message *message)
{
    assert_int_equal(gw_queue_push(gw_control_subscription(world.control)->messages, message),
                     GW_OK);
    gw_control_step(world.control);
}

static void send(const char *topic, const char *payload)
{
    struct gw_mqtt_message message = message_of(topic, payload);

    deliver(&message);
}

static struct gw_bus_order order;

static bool has_order(void)
{
    return gw_queue_pop(gw_control_orders(world.control, 0)->orders, &order, 1) == 1;
}

static void answer_with(enum gw_command_code code)
{
    struct gw_bus_answer answer = {.ticket = order.ticket, .code = code, .has_begun = true};

    answer.n_written = (uint16_t)(code == GW_COMMAND_OK ? order.values.n : 0);
    assert_int_equal(gw_queue_push(gw_control_orders(world.control, 0)->answers, &answer), GW_OK);
    gw_control_step(world.control);
}

static const struct kept *last_result(void)
{
    assert_true(world.list->n > 0);
    return &world.list->kept[world.list->n - 1];
}

static void assert_result(const char *topic, const char *code)
{
    const struct kept *kept = last_result();
    char text[80], payload[4096];

    snprintf(payload, sizeof payload, "%.*s", (int)kept->message.payload_len, kept->payload);
    snprintf(text, sizeof text, "\"code\":\"%s\"", code);
    assert_string_equal(kept->topic, topic);
    if (!strstr(payload, text))
        fail_msg("%s is not %s", payload, code);
}

static void assert_refused(const char *code)
{
    assert_false(has_order());
    assert_result("a/speed/result", code);
}

/* ---- the way of a command -------------------------------------------------------------------------- */

static void a_good_command_becomes_an_order_and_its_answer_a_result(void **state)
{
    (void)state;
    begin();
    send("a/speed/set", "40");

    assert_true(has_order());
    assert_int_equal(order.device, 0);
    assert_int_equal(order.values.n, 1);
    assert_int_equal(order.values.items[0].point, 0);
    assert_int_equal(order.begin_by_us, world.now_us + 10 * S);
    assert_int_equal(world.list->n, 0);
    answer_with(GW_COMMAND_OK);
    assert_result("a/speed/result", "ok");
    const struct gw_message *message = &last_result()->message;
    assert_int_equal(message->qos, 1);
    assert_false(message->retain);
    assert_int_equal(message->kind, GW_KIND_RESULT);
    assert_int_equal(message->expires_wall_ms, world_wall_ms(NULL) + 60000);
}

static void several_points_are_one_order(void **state)
{
    (void)state;
    begin();
    send("a/set", "{\"gate\":true,\"speed\":5}");

    assert_true(has_order());
    assert_int_equal(order.values.n, 2);
    answer_with(GW_COMMAND_REFUSED);
    assert_result("a/result", "refused_by_device");
}

static void only_exact_topics_of_writable_points_are_asked_for(void **state)
{
    (void)state;
    begin();
    const struct gw_mqtt_subscription *subscription = gw_control_subscription(world.control);

    assert_int_equal(subscription->n_topics, 3);
    assert_string_equal(subscription->topics[0], "a/set");
    assert_string_equal(subscription->topics[1], "a/speed/set");
    assert_string_equal(subscription->topics[2], "a/gate/set");
    send("a/level/set", "1");
    send("a/speed/set/", "1");
    send("", "1");
    assert_false(has_order());
    assert_int_equal(world.list->n, 0);
}

static void nothing_is_made_of_a_configuration_without_commands(void **state)
{
    (void)state;
    world.config.commands.is_enabled = false;
    assert_int_equal(
        gw_control_new(&world.config, &world.list->outbox, &world.clock, &world.control), GW_OK);
    assert_null(world.control);
    assert_null(gw_control_subscription(NULL));
    assert_null(gw_control_orders(NULL, 0));
}

/* ---- refusals -------------------------------------------------------------------------------------- */

static void retained_and_late_commands_are_refused(void **state)
{
    struct gw_mqtt_message message;

    (void)state;
    begin();
    message = message_of("a/speed/set", "40");
    message.is_retained = true;
    deliver(&message);
    assert_refused("retained");

    message = message_of("a/speed/set", "40");
    message.received_us -= 10 * S + 1;
    deliver(&message);
    assert_refused("expired");

    message = message_of("a/speed/set", "40");
    message.received_us -= 2 * S + 1;
    message.expiry_s = 2;
    deliver(&message);
    assert_refused("expired");

    send("a/speed/set", "{\"value\":1,\"expires\":1764000000001}");
    assert_refused("expired");
}

static void payloads_that_were_cut_are_refused(void **state)
{
    struct gw_mqtt_message message = message_of("a/speed/set", "1");

    (void)state;
    begin();
    memset(message.payload, ' ', sizeof message.payload);
    message.payload[0] = '1';
    message.payload_len = GW_MQTT_PAYLOAD_MAX + 1;
    deliver(&message);
    assert_refused("too_large");

    message = message_of("a/speed/set", "1");
    message.is_incomplete = true;
    deliver(&message);
    assert_refused("bad_response_topic");
}

static void a_lock_file_refuses_from_one_command_to_the_next(void **state)
{
    (void)state;
    world.config.commands.lock_file = world.lock;
    begin();
    send("a/speed/set", "1");
    assert_true(has_order());
    close(open(world.lock, O_CREAT | O_WRONLY, 0600));
    send("a/speed/set", "2");
    assert_refused("locked");
    unlink(world.lock);
    send("a/speed/set", "3");
    assert_true(has_order());
}

static void arming_lasts_its_time_and_is_not_renewed_by_what_is_retained(void **state)
{
    struct gw_mqtt_message arm;

    (void)state;
    world.config.commands.arm_topic = "a/arm";
    world.config.commands.arm_time_us = 5 * S;
    begin();
    send("a/speed/set", "1");
    assert_refused("not_armed");
    arm = message_of("a/arm", "arm");
    arm.is_retained = true;
    deliver(&arm);
    send("a/speed/set", "1");
    assert_refused("not_armed");
    send("a/arm", "arm");
    send("a/speed/set", "1");
    assert_true(has_order());
    world.now_us += 5 * S;
    send("a/speed/set", "1");
    assert_refused("not_armed");
    send("a/arm", "arm");
    send("a/arm", "disarm");
    send("a/speed/set", "1");
    assert_refused("not_armed");
}

static void rates_hold_per_point_and_in_all_and_recover(void **state)
{
    (void)state;
    world.config.commands.max_waiting = 64;
    world.config.commands.rate = (struct gw_rate){3, 3};
    writes[0].rate = (struct gw_rate){1, 2};
    begin();
    send("a/speed/set", "1");
    send("a/speed/set", "2");
    assert_true(has_order() && has_order());
    send("a/speed/set", "3");
    assert_refused("rate_limited");
    world.now_us += S; /* three in all, one for the point */
    send("a/speed/set", "4");
    assert_true(has_order());
    send("a/speed/set", "5");
    assert_refused("rate_limited");
    send("a/gate/set", "true");
    assert_true(has_order());
    send("a/gate/set", "true");
    assert_false(has_order());
    assert_result("a/gate/result", "rate_limited");
}

static void no_more_commands_than_allowed_wait_for_a_bus(void **state)
{
    (void)state;
    begin();
    for (int i = 0; i < 4; i++)
        send("a/speed/set", "1");
    send("a/speed/set", "2");
    assert_result("a/speed/result", "busy");
    assert_true(has_order());
    answer_with(GW_COMMAND_OK);
    send("a/speed/set", "3");
    assert_result("a/speed/result", "ok");
    for (int i = 0; i < 4; i++)
        assert_true(has_order());
    assert_false(has_order());
}

/* ---- ids ------------------------------------------------------------------------------------------- */

static void a_repeated_id_is_answered_and_not_ordered_again(void **state)
{
    (void)state;
    begin();
    send("a/speed/set", "{\"value\":1,\"id\":\"x\"}");
    assert_true(has_order());
    send("a/speed/set", "{\"value\":1,\"id\":\"x\"}"); /* still under way: its answer will come */
    assert_false(has_order());
    assert_int_equal(world.list->n, 0);
    answer_with(GW_COMMAND_OK);
    send("a/speed/set", "{\"value\":1,\"id\":\"x\"}");
    assert_refused("ok");
    assert_non_null(strstr(last_result()->payload, "\"repeated\":true}"));
    send("a/speed/set", "{\"value\":2,\"id\":\"x\"}");
    assert_refused("id_reused");
    send("a/gate/set", "{\"value\":true,\"id\":\"x\"}");
    assert_true(has_order());
}

static void ids_survive_a_restart_and_what_was_begun_is_unknown(void **state)
{
    (void)state;
    begin();
    send("a/speed/set", "{\"value\":1,\"id\":\"done\"}");
    assert_true(has_order());
    answer_with(GW_COMMAND_OK);
    send("a/speed/set", "{\"value\":1,\"id\":\"begun\"}");
    assert_true(has_order());
    end(); /* without an answer, as after a power cut */

    begin();
    send("a/speed/set", "{\"value\":1,\"id\":\"done\"}");
    assert_refused("ok");
    send("a/speed/set", "{\"value\":1,\"id\":\"begun\"}");
    assert_refused("unknown");
    send("a/speed/set", "{\"value\":1,\"id\":\"new\"}");
    assert_true(has_order());
}

static void an_id_is_on_the_disk_before_the_order_is_out(void **state)
{
    char text[512] = "";

    (void)state;
    begin();
    send("a/speed/set", "{\"value\":1,\"id\":\"x\"}");

    int fd = open(world.ids, O_RDONLY);
    assert_true(fd >= 0 && read(fd, text, sizeof text - 1) > 0);
    close(fd);
    assert_non_null(strstr(text, " B "));
    assert_true(has_order());
}

static void a_refused_command_leaves_its_id_free(void **state)
{
    (void)state;
    begin();
    send("a/speed/set", "{\"value\":51,\"id\":\"x\"}");
    assert_refused("out_of_range");
    send("a/speed/set", "{\"value\":50,\"id\":\"x\"}");
    assert_true(has_order());
}

static void a_damaged_file_of_ids_costs_only_what_is_damaged(void **state)
{
    const char *why;
    char key[16];
    struct gw_ids *ids = gw_ids_new(world.ids, &why);

    (void)state;
    for (int i = 0; i < 5; i++) {
        snprintf(key, sizeof key, "%d", i);
        gw_ids_begin(ids, gw_ids_key("t", key), 7);
        gw_ids_end(ids, gw_ids_key("t", key), "{\"ok\":true}", 11);
    }
    assert_true(gw_ids_sync(ids));
    gw_ids_free(ids);
    int fd = open(world.ids, O_RDWR);
    off_t size = lseek(fd, 0, SEEK_END);
    assert_int_equal(pwrite(fd, "X", 1, 30), 1);       /* the first line: begun 0 */
    assert_int_equal(pwrite(fd, "X", 1, size - 3), 1); /* the last one: done 4 */
    assert_int_equal(pwrite(fd, "12 torn", 7, size), 7);
    close(fd);

    ids = gw_ids_new(world.ids, &why);
    assert_null(why);
    for (int i = 0; i < 5; i++) {
        snprintf(key, sizeof key, "%d", i);
        const struct gw_id *id = gw_ids_find(ids, gw_ids_key("t", key));
        assert_non_null(id); /* of 0 the line "done" is there */
        assert_int_equal(id->is_done, i != 4);
    }
    gw_ids_free(ids);
}

static void the_latest_256_ids_are_kept_and_the_file_stays_small(void **state)
{
    const char *why;
    char key[16];
    struct stat st;
    struct gw_ids *ids = gw_ids_new(world.ids, &why);

    (void)state;
    for (int i = 0; i < 5000; i++) {
        snprintf(key, sizeof key, "%d", i);
        gw_ids_begin(ids, gw_ids_key("t", key), 7);
        if (i % 16 == 0)
            assert_true(gw_ids_sync(ids));
    }
    assert_null(gw_ids_find(ids, gw_ids_key("t", "4743")));
    assert_non_null(gw_ids_find(ids, gw_ids_key("t", "4744")));
    assert_int_equal(stat(world.ids, &st), 0);
    assert_true(st.st_size < 256 * 1024);
    gw_ids_free(ids);
    ids = gw_ids_new(world.ids, &why);
    assert_non_null(gw_ids_find(ids, gw_ids_key("t", "4999")));
    assert_non_null(gw_ids_find(ids, gw_ids_key("t", "4744")));
    gw_ids_free(ids);
}

static void without_a_file_ids_are_kept_in_memory_and_it_is_told(void **state)
{
    (void)state;
    world.config.commands.ids_file = "/nowhere/ids";
    begin();
    assert_int_equal(log_count("ids of commands are forgotten at a restart"), 1);
    send("a/speed/set", "{\"value\":1,\"id\":\"x\"}");
    assert_true(has_order());
    answer_with(GW_COMMAND_OK);
    send("a/speed/set", "{\"value\":1,\"id\":\"x\"}");
    assert_refused("ok");
}

/* ---- MQTT 5 ---------------------------------------------------------------------------------------- */

static void the_response_topic_is_used_below_the_prefix_only(void **state)
{
    struct gw_mqtt_message message = message_of("a/speed/set", "40");

    (void)state;
    begin();
    snprintf(message.response_topic, sizeof message.response_topic, "answers/me");
    memcpy(message.correlation, "\0id", 3);
    message.correlation_len = 3;
    deliver(&message);
    assert_true(has_order());
    answer_with(GW_COMMAND_OK);
    assert_result("answers/me", "ok");
    assert_int_equal(last_result()->message.correlation_len, 3);

    snprintf(message.response_topic, sizeof message.response_topic, "plant/valve/set");
    deliver(&message);
    assert_refused("bad_response_topic");
    snprintf(message.response_topic, sizeof message.response_topic, "answers/#");
    deliver(&message);
    assert_refused("bad_response_topic");
}

/* ---- safe values ----------------------------------------------------------------------------------- */

static void a_safe_value_is_ordered_once_per_outage_and_again_when_it_failed(void **state)
{
    (void)state;
    writes[0].on_disconnect = UINT_(5);
    writes[0].on_disconnect_after_us = 30 * S;
    begin();
    gw_control_step(world.control);
    world.now_us += 100 * S;
    gw_control_step(world.control);
    assert_false(has_order()); /* the broker is there */
    gw_control_set_online(world.control, false);
    gw_control_step(world.control);
    world.now_us += 30 * S - 1;
    gw_control_step(world.control);
    assert_false(has_order());
    world.now_us += 1;
    gw_control_step(world.control);
    assert_true(has_order());
    assert_int_equal(gw_command_value(&order.values, 0).u, 5);
    answer_with(GW_COMMAND_TIMEOUT);
    world.now_us += 5 * S;
    gw_control_step(world.control);
    assert_true(has_order());
    answer_with(GW_COMMAND_OK);
    world.now_us += 100 * S;
    gw_control_step(world.control);
    assert_false(has_order());
    assert_int_equal(world.list->n, 0); /* nobody asked: no result */

    gw_control_set_online(world.control, true);
    gw_control_step(world.control);
    gw_control_set_online(world.control, false);
    gw_control_step(world.control);
    world.now_us += 30 * S;
    gw_control_step(world.control);
    assert_true(has_order());
}

static void the_lock_file_holds_for_safe_values(void **state)
{
    (void)state;
    writes[0].on_disconnect = UINT_(5);
    world.config.commands.lock_file = world.lock;
    close(open(world.lock, O_CREAT | O_WRONLY, 0600));
    begin();
    gw_control_set_online(world.control, false);
    gw_control_step(world.control);
    world.now_us += 10 * S;
    gw_control_step(world.control);
    assert_false(has_order());
    unlink(world.lock);
    gw_control_step(world.control);
    assert_true(has_order());
}

static void what_is_left_at_the_end_is_answered(void **state)
{
    (void)state;
    begin();
    send("a/speed/set", "1");
    gw_control_finish(world.control);
    assert_result("a/speed/result", "unknown");
}

/* ---- audit ----------------------------------------------------------------------------------------- */

static void read_log(const char *file, char *text, size_t size)
{
    int fd = open(file, O_RDONLY);
    ssize_t n = fd >= 0 ? read(fd, text, size - 1) : 0;

    text[n > 0 ? n : 0] = '\0';
    if (fd >= 0)
        close(fd);
}

static void secrets_stay_out_of_audit_log_and_result(void **state)
{
    static char text[65536];
    struct gw_mqtt_message message = message_of("a/speed/set", "37");

    (void)state;
    writes[0].is_secret = true;
    begin();
    snprintf(message.user, sizeof message.user, "who=eve; api_token=hunter2; x=1");
    deliver(&message);
    assert_true(has_order());
    answer_with(GW_COMMAND_OK);

    read_log(world.log, text, sizeof text);
    assert_non_null(strstr(text, "\"event\":\"accepted\""));
    assert_non_null(strstr(text, "\"event\":\"done\""));
    assert_non_null(strstr(text, "who=eve; api_token=***; x=1"));
    assert_null(strstr(text, "37\""));
    assert_null(strstr(text, ":37"));
    assert_int_equal(log_count("37"), 0);
    assert_null(strstr(last_result()->payload, "37"));
}

static void the_audit_file_is_bounded(void **state)
{
    struct gw_audit *audit = gw_audit_new(world.log, 4096);
    char line[100], name[120];
    struct stat st;
    int n_files = 0;

    (void)state;
    memset(line, 'x', sizeof line);
    for (int i = 0; i < 1000; i++)
        assert_int_equal(gw_audit_add(audit, line, sizeof line), GW_OK);
    gw_audit_free(audit);

    for (int i = 0; i < 10; i++) {
        snprintf(name, sizeof name, i ? "%s.%d" : "%s", world.log, i);
        if (stat(name, &st) == 0) {
            n_files++;
            assert_true(st.st_size <= 4096 && st.st_size % 101 == 0);
            assert_int_equal(st.st_mode & 0777, 0600);
        }
    }
    assert_int_equal(n_files, 5);
}

/* ---- 100,000 hostile messages ----------------------------------------------------------------------- */

static const char *const seeds[] = {
    "40",
    "{\"value\":40,\"id\":\"a\"}",
    "{\"speed\":40,\"gate\":true}",
    "true",
    "{\"values\":{\"speed\":40},\"id\":7,\"expires\":1764099000000}",
    "{\"level\":1}",
};
static const char *const topics[] = {"a/speed/set", "a/gate/set", "a/set",
                                     "a/level/set", "a/+/set",    "#"};

static void hostile_messages_write_nothing_that_is_not_allowed(void **state)
{
    struct test_random random;
    char why[GW_COMMAND_WHY];
    size_t n_orders = 0;

    (void)state;
    random = test_random_start();
    world.config.commands.max_waiting = 64;
    writes[0].allowed = NULL;
    begin();
    for (int i = 0; i < 100000; i++) {
        struct gw_mqtt_message message =
            message_of(topics[test_random_below(&random, 6)], seeds[test_random_below(&random, 6)]);

        for (uint64_t k = test_random_below(&random, 4); k > 0 && message.payload_len > 0; k--)
            message.payload[test_random_below(&random, message.payload_len)] =
                (char)(test_random_below(&random, 2)
                           ? test_random_below(&random, 256)
                           : (uint64_t) "0123456789{}[]\":,.-eE"[test_random_below(&random, 21)]);
        if (test_random_below(&random, 20) == 0)
            message.topic[test_random_below(&random, 8)] = (char)test_random_below(&random, 256);
        message.is_retained = test_random_below(&random, 10) == 0;
        deliver(&message);
        while (has_order()) {
            assert_false(message.is_retained);
            assert_true(order.values.n > 0);
            for (size_t v = 0; v < order.values.n; v++) {
                struct gw_value value = gw_command_value(&order.values, v);

                assert_true(order.values.items[v].point < 2); /* never the level */
                assert_int_equal(
                    gw_command_check(&points[order.values.items[v].point], &value, why),
                    GW_COMMAND_OK);
            }
            n_orders++;
            answer_with(GW_COMMAND_OK);
        }
        world.now_us += 1000;
    }
    assert_true(n_orders > 1000); /* the test does not only refuse */
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(a_good_command_becomes_an_order_and_its_answer_a_result),
        CASE(several_points_are_one_order),
        CASE(only_exact_topics_of_writable_points_are_asked_for),
        CASE(nothing_is_made_of_a_configuration_without_commands),
        CASE(retained_and_late_commands_are_refused),
        CASE(payloads_that_were_cut_are_refused),
        CASE(a_lock_file_refuses_from_one_command_to_the_next),
        CASE(arming_lasts_its_time_and_is_not_renewed_by_what_is_retained),
        CASE(rates_hold_per_point_and_in_all_and_recover),
        CASE(no_more_commands_than_allowed_wait_for_a_bus),
        CASE(a_repeated_id_is_answered_and_not_ordered_again),
        CASE(ids_survive_a_restart_and_what_was_begun_is_unknown),
        CASE(an_id_is_on_the_disk_before_the_order_is_out),
        CASE(a_refused_command_leaves_its_id_free),
        CASE(a_damaged_file_of_ids_costs_only_what_is_damaged),
        CASE(the_latest_256_ids_are_kept_and_the_file_stays_small),
        CASE(without_a_file_ids_are_kept_in_memory_and_it_is_told),
        CASE(the_response_topic_is_used_below_the_prefix_only),
        CASE(a_safe_value_is_ordered_once_per_outage_and_again_when_it_failed),
        CASE(the_lock_file_holds_for_safe_values),
        CASE(what_is_left_at_the_end_is_answered),
        CASE(secrets_stay_out_of_audit_log_and_result),
        CASE(the_audit_file_is_bounded),
        CASE(hostile_messages_write_nothing_that_is_not_allowed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
