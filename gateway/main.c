/* main: finds the verb of the command line and hands over to it. */
#include <stdio.h>
#include <string.h>

#include "gateway/cmd.h"
#include "gateway/diag.h"

static const struct gw_verb *const verbs[] = {
    &gw_cmd_run,     &gw_cmd_check,    &gw_cmd_read,    &gw_cmd_write,
    &gw_cmd_scan,    &gw_cmd_simulate, &gw_cmd_capture, &gw_cmd_try,
    &gw_cmd_drivers, &gw_cmd_schema,   &gw_cmd_monitor, &gw_cmd_outbox,
};
enum { N_VERBS = sizeof verbs / sizeof verbs[0] };

static void print_help(FILE *out)
{
    fprintf(out, "field2mqtt %s: the MQTT gateway for field hardware\n\n", GW_VERSION);
    for (size_t i = 0; i < N_VERBS; i++)
        fprintf(out, "  %-9s %s\n            field2mqtt %s\n", verbs[i]->name, verbs[i]->summary,
                verbs[i]->usage);
    fprintf(out, "  %-9s %s\n", "version", "print the version");
    fprintf(out, "\nEvery verb with a FILE also takes --plugin-dir DIR and --template-dir DIR.\n");
}

static int help_on(const struct gw_verb *verb)
{
    printf(
        "usage: field2mqtt %s\n\n  %s\n\nEvery option: man field2mqtt, or docs/command-line.md\n",
        verb->usage, verb->summary);
    return GW_EXIT_OK;
}

static bool is_help(const char *word)
{
    return strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0;
}

static const struct gw_verb *find_verb(const char *name)
{
    for (size_t i = 0; i < N_VERBS; i++)
        if (strcmp(name, verbs[i]->name) == 0)
            return verbs[i];
    return NULL;
}

static int unknown_verb(const char *word)
{
    const char *names[N_VERBS];
    const char *near;

    for (size_t i = 0; i < N_VERBS; i++)
        names[i] = verbs[i]->name;
    near = gw_suggest(word, names, N_VERBS);
    fprintf(stderr, "field2mqtt: unknown verb \"%s\"", word);
    if (near)
        fprintf(stderr, "; did you mean \"%s\"?", near);
    fprintf(stderr, "\n`field2mqtt help` lists them all\n");
    return GW_EXIT_USAGE;
}

int main(int argc, char **argv)
{
    const struct gw_verb *verb;

    if (argc < 2) {
        print_help(stderr);
        return GW_EXIT_USAGE;
    }
    if (strcmp(argv[1], "version") == 0 || strcmp(argv[1], "--version") == 0) {
        printf("field2mqtt %s\n", GW_VERSION);
        return GW_EXIT_OK;
    }
    if (strcmp(argv[1], "help") == 0 || is_help(argv[1])) {
        if (argc > 2)
            return (verb = find_verb(argv[2])) ? help_on(verb) : unknown_verb(argv[2]);
        print_help(stdout);
        return GW_EXIT_OK;
    }
    verb = find_verb(argv[1]);
    if (!verb)
        return unknown_verb(argv[1]);
    return argc > 2 && is_help(argv[2]) ? help_on(verb) : verb->run(argc - 1, argv + 1);
}
