/* config_mqtt: the sections gateway, mqtt and buffer. */
#include "gateway/config_internal.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "gateway/schema_tables.h"
#include "gateway/server_url.h"

/* ---- gateway --------------------------------------------------------------------------------------- */

void gw_load_gateway(struct gw_loader *loader, const struct gw_yaml_node *map, struct gw_mark root)
{
    struct gw_gateway_draft draft = {0};
    const struct gw_layer layer = {map, GW_LEVEL_ROOT, NULL};
    struct gw_walk walk = {.section = gw_schema_root.children[0].section};

    loader->config->gateway_name =
        "gateway"; /* after a mistake: nothing that follows from it is another one */
    if (map) {
        gw_walk_bind(&walk, walk.section->keys, &draft, 0);
        if (gw_walk_section(loader, &walk, map)) {
            gw_check_required(loader, walk.section->keys, &layer, GW_LEVEL_ROOT,
                              gw_yaml_key_mark(map), "the gateway");
            loader->variables =
                gw_decode_variables(loader, gw_walk_child(&walk, "variables"), NULL);
            if (gw_check_name(loader, map, NULL, "gateway") && draft.name)
                loader->config->gateway_name = draft.name;
        }
    } else if (!loader->lacks_files) {
        gw_diag_add(loader->diags, root, "there is no section \"gateway\" with a name");
    }
    struct gw_variable *gateway = gw_arena_alloc(&loader->memory.nodes, sizeof *gateway);
    *gateway = (struct gw_variable){"gateway", loader->config->gateway_name, loader->variables};
    loader->variables = gateway;
}

/* ---- servers --------------------------------------------------------------------------------------- */

/* What the checks below need to know of all servers. */
struct server_kinds {
    bool any_tls, any_plain_remote;
};

static struct gw_mark item_mark(const struct gw_yaml_node *list, size_t index)
{
    const struct gw_yaml_node *item = list->kind == GW_YAML_LIST ? list->first : list;

    for (; index; index--)
        item = item->next;
    return gw_yaml_mark(item);
}

static void check_servers(struct gw_loader *loader, const struct gw_yaml_node *map,
                          struct gw_mqtt_conf *mqtt, struct server_kinds *kinds)
{
    const struct gw_yaml_node *list = gw_yaml_get(map, "servers");
    const char **servers =
        gw_arena_alloc(&loader->memory.texts, mqtt->servers.n_items * sizeof *servers);
    size_t n = 0;

    for (size_t i = 0; i < mqtt->servers.n_items; i++) {
        struct gw_server_url url;
        char why[GW_SERVER_URL_WHY];

        if (strchr(mqtt->servers.items[i],
                   '@')) { /* a password may be in it: none of it is shown */
            gw_diag_hide_line(loader->diags, item_mark(list, i));
            gw_diag_add(loader->diags, item_mark(list, i),
                        "the server must not hold a user; use username and password");
            continue;
        }
        if (gw_server_url_parse(mqtt->servers.items[i], &url, why) != GW_OK) {
            gw_diag_add(loader->diags, item_mark(list, i), "server \"%.120s\" %s",
                        mqtt->servers.items[i], why);
            continue;
        }
        bool is_v6 = strchr(url.host, ':') != NULL;
        const char *text =
            gw_arena_print(&loader->memory.texts, "%s://%s%s%s:%d", url.is_tls ? "mqtts" : "mqtt",
                           is_v6 ? "[" : "", url.host, is_v6 ? "]" : "", url.port);
        for (size_t k = 0; k < n; k++)
            if (strcmp(servers[k], text) == 0)
                gw_diag_add(loader->diags, item_mark(list, i), "server %s is listed twice", text);
        servers[n++] = text;
        kinds->any_tls |= url.is_tls;
        kinds->any_plain_remote |= !url.is_tls && !gw_server_is_loopback(&url);
    }
    mqtt->servers = (struct gw_list){servers, n};
}

/* ---- passwords and certificates -------------------------------------------------------------------- */

static void check_plain_secret(struct gw_loader *loader, const struct gw_yaml_node *value)
{
    if (value && gw_yaml_is_scalar(value) && !strstr(value->text, "${"))
        gw_diag_warn(loader->diags, gw_yaml_key_mark(value),
                     "\"%s\" stands in the configuration for all to read; use ${VARIABLE}%s",
                     value->key, strcmp(value->key, "password") == 0 ? " or password_file" : "");
}

static void load_password(struct gw_loader *loader, const struct gw_yaml_node *map,
                          struct gw_mqtt_draft *draft, const struct server_kinds *kinds)
{
    const struct gw_yaml_node *password = gw_yaml_get(map, "password"),
                              *file = gw_yaml_get(map, "password_file");
    const struct gw_yaml_node *given = file ? file : password;

    if (password && file)
        gw_diag_add(loader->diags, gw_yaml_key_mark(file),
                    "give either password or password_file, not both");
    check_plain_secret(loader, password);
    if (file && draft->password_file && !password)
        draft->conf.password = gw_read_password_file(
            loader, gw_path_beside(loader, gw_folder_of(loader, file->file), draft->password_file),
            gw_yaml_mark(file));
    if (given && !gw_yaml_get(map, "username") && draft->conf.version == GW_MQTT_3_1_1)
        gw_diag_add(loader->diags, gw_yaml_key_mark(given), "\"%s\" needs a username (MQTT 3.1.1)",
                    given->key);
    if (given && kinds->any_plain_remote)
        gw_diag_warn(loader->diags, gw_yaml_key_mark(given),
                     "the password is sent unencrypted to a server without TLS; use mqtts://");
}

static void resolve_file(struct gw_loader *loader, const struct gw_yaml_node *tls, const char *key,
                         const char **file)
{
    const struct gw_yaml_node *value = gw_yaml_get(tls, key);

    if (!*file || !value)
        return;
    *file = gw_path_beside(loader, gw_folder_of(loader, value->file), *file);
    if (access(*file, R_OK) != 0)
        gw_diag_add(loader->diags, gw_yaml_mark(value), "cannot read %s %s: %s", key, *file,
                    strerror(errno));
}

static void load_tls(struct gw_loader *loader, const struct gw_yaml_node *map,
                     struct gw_mqtt_tls *tls, const struct server_kinds *kinds, bool has_servers)
{
    struct gw_walk walk = {.section = gw_schema_root.children[1].section->children[0].section,
                           .expands = true};

    gw_decode_defaults(loader, walk.section->keys, tls, true);
    if (!map)
        return;
    gw_walk_bind(&walk, walk.section->keys, tls, 0);
    if (!gw_walk_section(loader, &walk, map))
        return;
    resolve_file(loader, map, "ca_file", &tls->ca_file);
    resolve_file(loader, map, "cert_file", &tls->cert_file);
    resolve_file(loader, map, "key_file", &tls->key_file);
    check_plain_secret(loader, gw_yaml_get(map, "key_password"));
    if (!gw_yaml_get(map, "cert_file") != !gw_yaml_get(map, "key_file"))
        gw_diag_add(loader->diags, gw_yaml_key_mark(map),
                    "tls needs both cert_file and key_file, or neither");
    if (gw_yaml_get(map, "verify") && !tls->verify)
        gw_diag_warn(loader->diags, gw_yaml_key_mark(gw_yaml_get(map, "verify")),
                     "without verify anybody may pass for the broker and read the password");
    if (has_servers && !kinds->any_tls)
        gw_diag_warn(loader->diags, gw_yaml_key_mark(map),
                     "tls has no effect: no server is mqtts://");
}

/* ---- mqtt ------------------------------------------------------------------------------------------ */

static void check_state_topic(struct gw_loader *loader, const struct gw_yaml_node *map,
                              const char *topic)
{
    const struct gw_yaml_node *value = gw_yaml_get(map, "state_topic");
    char why[GW_TOPIC_WHY];

    if (topic && gw_topic_check(topic, false, why) != GW_OK)
        gw_diag_add(loader->diags, value ? gw_yaml_mark(value) : gw_yaml_key_mark(map),
                    "state_topic \"%.300s\" %s", topic, why);
}

static void check_reconnect(struct gw_loader *loader, const struct gw_yaml_node *map,
                            const struct gw_mqtt_conf *conf)
{
    const struct gw_yaml_node *min = gw_yaml_get(map, "reconnect_min"),
                              *max = gw_yaml_get(map, "reconnect_max");

    if (conf->reconnect_min_us > conf->reconnect_max_us && gw_is_sound(loader, min) &&
        gw_is_sound(loader, max))
        gw_diag_add(loader->diags, gw_yaml_mark(min ? min : max),
                    "reconnect_min is longer than reconnect_max");
}

static uint64_t fingerprint(const struct gw_loader *loader, const struct gw_yaml_node *map,
                            const struct gw_mqtt_conf *conf)
{
    uint64_t h = gw_fingerprint_node(GW_FINGERPRINT_START, map);

    h = gw_fingerprint_text(h, loader->config->gateway_name);
    h = gw_fingerprint_text(h, conf->password);
    h = gw_fingerprint_file(h, conf->tls.ca_file);
    h = gw_fingerprint_file(h, conf->tls.cert_file);
    return gw_fingerprint_file(h, conf->tls.key_file);
}

void gw_load_mqtt(struct gw_loader *loader, const struct gw_yaml_node *map,
                  struct gw_mqtt_conf *ret_mqtt)
{
    struct gw_mqtt_draft draft = {0};
    struct server_kinds kinds = {0};
    const struct gw_layer layer = {map, GW_LEVEL_ROOT, NULL};
    struct gw_walk walk = {.section = gw_schema_root.children[1].section, .expands = true};

    gw_decode_defaults(loader, walk.section->keys, &draft, true);
    gw_walk_bind(&walk, walk.section->keys, &draft, 0);
    if (!gw_walk_section(loader, &walk, map))
        return;
    gw_check_required(loader, walk.section->keys, &layer, GW_LEVEL_ROOT, gw_yaml_key_mark(map),
                      "mqtt");
    check_servers(loader, map, &draft.conf, &kinds);
    load_password(loader, map, &draft, &kinds);
    load_tls(loader, gw_walk_child(&walk, "tls"), &draft.conf.tls, &kinds,
             draft.conf.servers.n_items > 0);
    check_state_topic(loader, map, draft.conf.state_topic);
    check_reconnect(loader, map, &draft.conf);
    draft.conf.fingerprint = fingerprint(loader, map, &draft.conf);
    *ret_mqtt = draft.conf;
}

/* ---- buffer ---------------------------------------------------------------------------------------- */

/* systemd may give several folders, separated by colons. */
static const char *default_path(struct gw_loader *loader)
{
    const char *folder = loader->env->getenv("STATE_DIRECTORY");
    const size_t len = folder ? strcspn(folder, ":") : 0;

    return len > 0 ? gw_arena_print(&loader->memory.texts, "%.*s/outbox.db", (int)len, folder)
                   : "/var/lib/field2mqtt/outbox.db";
}

void gw_load_buffer(struct gw_loader *loader, const struct gw_yaml_node *map,
                    struct gw_buffer_conf *ret_buffer)
{
    struct gw_buffer_draft draft = {0};
    struct gw_walk walk = {.section = &gw_buffer_section};

    gw_decode_defaults(loader, walk.section->keys, &draft, false);
    gw_walk_bind(&walk, walk.section->keys, &draft, 0);
    if (map && !gw_walk_section(loader, &walk, map))
        return;
    const struct gw_yaml_node *order = map ? gw_yaml_get(map, "order") : NULL;
    if (order && draft.is_live_first && draft.durability == GW_DURABLE_NONE)
        gw_diag_add(loader->diags, gw_yaml_mark(order),
                    "order: live-first needs durability: outage or always");
    const struct gw_yaml_node *path = map ? gw_yaml_get(map, "path") : NULL;
    *ret_buffer = (struct gw_buffer_conf){
        .durability = (enum gw_durability)draft.durability,
        .path = path && draft.path
                    ? gw_path_beside(loader, gw_folder_of(loader, path->file), draft.path)
                    : default_path(loader),
        .max_bytes = draft.max_bytes,
        .max_age_us = draft.max_age_us,
        .drop_newest = draft.drop_newest != 0,
        .commit_interval_us = draft.commit_interval_us,
        .is_live_first = draft.is_live_first != 0,
        .drain_rate = draft.drain_rate,
    };
}
