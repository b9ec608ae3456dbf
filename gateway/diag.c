/* diag: keeps mistakes and warnings, and prints them in the order of the files. */
#include "gateway/diag.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum {
    KEPT_MAX = 100,
    SENTENCE_MAX = 600, /* bytes */
    SOURCE_BEFORE =
        80, /* characters of a long source line that are shown left and right of the place */
    SOURCE_AFTER = 40,
    FILE_MAX_BYTES = 64 * 1024 * 1024,
};

struct diag {
    struct gw_mark mark;
    bool is_warning;
    char *sentence;
};

struct gw_diags {
    struct diag *kept;
    size_t n_kept, n_kept_room;
    size_t n_kept_mistakes, n_kept_warnings; /* each at most KEPT_MAX */
    size_t n_mistakes, n_warnings;
    size_t n_added; /* mistakes, with repetitions */
    uint64_t *seen; /* hashes of place and sentence, open addressing; 0 is empty */
    size_t n_seen, n_seen_room;
    struct gw_mark *hidden;
    size_t n_hidden;
};

struct gw_diags *gw_diags_new(void)
{
    return calloc(1, sizeof(struct gw_diags));
}

void gw_diags_free(struct gw_diags *diags)
{
    if (!diags)
        return;
    for (size_t i = 0; i < diags->n_kept; i++)
        free(diags->kept[i].sentence);
    free(diags->kept);
    free(diags->seen);
    free(diags->hidden);
    free(diags);
}

static uint64_t hash_bytes(uint64_t hash, const void *bytes, size_t len)
{
    const unsigned char *p = bytes;

    for (size_t i = 0; i < len; i++)
        hash = (hash ^ p[i]) * 1099511628211u;
    return hash;
}

static uint64_t hash_diag(struct gw_mark mark, const char *sentence)
{
    uint64_t hash = 14695981039346656037u; /* FNV-1a, 64 bits */

    if (mark.file)
        hash = hash_bytes(hash, mark.file, strlen(mark.file));
    hash = hash_bytes(hash, &mark.line, sizeof mark.line);
    hash = hash_bytes(hash, &mark.column, sizeof mark.column);
    hash = hash_bytes(hash, sentence, strlen(sentence));
    return hash ? hash : 1;
}

static void put_seen(uint64_t *seen, size_t room, uint64_t hash)
{
    size_t i = (size_t)hash & (room - 1);

    while (seen[i] && seen[i] != hash)
        i = (i + 1) & (room - 1);
    seen[i] = hash;
}

static bool was_seen(const struct gw_diags *diags, uint64_t hash)
{
    if (diags->n_seen_room == 0)
        return false;
    size_t i = (size_t)hash & (diags->n_seen_room - 1);
    while (diags->seen[i] && diags->seen[i] != hash)
        i = (i + 1) & (diags->n_seen_room - 1);
    return diags->seen[i] == hash;
}

/* Without memory a repetition is printed twice, which is better than not at all. */
static void remember_seen(struct gw_diags *diags, uint64_t hash)
{
    if ((diags->n_seen + 1) * 2 > diags->n_seen_room) {
        size_t room = diags->n_seen_room ? diags->n_seen_room * 2 : 64;
        uint64_t *seen = calloc(room, sizeof *seen);

        if (!seen)
            return;
        for (size_t i = 0; i < diags->n_seen_room; i++)
            if (diags->seen[i])
                put_seen(seen, room, diags->seen[i]);
        free(diags->seen);
        diags->seen = seen;
        diags->n_seen_room = room;
    }
    put_seen(diags->seen, diags->n_seen_room, hash);
    diags->n_seen++;
}

static void keep(struct gw_diags *diags, struct gw_mark mark, bool is_warning, const char *sentence)
{
    size_t *n = is_warning ? &diags->n_kept_warnings : &diags->n_kept_mistakes;

    if (*n == KEPT_MAX)
        return;
    if (diags->n_kept == diags->n_kept_room) {
        size_t room = diags->n_kept_room ? diags->n_kept_room * 2 : 16;
        struct diag *kept = reallocarray(diags->kept, room, sizeof *kept);

        if (!kept)
            return;
        diags->kept = kept;
        diags->n_kept_room = room;
    }
    char *copy = strdup(sentence);
    if (!copy)
        return;
    diags->kept[diags->n_kept++] = (struct diag){mark, is_warning, copy};
    ++*n;
    /* cppcheck-suppress memleak ; diags->kept owns the copy */
}

/* A value of the file may hold anything: nothing of it may steer the terminal or add lines. */
static void make_harmless(char *text)
{
    for (char *p = text; *p; p++)
        if ((unsigned char)*p < 0x20 || *p == 0x7f)
            *p = '?';
}

GW_PRINTF(4, 0)
static void add(struct gw_diags *diags, struct gw_mark mark, bool is_warning, const char *fmt,
                va_list args)
{
    char sentence[SENTENCE_MAX];

    diags->n_added += !is_warning;
    vsnprintf(sentence, sizeof sentence, fmt, args);
    make_harmless(sentence);
    uint64_t hash = hash_diag(mark, sentence);
    if (was_seen(diags, hash))
        return;
    remember_seen(diags, hash);
    ++*(is_warning ? &diags->n_warnings : &diags->n_mistakes);
    keep(diags, mark, is_warning, sentence);
}

void gw_diag_add(struct gw_diags *diags, struct gw_mark mark, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    add(diags, mark, false, fmt, args);
    va_end(args);
}

void gw_diag_warn(struct gw_diags *diags, struct gw_mark mark, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    add(diags, mark, true, fmt, args);
    va_end(args);
}

void gw_diag_hide_line(struct gw_diags *diags, struct gw_mark mark)
{
    struct gw_mark *hidden = reallocarray(diags->hidden, diags->n_hidden + 1, sizeof *hidden);

    if (!hidden)
        return;
    diags->hidden = hidden;
    diags->hidden[diags->n_hidden++] = mark;
}

size_t gw_diags_count(const struct gw_diags *diags)
{
    return diags->n_mistakes;
}

size_t gw_diags_n_added(const struct gw_diags *diags)
{
    return diags->n_added;
}

bool gw_diags_any_at(const struct gw_diags *diags, struct gw_mark mark)
{
    for (size_t i = 0; i < diags->n_kept; i++) {
        const struct diag *diag = &diags->kept[i];

        if (!diag->is_warning && diag->mark.file && mark.file && diag->mark.line == mark.line &&
            diag->mark.column == mark.column && strcmp(diag->mark.file, mark.file) == 0)
            return true;
    }
    return false;
}

bool gw_diags_any(const struct gw_diags *diags)
{
    return diags->n_mistakes > 0;
}

/* ---- printing -------------------------------------------------------------------------------------- */

size_t gw_text_line(const char *text, size_t len, size_t *ret_break)
{
    for (size_t i = 0; i < len; i++) {
        const unsigned char *p = (const unsigned char *)text + i;

        *ret_break = 0;
        if (p[0] == '\n')
            *ret_break = 1;
        else if (p[0] == '\r')
            *ret_break = i + 1 < len && p[1] == '\n' ? 2 : 1;
        else if (p[0] == 0xC2 && i + 1 < len && p[1] == 0x85)
            *ret_break = 2;
        else if (p[0] == 0xE2 && i + 2 < len && p[1] == 0x80 && (p[2] == 0xA8 || p[2] == 0xA9))
            *ret_break = 3;
        if (*ret_break)
            return i;
    }
    *ret_break = 0;
    return len;
}

/* The file that is being read again for its lines. */
struct source {
    const char *file;
    char *text;
    size_t len, at;
    uint32_t line; /* at `at` */
};

static void close_source(struct source *source)
{
    free(source->text);
    *source = (struct source){0};
}

static void open_source(struct source *source, const char *file)
{
    struct stat st;

    close_source(source);
    source->file = file;
    source->line = 1;
    FILE *in = fopen(file, "re");
    if (!in)
        return;
    if (fstat(fileno(in), &st) == 0 && S_ISREG(st.st_mode) && st.st_size <= FILE_MAX_BYTES) {
        source->text = malloc((size_t)st.st_size + 1);
        if (source->text)
            source->len = fread(source->text, 1, (size_t)st.st_size, in);
    }
    fclose(in);
    if (source->len >= 3 && memcmp(source->text, "\xEF\xBB\xBF", 3) == 0)
        source->at = 3;
}

/* Finds a line at or after the last one found. NULL when the file is shorter. */
static const char *find_line(struct source *source, uint32_t line, size_t *ret_len)
{
    size_t break_len, len;

    for (; source->text && source->at < source->len;
         source->at += len + break_len, source->line++) {
        len = gw_text_line(source->text + source->at, source->len - source->at, &break_len);
        if (source->line == line) {
            *ret_len = len;
            return source->text + source->at;
        }
        if (break_len == 0)
            break;
    }
    return NULL;
}

/* Gives the bytes of the character at p: 1 also for what is not UTF-8. */
static size_t char_len(const char *p, const char *end)
{
    unsigned char c = (unsigned char)*p;
    size_t want = c >= 0xF0 ? 4 : c >= 0xE0 ? 3 : c >= 0xC0 ? 2 : 1;

    if (want > (size_t)(end - p))
        return 1;
    for (size_t i = 1; i < want; i++)
        if (((unsigned char)p[i] & 0xC0) != 0x80)
            return 1;
    return want;
}

static void print_char(FILE *out, const char *p, size_t len)
{
    unsigned char c = (unsigned char)*p;
    bool is_c1 = len == 2 && c == 0xC2 && (unsigned char)p[1] < 0xA0;

    if (len == 1 && c != '\t' && (c < 0x20 || c >= 0x7f))
        fputc('?', out);
    else if (is_c1)
        fputc('?', out);
    else
        fwrite(p, 1, len, out);
}

/* Prints the line and a caret below `column`; of a long line only what is around it. */
static void print_source(FILE *out, const char *line, size_t len, uint32_t column)
{
    const char *end = line + len, *from = line;
    uint32_t first = 1;
    int n = 1;

    if (column > SOURCE_BEFORE)
        for (; from < end && first < column - SOURCE_BEFORE; first++)
            from += char_len(from, end);
    fputs(first > 1 ? "    ..." : "    ", out);
    for (const char *p = from; p < end; n++) {
        size_t bytes = char_len(p, end);

        if (n > SOURCE_BEFORE + SOURCE_AFTER) {
            fputs("...", out);
            break;
        }
        print_char(out, p, bytes);
        p += bytes;
    }
    fputs(first > 1 ? "\n       " : "\n    ", out);
    for (uint32_t i = first; i < column; i++) {
        fputc(from < end && *from == '\t' ? '\t' : ' ', out);
        from += from < end ? char_len(from, end) : 0;
    }
    fputs("^\n", out);
}

static int compare_diags(const void *left, const void *right)
{
    const struct diag *const *pa = left, *const *pb = right;
    const struct diag *a = *pa, *b = *pb;

    if (!a->mark.file || !b->mark.file) {
        if (a->mark.file || b->mark.file)
            return a->mark.file ? 1 : -1;
    } else {
        int order = strcmp(a->mark.file, b->mark.file);
        if (order)
            return order;
    }
    if (a->mark.line != b->mark.line)
        return a->mark.line < b->mark.line ? -1 : 1;
    if (a->mark.column != b->mark.column)
        return a->mark.column < b->mark.column ? -1 : 1;
    return a < b ? -1 : a > b; /* as they were found */
}

static bool is_hidden(const struct gw_diags *diags, struct gw_mark mark)
{
    for (size_t i = 0; i < diags->n_hidden; i++)
        if (diags->hidden[i].line == mark.line && strcmp(diags->hidden[i].file, mark.file) == 0)
            return true;
    return false;
}

static void print_diag(const struct gw_diags *diags, const struct diag *diag, struct source *source,
                       FILE *out)
{
    const struct gw_mark mark = diag->mark;
    size_t len;

    if (mark.file && mark.line)
        fprintf(out, "%s:%u:%u: ", mark.file, mark.line, mark.column);
    else if (mark.file)
        fprintf(out, "%s: ", mark.file);
    fprintf(out, "%s%s\n", diag->is_warning ? "warning: " : "", diag->sentence);
    if (!mark.file || !mark.line || is_hidden(diags, mark))
        return;
    if (!source->file || strcmp(source->file, mark.file) != 0)
        open_source(source, mark.file);
    const char *line = find_line(source, mark.line, &len);
    if (line)
        print_source(out, line, len, mark.column);
}

/* In the order of the files; NULL when memory is out. */
static const struct diag **sort_diags(const struct gw_diags *diags)
{
    const struct diag **sorted = calloc(diags->n_kept + 1, sizeof *sorted);

    if (!sorted)
        return NULL;
    for (size_t i = 0; i < diags->n_kept; i++)
        sorted[i] = &diags->kept[i];
    qsort(sorted, diags->n_kept, sizeof *sorted, compare_diags);
    return sorted;
}

void gw_diags_print(const struct gw_diags *diags, FILE *out)
{
    const struct diag **sorted = sort_diags(diags);
    struct source source = {0};

    if (!sorted)
        return;
    for (size_t i = 0; i < diags->n_kept; i++)
        print_diag(diags, sorted[i], &source, out);
    if (diags->n_mistakes > diags->n_kept_mistakes)
        fprintf(out, "... and %zu more mistakes\n", diags->n_mistakes - diags->n_kept_mistakes);
    if (diags->n_warnings > diags->n_kept_warnings)
        fprintf(out, "... and %zu more warnings\n", diags->n_warnings - diags->n_kept_warnings);
    close_source(&source);
    free(sorted);
}

void gw_diags_each(const struct gw_diags *diags,
                   void (*visit)(void *ctx, bool is_warning, struct gw_mark mark,
                                 const char *sentence),
                   void *ctx)
{
    const struct diag **sorted = sort_diags(diags);

    for (size_t i = 0; sorted && i < diags->n_kept; i++)
        visit(ctx, sorted[i]->is_warning, sorted[i]->mark, sorted[i]->sentence);
    free(sorted);
}
