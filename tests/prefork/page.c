/* See page.h. */
#include "page.h"

#include <err.h>
#include <fcntl.h>
#include <stddef.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

_Static_assert(offsetof(struct page, walked) == 16 * 8, "page.py knows it");
_Static_assert(offsetof(struct page, places) == 40 * 8, "page.py knows it");
_Static_assert(sizeof(struct place) == 16 * 8, "page.py knows it");

uint64_t page_clock(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

struct page *page_map(const char *file, unsigned workers)
{
    int fd = -1, flags = MAP_SHARED | MAP_ANONYMOUS;

    if (file != NULL) {
        fd = open(file, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        if (fd < 0 || ftruncate(fd, sizeof(struct page)) != 0)
            err(2, "%s", file);
        flags = MAP_SHARED;
    }
    struct page *page = mmap(NULL, sizeof *page, PROT_READ | PROT_WRITE, flags, fd, 0);
    if (page == MAP_FAILED)
        err(2, "map the page of the workers");
    if (fd >= 0)
        close(fd);
    atomic_store(&page->workers, workers);
    atomic_store(&page->magic, PAGE_MAGIC);
    return page;
}
