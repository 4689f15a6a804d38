/* A reader of /proc/self/maps, one character at a time: see mapping.h. */
#include "base/mapping.h"

#include <errno.h>

#include "base/raw.h"

/* "7f0012340000-7f0012350000 rw-p 00000000 08:01 1234   /path" */
enum part { START, END, PERMISSIONS, OFFSET, DEVICE, INODE, REST };

struct reader {
    fo_mapping_visit *visit;
    void *context;
    struct fo_mapping now;
    enum part part;
    unsigned column; /* within PERMISSIONS: "rw-s" */
    bool ended;
};

static unsigned hex_digit(char c)
{
    return (unsigned)(c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10);
}

static void parse_permission(struct reader *r, char c)
{
    switch (r->column++) {
    case 0:
        r->now.readable = c == 'r';
        break;
    case 1:
        r->now.writable = c == 'w';
        break;
    case 3:
        r->now.shared = c == 's';
        break;
    case 4:
        r->part = OFFSET;
    }
}

static void end_line(struct reader *r)
{
    r->ended = !r->visit(r->context, &r->now);
    r->now = (struct fo_mapping){0};
    r->part = START;
    r->column = 0;
}

static void parse_char(struct reader *r, char c)
{
    if (c == '\n') {
        end_line(r);
        return;
    }
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
        parse_permission(r, c);
        break;
    case OFFSET:
    case DEVICE:
        r->part += c == ' ';
        break;
    case INODE:
        r->now.file |= c >= '1' && c <= '9';
        r->part = c == ' ' ? REST : INODE;
        break;
    case REST:
        break;
    }
}

bool fo_mapping_each(fo_mapping_visit *visit, void *context)
{
    int saved_errno = errno, fd = fo_raw_open("/proc/self/maps", O_RDONLY | O_CLOEXEC, 0);
    struct reader r = {.visit = visit, .context = context, .part = START};
    char buffer[1024];
    ssize_t n = -1;

    while (fd >= 0 && !r.ended && (n = fo_raw_read(fd, buffer, sizeof buffer)) > 0)
        for (ssize_t i = 0; i < n && !r.ended; i++)
            parse_char(&r, buffer[i]);
    if (fd >= 0)
        fo_raw_close(fd);
    errno = saved_errno;
    return n >= 0;
}

struct wanted {
    uintptr_t address;
    struct fo_mapping *out;
    bool found;
};

static bool compare(void *context, const struct fo_mapping *mapping)
{
    struct wanted *w = context;

    w->found = w->address >= mapping->start && w->address < mapping->end;
    if (w->found)
        *w->out = *mapping;
    return !w->found;
}

bool fo_mapping_find(uintptr_t address, struct fo_mapping *out)
{
    struct wanted w = {.address = address, .out = out};

    *out = (struct fo_mapping){0};
    fo_mapping_each(compare, &w);
    return w.found;
}
