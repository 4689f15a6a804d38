/* See write_all.h. */
#include "cli/write_all.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

bool fo_write_bytes(int fd, const void *bytes, size_t size)
{
    const char *at = bytes;

    for (size_t left = size; left > 0;) {
        ssize_t n = write(fd, at, left);
        if (n < 0 && errno != EINTR)
            return false;
        if (n > 0)
            at += n, left -= (size_t)n;
    }
    return true;
}

bool fo_write_all(int fd, const char *text)
{
    return fo_write_bytes(fd, text, strlen(text));
}
