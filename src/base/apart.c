/* See apart.h.  The only system calls are mmap(2) and munmap(2), made as in base/raw.h: a sandbox
 * that lets malloc work may kill a process for mprotect(2). */
#include "base/apart.h"

#include <errno.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { PAGE = 4096 };

static size_t round_page(size_t n)
{
    return (n + PAGE - 1) & ~(size_t)(PAGE - 1);
}

static void *map(void *at, size_t size, int protection, int flags, int fd)
{
    const off_t start = 0; /* not a literal 0: clang writes only half of such an int to the stack */

    return (void *)syscall(SYS_mmap, at, size, protection, flags | MAP_NORESERVE, fd, start);
}

static bool map_over(void *at, size_t size, int flags, int fd)
{
    return map(at, size, PROT_READ | PROT_WRITE, flags | MAP_FIXED, fd) != MAP_FAILED;
}

static void unmap(char *guard, size_t size)
{
    syscall(SYS_munmap, guard, size + (size_t)2 * PAGE);
}

/* NULL: errno has the reason. */
static void *map_between(uintptr_t wish, size_t size, int flags, int fd)
{
    char *guard =
        map((void *)wish, size + (size_t)2 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1);

    if (guard == MAP_FAILED)
        return NULL;
    if (map_over(guard + PAGE, size, flags, fd))
        return guard + PAGE;
    int error = errno;
    unmap(guard, size);
    errno = error;
    return NULL;
}

void *fo_apart_map_near(uintptr_t wish, size_t size, int flags)
{
    int saved_errno = errno;
    void *p = map_between(wish, round_page(size), flags | MAP_ANONYMOUS, -1);

    errno = saved_errno;
    return p;
}

void *fo_apart_map(size_t size, int flags)
{
    return fo_apart_map_near(0, size, flags);
}

void *fo_apart_map_file(size_t size, int fd)
{
    return map_between(0, round_page(size), MAP_SHARED, fd);
}

bool fo_apart_map_over(void *at, size_t size, int flags)
{
    int saved_errno = errno;
    bool mapped = map_over(at, round_page(size), flags | MAP_ANONYMOUS, -1);

    errno = saved_errno;
    return mapped;
}

void fo_apart_unmap(void *p, size_t size)
{
    int saved_errno = errno;

    unmap((char *)p - PAGE, round_page(size));
    errno = saved_errno;
}
