/* forms: what each type is in its registers; shared by regs.c, encode.c and text.c. Pure. */
#ifndef MODBUS_FORMS_H
#define MODBUS_FORMS_H

#include "drivers/modbus/regs.h"

enum modbus_form_kind {
    FORM_BOOL,
    FORM_FIELD, /* an integer, or some bits of one */
    FORM_FLOAT,
    FORM_BCD,
    FORM_MOD10K,
    FORM_SIGNMAG,
    FORM_PF4Q,
    FORM_TEXT
};

enum modbus_follows { FOLLOWS_ORDER, FOLLOWS_STRING_ORDER, FOLLOWS_NOTHING };

struct modbus_form {
    enum modbus_form_kind kind;
    enum modbus_follows follows;
    uint8_t shift, width; /* width 0: as in the type's brackets */
    bool is_signed;
    bool is_part; /* the registers hold other things too */
};

extern const struct modbus_form modbus_forms[]; /* by enum modbus_type */

static inline uint64_t modbus_ones(unsigned n)
{
    return n >= 64 ? UINT64_MAX : (UINT64_C(1) << n) - 1;
}

unsigned modbus_field_width(const struct modbus_type_spec *spec);
unsigned modbus_field_shift(const struct modbus_type_spec *spec);

/* The words of up to four registers as one integer, the first the most significant; and back. */
uint64_t modbus_join(const uint16_t *regs, size_t n_regs);
void modbus_part(uint64_t raw, uint16_t *regs, size_t n_regs);

/* Brings the registers of a point from the order of the wire into ours, or back: it is its own inverse. */
void modbus_reorder(const struct modbus_point_conf *point, const struct modbus_type_spec *spec,
                    const uint16_t *in, uint16_t *out);

/* The bits of a float as a number. */
float modbus_float_of_bits(uint32_t bits);

void modbus_fail(struct gw_result *result, const char *reason);
void modbus_give_text(struct gw_result *result, const char *text, size_t len);
/* Texts and times (text.c); registers in our order. */
void modbus_decode_text(const struct modbus_type_spec *spec, const uint16_t *regs,
                        char text[MODBUS_TEXT_MAX], struct gw_result *result);
GW_MUST_CHECK enum gw_err modbus_encode_text(const struct modbus_type_spec *spec,
                                             const struct gw_value *value, uint16_t *ret_regs);

/* One decoder and one encoder per text type, all of one shape (times.c); text has MODBUS_TEXT_MAX bytes. */
#define MODBUS_TEXT_FORM(name)                                                                     \
    void modbus_decode_##name(const struct modbus_type_spec *spec, const uint16_t *regs,           \
                              char *text, struct gw_result *result);                               \
    enum gw_err modbus_encode_##name(const struct modbus_type_spec *spec,                          \
                                     const struct gw_value *value, uint16_t *regs)
MODBUS_TEXT_FORM(iec870);
MODBUS_TEXT_FORM(words);
MODBUS_TEXT_FORM(bytes);
MODBUS_TEXT_FORM(unix);
MODBUS_TEXT_FORM(hhmm);
#undef MODBUS_TEXT_FORM

#endif
