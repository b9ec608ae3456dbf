/* mqtt_tls: finds out why no TLS connection to a broker comes about, in words that help.
 * The client library only says that it failed; so this tries once more, with the same settings, and looks closely. */
#ifndef GW_MQTT_TLS_H
#define GW_MQTT_TLS_H

#include "gateway/config.h"
#include "gateway/mqtt.h"
#include "gateway/mqtt_address.h"

/* Gives GW_MQTT_WHY_FILE, _CERTIFICATE or _TLS with the reason in ret_text; _TIMEOUT; or _CLOSED when TLS itself is
 * fine. Blocks for timeout_us at most. */
enum gw_mqtt_why gw_tls_explain(const struct gw_server *server, const struct gw_address *address,
                                const struct gw_mqtt_tls *conf, int64_t timeout_us, char *ret_text,
                                size_t text_size);

#endif
