/* The command's messages: they are made, but not printed.  Millions of inputs have one. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/message.h"
#include "cli/model/clean.h"

bool fo_colours(FILE *out)
{
    (void)out;
    return false;
}

__attribute__((format(printf, 1, 0))) static void make(const char *format, va_list arguments)
{
    char *text;

    if (vasprintf(&text, format, arguments) < 0)
        abort();
    fo_clean(text, text);
    for (const char *c = text; *c != '\0'; c++)
        if ((unsigned char)*c < ' ')
            abort();
    free(text);
}

void fo_error(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    make(format, arguments);
    va_end(arguments);
}

void fo_warning(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    make(format, arguments);
    va_end(arguments);
}
