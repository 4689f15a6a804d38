/* See roots.h.  Which pages are there is read from /proc/self/pagemap; where that cannot be opened,
 * all pages of a mapping are read. */
#include "block/roots.h"

#include <pthread.h>
#include <string.h>
#include <sys/auxv.h>
#include <time.h>

#include "base/mapping.h"
#include "base/probe.h"
#include "base/raw.h"

/* Bits of a page in pagemap. */
#define IS_PRESENT (UINT64_C(1) << 63)
#define IS_SWAPPED (UINT64_C(1) << 62)

/* Nobody keeps pointers in a mapping of this size: it is the shadow of a checker, or reserved. */
#define MAPPING_MOST (UINT64_C(1) << 40)

enum { BATCH = 512 };

struct reading {
    struct fo_roots *r;
    int pagemap;
    unsigned long page_size;
    const char *why;
};

uint64_t fo_roots_now(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

bool fo_roots_skip(struct fo_roots *r, uintptr_t start, uintptr_t end)
{
    size_t at = r->skips;

    if (start >= end)
        return true;
    if (at == FO_ROOTS_SKIPPED)
        return false;
    for (; at > 0 && r->skipped[at - 1].start > start; at--)
        r->skipped[at] = r->skipped[at - 1];
    r->skipped[at] = (struct fo_range){start, end};
    r->skips++;
    return true;
}

/* --- a piece -----------------------------------------------------------------------------------
 */

/* False: it cannot be read. */
static bool copy(const struct fo_roots *r, uintptr_t start, size_t size)
{
    struct iovec to = {r->piece, size}, from = {(void *)start, size};

    if (!r->in_place)
        return syscall(SYS_process_vm_readv, fo_getpid(), &to, 1L, &from, 1L, 0L) == (long)size;
    if (!fo_is_readable(start, size))
        return false;
    memcpy(r->piece, (const void *)start, size);
    return true;
}

bool fo_roots_read_piece(struct fo_roots *r, uintptr_t start, size_t size)
{
    if (!copy(r, start, size))
        return false;
    r->visit(r->context, start, r->piece, size / sizeof(uintptr_t));
    return true;
}

/* A page that cannot be read, such as one behind the end of its file, hides no other. */
static bool read_run(struct reading *g, uintptr_t start, uintptr_t end)
{
    for (uintptr_t at = start; at < end;) {
        size_t size = end - at < FO_ROOTS_PIECE ? end - at : FO_ROOTS_PIECE;
        if (!fo_roots_read_piece(g->r, at, size))
            for (uintptr_t page = at; page < at + size; page += g->page_size)
                (void)fo_roots_read_piece(g->r, page, g->page_size);
        at += size;
        if (fo_roots_now() > g->r->until) {
            g->why = "the process has too much memory to be searched in 10 seconds";
            return false;
        }
    }
    return true;
}

/* --- a mapping ---------------------------------------------------------------------------------
 */

/* Read the pages of [start, end) that are there. */
static bool read_present(struct reading *g, uintptr_t start, uintptr_t end)
{
    uint64_t pages[BATCH];
    uintptr_t first = start; /* of the pages that are there and were not read yet */
    uintptr_t at = start - start % g->page_size;

    if (g->pagemap < 0)
        return read_run(g, start, end);
    while (at < end) {
        ssize_t n = fo_raw_read_at(g->pagemap, pages, sizeof pages,
                                   (off_t)(at / g->page_size * sizeof pages[0]));
        if (n < (ssize_t)sizeof pages[0])
            return read_run(g, first, end);
        for (size_t i = 0; i < (size_t)n / sizeof pages[0] && at < end; i++, at += g->page_size)
            if ((pages[i] & (IS_PRESENT | IS_SWAPPED)) == 0) {
                if (first < at && !read_run(g, first, at))
                    return false;
                first = at + g->page_size;
            }
        if (fo_roots_now() > g->r->until)
            return read_run(g, first, end); /* it says why not */
    }
    return first >= end || read_run(g, first, end);
}

/* Without the parts to be skipped. */
static bool read_parts(struct reading *g, uintptr_t start, uintptr_t end)
{
    for (size_t i = 0; i < g->r->skips && start < end; i++) {
        const struct fo_range *s = &g->r->skipped[i];
        if (s->end <= start || s->start >= end)
            continue;
        if (s->start > start && !read_present(g, start, s->start))
            return false;
        start = s->end;
    }
    return start >= end || read_present(g, start, end);
}

/* Constants and code have no pointer to what was allocated.  What a program has closed to writes,
 * it may have written before. */
static bool can_have_pointers(const struct fo_mapping *m)
{
    return m->readable && (m->writable || (!m->shared && !m->file)) &&
           m->end - m->start < MAPPING_MOST && fo_is_address(m->end - 1);
}

/* Is it the stack of a thread, and nothing else below?  Not where a program made a stack of its own
 * in its heap, as for coroutines.  glibc puts the descriptor of a thread at its stack's top. */
static bool is_thread_stack(const struct fo_mapping *m, uintptr_t stack)
{
    uintptr_t self = (uintptr_t)pthread_self();
    bool is_main = fo_stack_end > stack && fo_stack_end < m->end;

    return stack >= m->start && stack < m->end && (is_main || (self > stack && self < m->end));
}

static bool read_mapping(void *context, const struct fo_mapping *m)
{
    struct reading *g = context;
    uintptr_t start = m->start, stack = g->r->stack;

    if (!can_have_pointers(m))
        return true;
    if (is_thread_stack(m, stack))
        start = stack & ~(sizeof(uintptr_t) - 1);
    return read_parts(g, start, m->end);
}

const char *fo_roots_read(struct fo_roots *r)
{
    struct reading g = {.r = r, .page_size = getauxval(AT_PAGESZ)};

    g.pagemap = fo_raw_open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC, 0);
    if (!fo_mapping_each(read_mapping, &g))
        g.why = "/proc/self/maps cannot be read there";
    if (g.pagemap >= 0)
        fo_raw_close(g.pagemap);
    return g.why;
}
