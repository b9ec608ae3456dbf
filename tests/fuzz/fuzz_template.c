/* A device template of any bytes, used by a configuration without mistake: its device is there, or all that is wrong was
 * said. */
#include "tests/fuzz/fuzz.h"

#include <fcntl.h>
#include <stdio.h>

#include "gateway/config.h"
#include "tests/fuzz/fuzz_driver.h"

static const char plant[] = "gateway: { name: plant }\n"
                            "mqtt: { servers: mqtt://127.0.0.1 }\n"
                            "buses:\n"
                            "  - name: plc\n"
                            "    driver: modbus-tcp\n"
                            "    host: plc.example\n"
                            "    devices:\n"
                            "      - { name: one, unit: 1, template: any }\n";

static char folder[] = "/dev/shm/field2mqtt-fuzz-XXXXXX", config_path[64], template_path[64];

static size_t no_names(void *ctx, const char **names, size_t max)
{
    (void)ctx, (void)names, (void)max;
    return 0;
}

static const char *no_environment(const char *name)
{
    (void)name;
    return NULL;
}

static void write_file(const char *path, const void *bytes, size_t size)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    assert(fd >= 0 && write(fd, bytes, size) == (ssize_t)size);
    close(fd);
}

static void clean_up(void)
{
    unlink(config_path);
    unlink(template_path);
    rmdir(folder);
}

static void make_plant(void)
{
    assert(mkdtemp(folder));
    atexit(clean_up);
    snprintf(config_path, sizeof config_path, "%s/plant.yaml", folder);
    snprintf(template_path, sizeof template_path, "%s/any.yaml", folder);
    write_file(config_path, plant, sizeof plant - 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct gw_config_env env = {
        .find_driver = fuzz_find_driver, .driver_names = no_names, .getenv = no_environment};
    static FILE *nowhere;
    struct gw_diags *diags = gw_diags_new();
    struct gw_config *config = NULL;

    if (!nowhere) {
        nowhere = fopen("/dev/null", "w");
        make_plant();
    }
    /* An include may name any file of this machine. */
    if (!memmem(data, size, "include", strlen("include"))) {
        write_file(template_path, data, size);
        enum gw_err err = gw_config_load(config_path, &env, diags, &config);
        assert((err == GW_OK) == (config != NULL));
        assert((err != GW_OK) == gw_diags_any(diags));
        assert(!config || (config->n_buses == 1 && config->buses[0].n_devices == 1 &&
                           config->buses[0].devices[0].n_points > 0));
        gw_diags_print(diags, nowhere);
    }
    gw_config_free(config);
    gw_diags_free(diags);
    return 0;
}
