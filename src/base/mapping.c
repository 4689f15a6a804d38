/* A reader of /proc/self/maps, one character at a time: see mapping.h. */
#include "base/mapping.h"

#include <errno.h>

#include "base/raw.h"

enum part { START, END, PERMISSIONS, REST };

struct reader {
    uintptr_t wanted;
    struct fo_mapping now;
    enum part part;
    unsigned column; /* within PERMISSIONS: "rw-s" */
    bool found;
};

static unsigned hex_digit(char c)
{
    return (unsigned)(c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10);
}

static void parse_char(struct reader *r, char c)
{
    switch (r->part) {
    case START:
        if (c == '-')
            r->part = END;
        else
            r->now.start = r->now.start << 4 | hex_digit(c);
        break;
    case END:
        if (c == ' ')
            r->part = PERMISSIONS;
        else
            r->now.end = r->now.end << 4 | hex_digit(c);
        break;
    case PERMISSIONS:
        if (r->column++ == 3) {
            r->now.shared = c == 's';
            r->found = r->wanted >= r->now.start && r->wanted < r->now.end;
            r->part = REST;
        }
        break;
    case REST:
        if (c == '\n') {
            r->now = (struct fo_mapping){0, 0, false};
            r->part = START;
            r->column = 0;
        }
    }
}

bool fo_mapping_find(uintptr_t address, struct fo_mapping *out)
{
    int saved_errno = errno, fd = fo_raw_open("/proc/self/maps", O_RDONLY | O_CLOEXEC, 0);
    struct reader r = {.wanted = address, .part = START};
    char buffer[1024];
    ssize_t n;

    while (fd >= 0 && !r.found && (n = fo_raw_read(fd, buffer, sizeof buffer)) > 0)
        for (ssize_t i = 0; i < n && !r.found; i++)
            parse_char(&r, buffer[i]);
    if (fd >= 0)
        fo_raw_close(fd);
    errno = saved_errno;
    *out = r.now;
    return r.found;
}
