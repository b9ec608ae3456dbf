/* yaml_error: libyaml says what it expected; people want to know what they did. Unknown errors are given as they are. */
#include "gateway/yaml_error.h"

#include <string.h>
#include <yaml.h>

/* The sentence for a problem; AT_CONTEXT: the place where the construct began is the one to look at. */
static const struct sentence {
    const char *problem; /* a part of libyaml's text */
    const char *context; /* NULL: any */
    enum { AT_PROBLEM, AT_CONTEXT } where;
    const char *text;
} sentences[] = {
    {"violates indentation", NULL, AT_PROBLEM, "a tab cannot indent; use spaces"},
    {"mapping values are not allowed", NULL, AT_PROBLEM,
     "\":\" is not allowed here; check the indentation and the line above, or put the text in "
     "quotes"},
    {"block sequence entries are not allowed", NULL, AT_PROBLEM,
     "\"- \" is not allowed here; a list begins on a line of its own, or is written [a, b]"},
    {"could not find expected ':'", NULL, AT_CONTEXT, "expected \":\" after this key"},
    {"did not find expected key", NULL, AT_PROBLEM,
     "expected a key here; check the indentation and the quotes of the line above"},
    {"did not find expected '-'", NULL, AT_PROBLEM,
     "expected \"- \" as in the list above; check the indentation"},
    {"did not find expected ',' or ']'", NULL, AT_CONTEXT,
     "this \"[\" is not closed, or a \",\" is missing"},
    {"did not find expected ',' or '}'", NULL, AT_CONTEXT,
     "this \"{\" is not closed, or a \",\" is missing"},
    {"unexpected end of stream", "quoted", AT_CONTEXT, "this quote is never closed"},
    {"unexpected document indicator", "quoted", AT_CONTEXT, "this quote is never closed"},
    {"unknown escape", NULL, AT_PROBLEM, "unknown escape; in single quotes a \\ is just a \\"},
    {"did not find expected node content", "flow", AT_PROBLEM,
     "expected a value here; is a \"[\" or \"{\" not closed?"},
    {"did not find expected node content", NULL, AT_PROBLEM, "expected a value here"},
    {"expected <document start>", NULL, AT_PROBLEM,
     "a second document begins here; a file holds one"},
    {"undefined tag handle", NULL, AT_PROBLEM,
     "tags (!) are not supported; quotes make a value a text"},
    {"while scanning an alias", NULL, AT_PROBLEM,
     "a text that begins with \"*\" must be put in quotes"},
    {"incompatible YAML document", NULL, AT_PROBLEM, "only YAML 1.1 and 1.2 are understood"},
};

/* Finds the line and column of a byte. Columns count characters. */
static struct gw_mark place_of_byte(const char *file, const char *text, size_t len, size_t offset)
{
    struct gw_mark mark = {file, 1, 1};
    size_t at = 0, break_len;

    if (offset > len)
        offset = len;
    for (;;) {
        size_t n = gw_text_line(text + at, len - at, &break_len);

        if (break_len == 0 || at + n + break_len > offset)
            break;
        at += n + break_len;
        mark.line++;
    }
    for (; at < offset; at++)
        if (((unsigned char)text[at] & 0xC0) != 0x80)
            mark.column++;
    return mark;
}

static struct gw_mark place(const char *file, yaml_mark_t mark)
{
    return (struct gw_mark){file, (uint32_t)mark.line + 1, (uint32_t)mark.column + 1};
}

/* problem_mark is 0:0 here, only problem_offset holds. */
static void report_reader_error(const yaml_parser_t *parser, const char *file, const char *text,
                                size_t len, struct gw_diags *diags)
{
    size_t at = parser->problem_offset;

    /* A byte that should continue a character: the character is where the mistake is. */
    for (size_t back = 1;
         back <= 3 && back <= at && at < len && strstr(parser->problem, "trailing"); back++)
        if ((unsigned char)text[at - back] >= 0xC0) {
            at -= back;
            break;
        }
    struct gw_mark mark = place_of_byte(file, text, len, at);
    if (parser->problem && strstr(parser->problem, "control"))
        gw_diag_add(diags, mark, "the control character 0x%02X is not allowed",
                    (unsigned)parser->problem_value);
    else
        gw_diag_add(diags, mark, "this is not UTF-8 (byte 0x%02X); save the file as UTF-8",
                    at < len ? (unsigned char)text[at] : 0u);
}

/* Finds the byte at a place. The parser's index counts characters, so the way leads over the line. */
static size_t byte_of_place(const char *text, size_t len, struct gw_mark mark)
{
    size_t at = 0, break_len;

    for (uint32_t line = 1; line < mark.line; line++)
        at += gw_text_line(text + at, len - at, &break_len) + break_len;
    for (uint32_t column = 1; at < len && column < mark.column; column++)
        do
            at++;
        while (at < len && ((unsigned char)text[at] & 0xC0) == 0x80);
    return at;
}

/* What can only be told from the character at the place: an odd first one, ${ inside of brackets. */
static bool report_by_character(const yaml_parser_t *parser, const char *file, const char *text,
                                size_t len, struct gw_diags *diags)
{
    struct gw_mark mark = place(file, parser->problem_mark);
    size_t at = byte_of_place(text, len, mark);
    char c = at < len ? text[at] : ' ';
    bool is_odd_start = strstr(parser->problem, "cannot start any token") != NULL;

    if (is_odd_start && c == '\t')
        gw_diag_add(diags, mark, "a tab cannot indent; use spaces");
    else if (is_odd_start)
        gw_diag_add(diags, mark, "a text that begins with \"%c\" must be put in quotes", c);
    else if (at > 0 && at < len && c == '{' && text[at - 1] == '$')
        gw_diag_add(diags, mark, "a text with ${...} must be put in quotes inside of { } and [ ]");
    else
        return false;
    return true;
}

static const struct sentence *find_sentence(const yaml_parser_t *parser)
{
    const char *context = parser->context ? parser->context : "";

    for (size_t i = 0; i < sizeof sentences / sizeof sentences[0]; i++) {
        const struct sentence *s = &sentences[i];

        if ((strstr(parser->problem, s->problem) || strstr(context, s->problem)) &&
            (!s->context || strstr(context, s->context)))
            return s;
    }
    return NULL;
}

void gw_yaml_report_error(const yaml_parser_t *parser, const char *file, const char *text,
                          size_t len, struct gw_diags *diags)
{
    if (parser->error == YAML_READER_ERROR) {
        report_reader_error(parser, file, text, len, diags);
        return;
    }
    if (!parser->problem) {
        gw_diag_add(diags, (struct gw_mark){.file = file}, "cannot be parsed: out of memory");
        return;
    }
    if (report_by_character(parser, file, text, len, diags))
        return;
    const struct sentence *s = find_sentence(parser);
    if (s)
        gw_diag_add(
            diags,
            place(file, s->where == AT_CONTEXT ? parser->context_mark : parser->problem_mark), "%s",
            s->text);
    else
        gw_diag_add(diags, place(file, parser->problem_mark), "not valid YAML: %s%s%s",
                    parser->problem, parser->context ? " " : "",
                    parser->context ? parser->context : "");
}
