/* mqtt_tls: finds out why no connection to a broker comes about, with TLS or without, in words that help.
 * The client library only says that it failed; so this tries once more, with the same settings, and looks closely. */
#ifndef GW_MQTT_TLS_H
#define GW_MQTT_TLS_H

#include "gateway/config.h"
#include "gateway/mqtt.h"
#include "gateway/mqtt_address.h"

/* Without TLS GW_MQTT_WHY_NO_LISTENER, _TIMEOUT, _UNREACHABLE with the system's words in ret_text, or _CLOSED when something
 * listens there. With TLS also _FILE, _CERTIFICATE or _TLS with the reason, and _CLOSED when TLS itself is fine.
 * Blocks for twice timeout_us at most. */
enum gw_mqtt_why gw_server_explain(const struct gw_server *server, const struct gw_address *address,
                                   const struct gw_mqtt_tls *conf, int64_t timeout_us,
                                   char *ret_text, size_t text_size);

#endif
