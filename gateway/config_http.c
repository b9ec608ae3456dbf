/* config_http: the section http. */
#include "gateway/config_internal.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

static bool is_off(const struct gw_yaml_node *node)
{
    return node && gw_yaml_is_scalar(node) &&
           (strcmp(node->text, "off") == 0 || strcmp(node->text, "false") == 0);
}

static void resolve(struct gw_loader *loader, const struct gw_yaml_node *map, const char *key,
                    const char **file)
{
    const struct gw_yaml_node *value = gw_yaml_get(map, key);

    if (!*file || !value)
        return;
    *file = gw_path_beside(loader, gw_folder_of(loader, value->file), *file);
    if (access(*file, R_OK) != 0)
        gw_diag_add(loader->diags, gw_yaml_mark(value), "cannot read %s %s: %s", key, *file,
                    strerror(errno));
}

static void check(struct gw_loader *loader, const struct gw_yaml_node *map,
                  struct gw_http_conf *http)
{
    const struct gw_yaml_node *address = gw_yaml_get(map, "address"),
                              *token = gw_yaml_get(map, "token_file");
    char parsed[16];

    bool is_address = http->address && (inet_pton(AF_INET, http->address, parsed) == 1 ||
                                        inet_pton(AF_INET6, http->address, parsed) == 1);
    if (http->address && !is_address)
        gw_diag_add(loader->diags, gw_yaml_mark(address),
                    "address \"%s\" is no IP address; 127.0.0.1 is this machine only, 0.0.0.0 "
                    "everybody",
                    http->address);
    if (!gw_yaml_get(map, "cert_file") != !gw_yaml_get(map, "key_file"))
        gw_diag_add(loader->diags, gw_yaml_key_mark(map),
                    "http needs both cert_file and key_file, or neither");
    resolve(loader, map, "cert_file", &http->cert_file);
    resolve(loader, map, "key_file", &http->key_file);
    if (token && http->token_file)
        http->token = gw_read_password_file(
            loader, gw_path_beside(loader, gw_folder_of(loader, token->file), http->token_file),
            gw_yaml_mark(token));
    bool is_local = http->address &&
                    (strncmp(http->address, "127.", 4) == 0 || strcmp(http->address, "::1") == 0);
    if (is_address && !is_local && !token)
        gw_diag_warn(loader->diags, gw_yaml_mark(address),
                     "without token_file everybody in the network sees the values of the plant");
}

void gw_load_http(struct gw_loader *loader, const struct gw_yaml_node *map,
                  struct gw_http_conf *ret_http)
{
    struct gw_http_conf http = {0};
    struct gw_walk walk = {.section = &gw_http_section, .expands = true};

    gw_decode_defaults(loader, gw_http_section.keys, &http, true);
    gw_walk_bind(&walk, gw_http_section.keys, &http, 0);
    if (is_off(map)) {
        http.is_enabled = false;
        map = NULL;
    }
    if (map && !gw_walk_section(loader, &walk, map))
        return;
    if (map && http.is_enabled)
        check(loader, map, &http);
    uint64_t h = gw_fingerprint_node(GW_FINGERPRINT_START, map);
    h = gw_fingerprint_text(h, http.is_enabled ? http.token : "off");
    h = gw_fingerprint_file(h, http.cert_file);
    http.fingerprint = gw_fingerprint_file(h, http.key_file);
    *ret_http = http;
}
