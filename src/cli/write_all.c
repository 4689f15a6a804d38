/* See write_all.h. */
#include "cli/write_all.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

bool fo_write_all(int fd, const char *text)
{
    for (size_t left = strlen(text); left > 0;) {
        ssize_t n = write(fd, text, left);
        if (n < 0 && errno != EINTR)
            return false;
        if (n > 0)
            text += n, left -= (size_t)n;
    }
    return true;
}
