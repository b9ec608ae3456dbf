/* hex: what a hexadecimal digit is worth. */
#ifndef DRIVER_HEX_H
#define DRIVER_HEX_H

/* Gives 0-15; -1 for what is none, the end of a text among it. */
static inline int hex_digit(int c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

#endif
