/* See read_all.h. */
#include "cli/read_all.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

enum fo_exit fo_read_all(int fd, size_t limit, char **text, size_t *length)
{
    size_t room = 0, used = 0;

    *text = NULL;
    *length = 0;
    for (;;) {
        if (used + 1 >= room) {
            room = room == 0 ? 1 << 16 : 2 * room;
            char *larger = realloc(*text, room);
            if (larger == NULL)
                return FO_EXIT_NO_INPUT;
            *text = larger;
        }
        ssize_t n = read(fd, *text + used, room - used - 1);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return FO_EXIT_NO_INPUT;
        used += (size_t)n;
        (*text)[used] = '\0';
        if (used > limit)
            return FO_EXIT_DATA;
        if (n == 0)
            break;
    }
    char *fitting = realloc(*text, used + 1); /* exact, so that a sanitizer sees a read too far */
    *text = fitting != NULL ? fitting : *text;
    *length = used;
    return FO_EXIT_OK;
}
