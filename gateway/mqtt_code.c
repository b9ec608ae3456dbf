/* mqtt_code: the codes with which a broker refuses, in words.
 * Source: MQTT 3.1.1, 3.2.2.3 (1-5) and MQTT 5, 2.4 (128-162). */
#include "gateway/mqtt.h"

static const struct {
    unsigned code;
    const char *text;
} codes[] = {
    {0x01, "it does not speak this MQTT version"},
    {0x02, "client id rejected"},
    {0x03, "the broker is not available"},
    {0x04, "bad user name or password"},
    {0x05, "not authorised"},
    {0x80, "no reason given"},
    {0x81, "malformed packet"},
    {0x82, "protocol error"},
    {0x83, "the broker cannot process it"},
    {0x84, "it does not speak this MQTT version"},
    {0x85, "client id rejected"},
    {0x86, "bad user name or password"},
    {0x87, "not authorised"},
    {0x88, "the broker is not available"},
    {0x89, "the broker is busy"},
    {0x8a, "banned"},
    {0x8b, "the broker shuts down"},
    {0x8c, "bad authentication method"},
    {0x8d, "keep alive timed out"},
    {0x8e, "another client with this id took over the session"},
    {0x90, "topic not accepted"},
    {0x93, "too many messages at once"},
    {0x95, "packet too large"},
    {0x96, "messages come too fast"},
    {0x97, "quota exceeded"},
    {0x98, "closed by an administrator"},
    {0x99, "payload format invalid"},
    {0x9a, "retained messages are not supported"},
    {0x9b, "this QoS is not supported"},
    {0x9c, "use another server"},
    {0x9d, "the server has moved"},
    {0x9f, "connections come too fast"},
    {0xa0, "connected for the longest time allowed"},
};

const char *gw_mqtt_code_text(unsigned code)
{
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++)
        if (codes[i].code == code)
            return codes[i].text;
    return "for an unknown reason";
}
