/* Texts as registers and types: taken, or refused with a sentence. Bytes as replies: whatever they are, within bounds. */
#include "tests/fuzz/fuzz.h"

#include "drivers/modbus/conf.h"
#include "drivers/modbus/pdu.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = (char *)fuzz_copy(data, size, 1);
    struct gw_driver_diag diag = {.text = ""};
    struct modbus_address address;
    struct modbus_type_spec spec = {.n_regs = 0};
    struct modbus_bytes bytes = {.n = 0};
    uint16_t values[2000];
    int exception = 0;

    if (modbus_parse_register(text, &address, &diag) != GW_OK)
        assert(diag.text[0] != '\0');
    diag.text[0] = '\0';
    if (modbus_parse_type(text, &spec, &diag) == GW_OK)
        assert(spec.n_regs >= 1 && spec.n_regs <= 125);
    else
        assert(diag.text[0] != '\0');
    diag.text[0] = '\0';
    if (modbus_parse_bytes(text, &bytes, &diag) == GW_OK)
        assert(bytes.n >= 1 && bytes.n <= MODBUS_RAW_MAX);
    else
        assert(diag.text[0] != '\0');
    if (size >= 3) {
        uint8_t function = (uint8_t)(1 + data[0] % 4);
        uint16_t count = (uint16_t)(1 + data[1] % 125);
        if (modbus_parse_read(data + 2, size - 2, function, count, values, &exception) == GW_OK)
            assert(data[2] == function);
    }
    free(text);
    return 0;
}
