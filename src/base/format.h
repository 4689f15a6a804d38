/* Text into a fixed buffer: no allocation, no locale, no stdio, so that it works in a signal
 * handler.  What does not fit is cut off. */
#ifndef FO_BASE_FORMAT_H
#define FO_BASE_FORMAT_H

#include "base/base.h"

struct fo_text {
    char *data;
    size_t size; /* room in data */
    size_t used; /* never more than size */
};

#define FO_TEXT(array)                                                                             \
    {                                                                                              \
        (array), sizeof(array), 0                                                                  \
    }

void fo_put(struct fo_text *t, const char *s);
void fo_put_char(struct fo_text *t, char c);

/* Put text from outside the library: `?` stands for each byte that is a control character or no
 * UTF-8, so that the text can move no cursor and start no line.  It ends at a NUL, or after `size`
 * bytes. */
void fo_put_clean(struct fo_text *t, const char *s, size_t size);

/* The length in bytes of the character at s, where `size` bytes can be read, if every output can
 * show it; 0: it is a control character, a surrogate, a noncharacter, or no UTF-8. */
size_t fo_clean_length(const char *s, size_t size);

void fo_put_dec(struct fo_text *t, uint64_t value);
void fo_put_hex(struct fo_text *t, uint64_t value); /* with 0x */
void fo_put_pad(struct fo_text *t, size_t since, size_t width);

#endif
