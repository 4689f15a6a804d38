/* See message.h. */
#include "cli/message.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/model/clean.h"

bool fo_colours(FILE *out)
{
    const char *no = getenv("NO_COLOR"), *terminal = getenv("TERM");

    return isatty(fileno(out)) && (no == NULL || *no == '\0') &&
           (terminal == NULL || strcmp(terminal, "dumb") != 0);
}

__attribute__((format(printf, 2, 0))) static void
print_message(const char *colour, const char *format, va_list arguments)
{
    bool colours = fo_colours(stderr);
    char *text;

    if (vasprintf(&text, format, arguments) < 0)
        text = NULL;
    if (text != NULL)
        fo_clean(text, text); /* it may have names of files and programs, and text of files */
    fprintf(stderr, "%sfreeonce:%s %s\n", colours ? colour : "", colours ? "\033[0m" : "",
            text != NULL ? text : "there is no memory for a message");
    free(text);
}

void fo_error(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    print_message("\033[31m", format, arguments);
    va_end(arguments);
}

void fo_warning(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    print_message("\033[33m", format, arguments);
    va_end(arguments);
}
