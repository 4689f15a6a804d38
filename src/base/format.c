/* The formatter of the report path: see format.h. */
#include "base/format.h"

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

size_t fo_clean_length(const char *s, size_t size)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    unsigned char first = size != 0 ? (unsigned char)*s : 0;
    size_t length = first < 0x80 ? 1 : first < 0xc0 ? 0 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;

    if (length == 0 || first > 0xf4 || length > size)
        return 0;
    if (length == 1)
        return first >= 0x20 && first != 0x7f;
    uint32_t code = first & (0x7fU >> length);
    for (size_t i = 1; i < length; i++) {
        if ((s[i] & 0xc0) != 0x80) /* also at the end of the string */
            return 0;
        code = code << 6 | (s[i] & 0x3f);
    }
    if (code < least[length] || code < 0xa0 || code > 0x10ffff || (code & 0xfffe) == 0xfffe ||
        (code >= 0xd800 && code <= 0xdfff) || (code >= 0xfdd0 && code <= 0xfdef))
        return 0;
    return length;
}

void fo_put_clean(struct fo_text *t, const char *s, size_t size)
{
    for (size_t at = 0, length; at < size && s[at] != '\0'; at += length != 0 ? length : 1) {
        length = fo_clean_length(s + at, size - at);
        if (length == 0)
            fo_put_char(t, '?');
        for (size_t i = 0; i < length; i++)
            fo_put_char(t, s[at + i]);
    }
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
