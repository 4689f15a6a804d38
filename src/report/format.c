/* The formatter of the report path: see format.h. */
#include "report/format.h"

void fo_put_char(struct fo_text *t, char c)
{
    if (t->used < t->size)
        t->data[t->used++] = c;
}

void fo_put(struct fo_text *t, const char *s)
{
    while (*s != '\0')
        fo_put_char(t, *s++);
}

static void put_number(struct fo_text *t, uint64_t value, unsigned base)
{
    char digits[20];
    unsigned n = 0;

    do {
        digits[n++] = "0123456789abcdef"[value % base];
        value /= base;
    } while (value != 0);
    while (n > 0)
        fo_put_char(t, digits[--n]);
}

void fo_put_dec(struct fo_text *t, uint64_t value)
{
    put_number(t, value, 10);
}

void fo_put_hex(struct fo_text *t, uint64_t value)
{
    fo_put(t, "0x");
    put_number(t, value, 16);
}

/* Blanks until `width` characters follow position `since`, and one at least. */
void fo_put_pad(struct fo_text *t, size_t since, size_t width)
{
    do
        fo_put_char(t, ' ');
    while (t->used < t->size && t->used - since < width);
}
