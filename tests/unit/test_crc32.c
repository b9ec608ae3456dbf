#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "gateway/crc32.h"

/* Source: the check value of CRC-32/ISO-HDLC; the others as zlib gives them. */
static void known_texts_have_their_checksum(void **state)
{
    (void)state;
    assert_int_equal(gw_crc32(0, "", 0), 0);
    assert_int_equal(gw_crc32(0, "a", 1), 0xE8B7BE43);
    assert_int_equal(gw_crc32(0, "123456789", 9), 0xCBF43926);
    assert_int_equal(gw_crc32(0, "The quick brown fox jumps over the lazy dog", 43), 0x414FA339);
}

/* The definition, one bit at a time. */
static uint32_t by_bits(const unsigned char *bytes, size_t len)
{
    uint32_t crc = ~(uint32_t)0;

    for (size_t i = 0; i < len; i++) {
        crc ^= bytes[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? 0xEDB88320u : 0);
    }
    return ~crc;
}

static void every_length_and_every_way_to_cut_a_text_gives_the_same(void **state)
{
    unsigned char bytes[64];

    (void)state;
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (unsigned char)(i * 151 + 7);
    for (size_t len = 0; len <= sizeof bytes; len++)
        for (size_t cut = 0; cut <= len; cut++)
            assert_int_equal(gw_crc32(gw_crc32(0, bytes, cut), bytes + cut, len - cut),
                             by_bits(bytes, len));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_texts_have_their_checksum),
        cmocka_unit_test(every_length_and_every_way_to_cut_a_text_gives_the_same),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
