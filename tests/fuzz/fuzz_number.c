/* Texts as numbers and durations; what is parsed prints and parses to the same again. */
#include "tests/fuzz/fuzz.h"

#include "gateway/number.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = (char *)fuzz_copy(data, size, 1);
    struct gw_value value = {.kind = GW_DECIMAL};
    char printed[GW_NUMBER_TEXT];

    if (gw_decimal_parse(text, &value.dec) == GW_OK) {
        struct gw_decimal again;
        assert(gw_number_print(&value, printed) < sizeof printed);
        assert(gw_decimal_parse(printed, &again) == GW_OK);
        assert(gw_decimal_to_double(again) == gw_decimal_to_double(value.dec));
    }
    free(text);
    return 0;
}
