/* yaml_parse: the least that reading a configuration takes: libyaml over a file, its events counted and thrown away.
 * usage: yaml_parse FILE */
#include <stdio.h>
#include <yaml.h>

int main(int argc, char **argv)
{
    yaml_parser_t parser;
    yaml_event_t event;
    unsigned long n_events = 0;
    FILE *file = argc == 2 ? fopen(argv[1], "r") : NULL;

    if (!file || !yaml_parser_initialize(&parser))
        return 64;
    yaml_parser_set_input_file(&parser, file);
    for (int is_end = 0; !is_end; n_events++) {
        if (!yaml_parser_parse(&parser, &event))
            return 1;
        is_end = event.type == YAML_STREAM_END_EVENT;
        yaml_event_delete(&event);
    }
    yaml_parser_delete(&parser);
    fclose(file);
    printf("%lu\n", n_events);
}
