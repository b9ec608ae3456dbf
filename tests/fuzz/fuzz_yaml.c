/* A file of any bytes is a tree, or mistakes. */
#include "tests/fuzz/fuzz.h"

#include <stdio.h>

#include "gateway/yaml_tree.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static FILE *nowhere;
    struct gw_yaml_memory memory = {0};
    struct gw_diags *diags = gw_diags_new();
    struct gw_yaml_node *root = NULL;

    if (!nowhere)
        nowhere = fopen("/dev/null", "w");
    enum gw_err err =
        gw_yaml_load(fuzz_file(data, size), (struct gw_mark){0}, &memory, diags, &root);
    assert(err == GW_OK ? root != NULL : gw_diags_any(diags));
    gw_diags_print(diags, nowhere);
    gw_diags_free(diags);
    gw_arena_free(&memory.texts);
    gw_arena_free(&memory.nodes);
    gw_share_free(&memory.scalars);
    return 0;
}
