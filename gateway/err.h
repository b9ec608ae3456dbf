/* err: everything that can go wrong at run time, one word for each thing a caller does differently.
 * It deliberately holds no sentence: sentences for people are made where a person reads them (diag.h). */
#ifndef GW_ERR_H
#define GW_ERR_H

#define GW_MUST_CHECK       __attribute__((warn_unused_result))
#define GW_PRINTF(fmt, arg) __attribute__((format(printf, fmt, arg)))

enum gw_err {
    GW_OK = 0,
    GW_E_TIMEOUT, /* no answer before the deadline: the device counts a failure, the link stays */
    GW_E_LINK,    /* the link is gone: close it, open it again */
    GW_E_PROTO,   /* an answer that cannot be trusted: discard it, ask again */
    GW_E_REFUSED, /* the device said no: asking the same again is of no use for now */
    GW_E_BUSY,    /* the device said later: ask again after a pause */
    GW_E_RANGE,   /* a value or size that does not fit */
    GW_E_FULL,    /* a bounded queue, buffer or file is full */
    GW_E_CLOSED,  /* used before open or after close, or the program is stopping */
    GW_E_CONFIG,  /* the configuration is wrong; a diagnosis says how */
    GW_E_NOMEM,
};

/* Gives the stable code of an error as it stands in payloads and logs: "timeout", "link", "protocol",
 * "refused", "busy", "range", "full", "closed", "config", "memory", "ok". Never NULL. */
static inline const char *gw_err_str(enum gw_err err)
{
    static const char *const words[] = {
        "ok",    "timeout", "link",   "protocol", "refused", "busy",
        "range", "full",    "closed", "config",   "memory",
    };

    return (unsigned)err < sizeof words / sizeof words[0] ? words[err] : "unknown";
}

#endif
