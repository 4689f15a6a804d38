/* See clean.h. */
#include "cli/model/clean.h"

#include <stdlib.h>
#include <string.h>

#include "cli/exit.h"
#include "cli/message.h"
#include "base/format.h"

void fo_clean(char *to, const char *text)
{
    size_t size = strlen(text);
    struct fo_text t = {to, size, 0};

    fo_put_clean(&t, text, size);
    to[t.used] = '\0';
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

bool fo_is_clean(const char *text)
{
    for (size_t length; *text != '\0'; text += length)
        if ((length = fo_clean_length(text, strlen(text))) == 0)
            return false;
    return true;
}
