/* transcript: bytes to lines. The format is in the header. */
#include "gateway/transcript.h"

enum { PER_LINE = 16 };

static void print_line(FILE *out, int64_t us, char direction, const uint8_t *bytes, size_t len)
{
    fprintf(out, "+%lld.%06lld %c", (long long)(us / 1000000), (long long)(us % 1000000),
            direction);
    for (size_t i = 0; i < PER_LINE; i++)
        if (i < len)
            fprintf(out, " %02X", bytes[i]);
        else
            fputs("   ", out);
    fputs("  |", out);
    for (size_t i = 0; i < len; i++)
        fputc(bytes[i] >= 0x20 && bytes[i] < 0x7F ? bytes[i] : '.', out);
    fputs("|\n", out);
}

void gw_transcript_print(FILE *out, int64_t since_start_us, char direction, const uint8_t *bytes,
                         size_t len)
{
    for (size_t at = 0; at < len; at += PER_LINE)
        print_line(out, since_start_us, direction, bytes + at,
                   len - at < PER_LINE ? len - at : PER_LINE);
}
