/* See clean.h. */
#include "cli/model/clean.h"

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "cli/exit.h"
#include "cli/message.h"

/* The length of the character at s if it is one that every output can show; 0 if not: a control
 * character, a surrogate, a noncharacter, or no UTF-8. */
static size_t good_character(const unsigned char *s)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    size_t length = s[0] < 0x80 ? 1 : s[0] < 0xc0 ? 0 : s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : 4;
    uint32_t code;

    if (length == 0 || s[0] > 0xf4)
        return 0;
    if (length == 1)
        return s[0] >= 0x20 && s[0] != 0x7f;
    code = s[0] & (0x7fU >> length);
    for (size_t i = 1; i < length; i++) {
        if ((s[i] & 0xc0) != 0x80) /* the end of the string too */
            return 0;
        code = code << 6 | (s[i] & 0x3f);
    }
    if (code < least[length] || code < 0xa0 || code > 0x10ffff || (code & 0xfffe) == 0xfffe ||
        (code >= 0xd800 && code <= 0xdfff) || (code >= 0xfdd0 && code <= 0xfdef))
        return 0;
    return length;
}

void fo_clean(char *to, const char *text)
{
    while (*text != '\0') {
        size_t length = good_character((const unsigned char *)text);
        if (length == 0) {
            *to++ = '?';
            text++;
            continue;
        }
        memcpy(to, text, length);
        to += length;
        text += length;
    }
    *to = '\0';
}

char *fo_clean_copy(const char *text)
{
    char *copy = malloc(strlen(text) + 1);

    if (copy == NULL) {
        fo_error("no memory for the output");
        exit(FO_EXIT_SOFTWARE);
    }
    fo_clean(copy, text);
    return copy;
}
