/* topic_fault: what makes a broker close the connection when a message is published on a topic. */
#ifndef GW_TOPIC_FAULT_H
#define GW_TOPIC_FAULT_H

/* Says in words why no message can be published on this topic; NULL: one can. Pure.
 * Source: MQTT 3.1.1, 1.5.3 (text) and 4.7 (topic names). */
const char *gw_topic_fault(const char *topic);

#endif
