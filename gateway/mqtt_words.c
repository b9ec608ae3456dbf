#include "gateway/mqtt_words.h"

#include <stdio.h>

const char *gw_mqtt_span_text(int64_t us, char *text, size_t size)
{
    static const struct {
        int64_t us, limit_us;
        const char *unit;
    } units[] = {
        {1000, 1000000, "ms"},
        {1000000, 120000000, "s"},
        {60000000, 7200000000, "min"},
        {3600000000, 172800000000, "h"},
        {86400000000, INT64_MAX, "days"},
    };
    size_t i = 0;

    while (us >= units[i].limit_us)
        i++;
    snprintf(text, size, "%lld %s", (long long)(us / units[i].us), units[i].unit);
    return text;
}

void gw_mqtt_failure_text(struct gw_mqtt *mqtt, int64_t timeout_us,
                          const struct gw_mqtt_event *event, char *text, size_t size)
{
    const char *detail = gw_mqtt_detail(mqtt);
    char time[32];

    switch ((enum gw_mqtt_why)event->why) {
    case GW_MQTT_WHY_CODE:
        snprintf(text, size, " refuses the connection: %s", gw_mqtt_code_text(event->code));
        break;
    case GW_MQTT_WHY_UNKNOWN_HOST:
        snprintf(text, size, ": unknown host (%s)", detail);
        break;
    case GW_MQTT_WHY_NO_LISTENER:
        snprintf(text, size, ": connection refused, no broker listens there");
        break;
    case GW_MQTT_WHY_UNREACHABLE:
        snprintf(text, size, " cannot be reached: %s", detail);
        break;
    case GW_MQTT_WHY_TIMEOUT:
        snprintf(text, size, ": timed out, no answer within %s",
                 gw_mqtt_span_text(timeout_us, time, sizeof time));
        break;
    case GW_MQTT_WHY_CERTIFICATE:
        snprintf(text, size, ": the certificate of the broker is not accepted: %s", detail);
        break;
    case GW_MQTT_WHY_TLS:
        snprintf(text, size, ": no TLS connection: %s", detail);
        break;
    case GW_MQTT_WHY_FILE:
        snprintf(text, size, ": cannot use %s", detail);
        break;
    case GW_MQTT_WHY_LIBRARY:
        snprintf(text, size, ": cannot connect: %s", detail);
        break;
    case GW_MQTT_WHY_NONE:
    case GW_MQTT_WHY_CLOSED:
        snprintf(text, size, " closes the connection before it answers; is it an MQTT broker?");
        break;
    }
}
