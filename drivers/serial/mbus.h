/* mbus: the records of an M-Bus answer with variable data structure: each says what it is, in which unit and how it is
 * written. Pure.
 * Source: EN 13757-3:2018, 6 (frame), annex A (types), 6.3-6.4 (DIF, VIF and their extensions). */
#ifndef SERIAL_MBUS_H
#define SERIAL_MBUS_H

#include "drivers/serial/place.h"

enum { SERIAL_MBUS_PRIMARY = 0, SERIAL_MBUS_FB = 0xFB, SERIAL_MBUS_FD = 0xFD };

struct serial_mbus_record {
    uint64_t storage;
    uint32_t tariff, subunit;
    uint8_t function;   /* as enum serial_mbus_function */
    uint8_t data_field; /* low half of the DIF */
    uint8_t lvar;       /* of data of variable length */
    uint8_t table, vif; /* without its top bit */
    struct serial_slice vife, data;
};

/* What a VIF means: a number of this quantity is digits x factor x 10^exp10 of its unit. */
struct serial_mbus_unit {
    enum serial_mbus_quantity quantity;
    int32_t exp10, factor;
};

/* Gives the records of a whole long frame (68 L L 68 C A CI ... CS 16). False: it has none that can be read. */
bool serial_mbus_records(const struct serial_frame *frame, struct serial_slice *ret_records);
/* Takes the next record. False: there is none, or what stands there cannot be followed. */
bool serial_mbus_next(struct serial_slice *records, struct serial_mbus_record *ret_record);
/* Looks a record's VIF up. False: it is none of the known ones. */
bool serial_mbus_unit(const struct serial_mbus_record *record, struct serial_mbus_unit *ret_unit);

/* Reads the record or the piece of the header that a point picks. Text is put into buf. */
enum { SERIAL_MBUS_TEXT = 200 };
void serial_mbus_read(const struct serial_mbus_pick *pick, const struct serial_frame *frame,
                      char buf[SERIAL_MBUS_TEXT], struct gw_result *ret_result);
/* Parses what stands behind mbus: in a place: "energy,storage=1,tariff=2". */
enum gw_err serial_mbus_parse(const char *text, struct serial_mbus_pick *pick,
                              struct gw_driver_diag *diag);
/* Is it read as a text? */
bool serial_mbus_is_text(const struct serial_mbus_pick *pick);

#endif
