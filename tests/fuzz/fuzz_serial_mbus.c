/* An M-Bus telegram of any bytes, and a point of any kind: nothing outside of the telegram is read, and every record gives a value
 * or a reason. */
#include "tests/fuzz/fuzz.h"

#include "drivers/serial/mbus.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct serial_mbus_pick pick = {.nth = 1};
    char text[SERIAL_MBUS_TEXT];
    struct gw_result result;

    if (size < 4 || size > 261)
        return 0;
    pick.quantity = data[0] % (SERIAL_MBUS_STATUS + 1);
    pick.storage = data[1] & 3, pick.tariff = data[1] >> 2 & 3, pick.function = data[1] >> 4 & 3;
    pick.vif = data[2] & 0x7F, pick.table = data[2] & 0x80 ? SERIAL_MBUS_FD : SERIAL_MBUS_PRIMARY;
    uint8_t *bytes = fuzz_copy(data + 3, size - 3, 0);
    const struct serial_frame frame = {.bytes = bytes, .len = size - 3};
    serial_mbus_read(&pick, &frame, text, &result);
    assert(result.err == GW_OK ? result.value.kind != GW_NONE : result.reason != NULL);
    assert(result.value.kind != GW_TEXT || result.value.text.len <= sizeof text);
    free(bytes);
    return 0;
}
