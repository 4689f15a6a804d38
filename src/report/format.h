/* Text into a fixed buffer: no allocation, no locale, no stdio, so that it works in a signal
 * handler.  What does not fit is cut off. */
#ifndef FO_REPORT_FORMAT_H
#define FO_REPORT_FORMAT_H

#include "core/base.h"

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
void fo_put_dec(struct fo_text *t, uint64_t value);
void fo_put_hex(struct fo_text *t, uint64_t value); /* with 0x */
void fo_put_pad(struct fo_text *t, size_t since, size_t width);

#endif
