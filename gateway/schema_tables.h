/* schema_tables: tables of schema_*.c that schema.c and the walkers use. Part of schema. */
#ifndef GW_SCHEMA_TABLES_H
#define GW_SCHEMA_TABLES_H

#include "gateway/schema.h"

/* No wildcards, no empty level, and nothing of the broker's own. Variables may stand in it. Source: MQTT 3.1.1, 4.7. */
#define GW_TOPIC_PATTERN "^(?!/|.*//|.*/$|\\$(?!\\{))[^+#]+$"
#define GW_NAME_PATTERN  "^[A-Za-z0-9_.-]+$" /* names go into topics */

/* 20/s, 6/m, 10/h: so many at once, which come back over that time. For keys of type GW_KEY_PARSED. */
#define GW_RATE_PATTERN "^[0-9]+(\\.[0-9]+)?/(s|m|h)$"
enum gw_err gw_parse_rate(const char *text, void *field, struct gw_driver_diag *diag);

extern const struct gw_section gw_buffer_section; /* struct gw_buffer_draft */
extern const struct gw_key
    gw_default_keys[]; /* interval, timeout, ...: of root, bus, device; struct gw_settings */
extern const struct gw_key gw_point_default_keys[]; /* interval */
extern const struct gw_key
    gw_publish_keys[]; /* of publish: everywhere, and flat at a point; struct gw_settings */
extern const struct gw_key gw_publish_per_keys[];  /* per: not at a point; struct gw_settings */
extern const struct gw_section gw_publish_section; /* with per */
extern const struct gw_section gw_publish_point_section;
extern const struct gw_key gw_write_keys[];       /* of write: everywhere; struct gw_settings */
extern const struct gw_key gw_write_point_keys[]; /* of write: at a point; struct gw_write_draft */
extern const struct gw_section gw_commands_section, gw_write_section, gw_write_point_section;
extern const struct gw_section gw_http_section;
extern const struct gw_section gw_bus_section, gw_device_section, gw_point_section;

#endif
