/* mqtt_words: what people are told of a connection to a broker. */
#ifndef GW_MQTT_WORDS_H
#define GW_MQTT_WORDS_H

#include "gateway/mqtt.h"

/* Writes a span of time with the unit that fits it, "90 s", and gives it. */
const char *gw_mqtt_span_text(int64_t us, char *text, size_t size);
/* Says why a connection could not be made, to be read behind the name of the server: ": unknown host (plant.example)".
 * timeout_us is that of connecting. */
void gw_mqtt_failure_text(struct gw_mqtt *mqtt, int64_t timeout_us,
                          const struct gw_mqtt_event *event, char *text, size_t size);

#endif
