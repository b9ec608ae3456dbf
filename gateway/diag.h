/* diag: every mistake of a configuration, collected and printed as file:line:column: sentence, the line and a caret. */
#ifndef GW_DIAG_H
#define GW_DIAG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "gateway/err.h"

/* A place in a file. `file` is borrowed and outlives the diagnoses (the yaml tree owns the names). */
struct gw_mark {
    const char *file;      /* NULL: no place (a mistake of the whole) */
    uint32_t line, column; /* 1-based; column counts characters, not bytes */
};

struct gw_diags; /* the list of mistakes */

/* Makes an empty list; NULL when memory is out. */
struct gw_diags *gw_diags_new(void);
void gw_diags_free(struct gw_diags *diags);

/* Adds one mistake. At most 100 are kept, the rest only counted. A repeated place and sentence is added once. */
void gw_diag_add(struct gw_diags *diags, struct gw_mark mark, const char *fmt, ...) GW_PRINTF(3, 4);
/* Adds a warning: printed, but not a mistake. */
void gw_diag_warn(struct gw_diags *diags, struct gw_mark mark, const char *fmt, ...)
    GW_PRINTF(3, 4);

/* Leaves out the source line wherever a mistake is on this line: there is a secret on it. */
void gw_diag_hide_line(struct gw_diags *diags, struct gw_mark mark);

size_t gw_diags_count(const struct gw_diags *diags); /* mistakes, without warnings */
/* Counts every call of gw_diag_add, repetitions too: unchanged means that all was well in between. */
size_t gw_diags_n_added(const struct gw_diags *diags);
/* Whether a mistake is kept that is at this place. */
bool gw_diags_any_at(const struct gw_diags *diags, struct gw_mark mark);
bool gw_diags_any(const struct gw_diags *diags);

/* Prints all in the order of file and line: "FILE:LINE:COL: SENTENCE\n    SOURCE LINE\n        ^\n".
 * Reads the source lines from the files again; a line that cannot be read is left out. Tabs stay tabs. */
void gw_diags_print(const struct gw_diags *diags, FILE *out);

/* Hands over all that is kept, in the same order. */
void gw_diags_each(const struct gw_diags *diags,
                   void (*visit)(void *ctx, bool is_warning, struct gw_mark mark,
                                 const char *sentence),
                   void *ctx);

/* Finds the candidate that other gateways call `word`; NULL when there is none. */
const char *gw_synonym(const char *word, const char *const *candidates, size_t n_candidates);
/* Finds the candidate that was probably meant by `word`: a synonym, else a near one (Damerau-Levenshtein distance at
 * most a third of its length, at least 1); NULL when there is none. */
const char *gw_suggest(const char *word, const char *const *candidates, size_t n_candidates);

/* Gives the length of the line at the start of text and, in *ret_break, of the line break after it (0 at the end).
 * Source: YAML 1.1, 4.1.4: CR, LF, CR LF, NEL, LS and PS, which is what libyaml counts as lines. */
size_t gw_text_line(const char *text, size_t len, size_t *ret_break);

#endif
