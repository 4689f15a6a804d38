/* See put.h. */
#include "cli/html/put.h"

#include <inttypes.h>
#include <limits.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/format.h"

enum { TEXT_MAX = 1000 }; /* bytes of one text: a longer one would bury the page */

/* U+061C, U+200E, U+200F, U+202A to U+202E, U+2066 to U+2069: a name that has them could be read
 * as another one. */
static bool is_of_direction(const char *at, size_t length)
{
    const unsigned char *c = (const unsigned char *)at;

    if (length == 2)
        return c[0] == 0xd8 && c[1] == 0x9c;
    if (length != 3 || c[0] != 0xe2)
        return false;
    return (c[1] == 0x80 && (c[2] == 0x8e || c[2] == 0x8f || (c[2] >= 0xaa && c[2] <= 0xae))) ||
           (c[1] == 0x81 && c[2] >= 0xa6 && c[2] <= 0xa9);
}

static void put_character(FILE *out, const char *at, size_t length)
{
    switch (*at) {
    case '&':
        fputs("&amp;", out);
        break;
    case '<':
        fputs("&lt;", out);
        break;
    case '>':
        fputs("&gt;", out);
        break;
    case '"':
        fputs("&quot;", out);
        break;
    case '\'':
        fputs("&#39;", out);
        break;
    default:
        fwrite(at, 1, length, out);
    }
}

static void put_text(FILE *out, const char *text, size_t room)
{
    size_t left = strlen(text), length;

    for (; left > 0; text += length, left -= length) {
        if (room == 0) {
            fputs("\xe2\x80\xa6", out);
            return;
        }
        length = fo_clean_length(text, left);
        if (length == 0 || is_of_direction(text, length))
            fputc('?', out);
        else
            put_character(out, text, length);
        length = length > 0 ? length : 1;
        room = room > length ? room - length : 0;
    }
}

/* One conversion, of which `at` is what follows the percent sign; returns what follows it. */
static const char *put_one(FILE *out, const char *at, va_list *arguments)
{
    static const char *const known[] = {"s", ".*s", "d", "u", "zu", "llu", "llx"};
    size_t which = 0, count = sizeof known / sizeof known[0];
    const char *text;
    int room;

    while (which < count && strncmp(at, known[which], strlen(known[which])) != 0)
        which++;
    switch (which) {
    case 0:
        text = va_arg(*arguments, const char *);
        put_text(out, text != NULL ? text : "?", TEXT_MAX);
        break;
    case 1:
        room = va_arg(*arguments, int);
        text = va_arg(*arguments, const char *);
        put_text(out, text != NULL ? text : "?", room > 0 ? (size_t)room : 0);
        break;
    case 2:
        fprintf(out, "%d", va_arg(*arguments, int));
        break;
    case 3:
        fprintf(out, "%u", va_arg(*arguments, unsigned));
        break;
    case 4:
        fprintf(out, "%zu", va_arg(*arguments, size_t));
        break;
    case 5:
        fprintf(out, "%llu", va_arg(*arguments, unsigned long long));
        break;
    case 6:
        fprintf(out, "%llx", va_arg(*arguments, unsigned long long));
        break;
    default:
        abort(); /* a format of this program that put.h does not allow */
    }
    return at + strlen(known[which]);
}

void fo_html(FILE *out, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    while (*format != '\0') {
        size_t plain = strcspn(format, "%");
        fwrite(format, 1, plain, out);
        format += plain;
        if (*format == '%')
            format = put_one(out, format + 1, &arguments);
    }
    va_end(arguments);
}

const char *fo_html_number(char text[FO_HTML_NUMBER], uint64_t number)
{
    char *at = text + FO_HTML_NUMBER - 1;
    int digits = 0;

    *at = '\0';
    do {
        if (digits > 0 && digits % 3 == 0)
            *--at = ',';
        *--at = (char)('0' + number % 10);
        number /= 10;
        digits++;
    } while (number > 0);
    return at;
}
