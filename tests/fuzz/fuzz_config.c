/* A configuration of any bytes is loaded or refused with a sentence, with the tables of a real driver. */
#include "tests/fuzz/fuzz.h"

#include <stdio.h>

#include "gateway/config.h"
#include "tests/fuzz/fuzz_driver.h"

static size_t driver_names(void *ctx, const char **names, size_t max)
{
    size_t n = 0;

    (void)ctx;
    for (const struct gw_driver *const *driver = field2mqtt_plugin.drivers; *driver; driver++, n++)
        if (n < max)
            names[n] = (*driver)->name;
    return n;
}

static const char *no_environment(const char *name)
{
    return strcmp(name, "SET") == 0 ? "value" : NULL;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct gw_config_env env = {.find_driver = fuzz_find_driver,
                                             .driver_names = driver_names,
                                             .template_dir = "config/devices",
                                             .getenv = no_environment};
    static FILE *nowhere;
    struct gw_diags *diags = gw_diags_new();
    struct gw_config *config = NULL;

    if (!nowhere)
        nowhere = fopen("/dev/null", "w");
    /* An include may name any file of this machine, a FIFO or what never ends among them. */
    if (!memmem(data, size, "include", strlen("include"))) {
        enum gw_err err = gw_config_load(fuzz_file(data, size), &env, diags, &config);
        assert((err == GW_OK) == (config != NULL));
        assert((err != GW_OK) == gw_diags_any(diags));
        gw_diags_print(diags, nowhere);
    }
    gw_config_free(config);
    gw_diags_free(diags);
    return 0;
}
