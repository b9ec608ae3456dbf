/* schema_http: the table of the section http. */
#include "gateway/config.h"
#include "gateway/schema_tables.h"

#define HTTP(member) offsetof(struct gw_http_conf, member)

static const struct gw_key http_keys[] = {
    {.name = "enabled",
     .type = GW_KEY_BOOL,
     .offset = HTTP(is_enabled),
     .def = "true",
     .help = "Whether there is a status page at all; \"http: off\" is the same as false.",
     .example = "true"},
    {.name = "address",
     .type = GW_KEY_TEXT,
     .offset = HTTP(address),
     .min = 2,
     .max = 45,
     .def = "127.0.0.1",
     .help = "IP address to listen on; 0.0.0.0 for all, which wants token_file and cert_file.",
     .pattern = "^[0-9a-fA-F.:]+$|\\$\\{",
     .example = "0.0.0.0"},
    {.name = "port",
     .type = GW_KEY_INT,
     .offset = HTTP(port),
     .min = 1,
     .max = 65535,
     .def = "8098",
     .help = "TCP port.",
     .example = "8098"},
    {.name = "token_file",
     .type = GW_KEY_TEXT,
     .offset = HTTP(token_file),
     .min = 1,
     .max = 4095,
     .help =
         "File with the token that clients have to send (as Bearer, or as the password of Basic, "
         "whatever the user), readable by its owner only.",
     .example = "${CREDENTIALS_DIRECTORY}/http-token"},
    {.name = "cert_file",
     .type = GW_KEY_TEXT,
     .offset = HTTP(cert_file),
     .min = 1,
     .max = 4095,
     .help = "PEM file of the server's certificate: https instead of http; needs key_file.",
     .example = "/etc/field2mqtt/http.pem"},
    {.name = "key_file",
     .type = GW_KEY_TEXT,
     .offset = HTTP(key_file),
     .min = 1,
     .max = 4095,
     .help = "PEM file of the certificate's private key; needs cert_file.",
     .example = "${CREDENTIALS_DIRECTORY}/http-key"},
    {.name = NULL},
};

const struct gw_section gw_http_section = {
    .name = "http",
    .help = "Status page, health, metrics and JSON over HTTP: all of them read-only. Or \"off\".",
    .keys = http_keys,
};
