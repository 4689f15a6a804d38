/* See system.h; nothing here knows what the memory is used for.
 *
 * A heap that grows calls mmap(2) and munmap(2) only, as malloc does: a sandbox that lets malloc
 * work (seccomp) may end a process for mprotect(2) or madvise(2). */
#include "heap/system.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "base/apart.h"
#include "base/raw.h"
#include "base/say.h"
#include "heap/hot.h"
#include "options/options.h"

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23 /* Linux 5.14 */
#endif
#ifndef MADV_DONTNEED_LOCKED
#define MADV_DONTNEED_LOCKED 24 /* Linux 5.18 */
#endif

enum { PAGE = 1 << FO_PAGE_SHIFT, SYSTEM_PAGE = 4096 };

/* --- mapping -----------------------------------------------------------------------------------
 */

/* See base/raw.h for why not mmap(3).  0: none. */
static uintptr_t map(uintptr_t at, size_t size, int protection, int flags)
{
    void *p = (void *)syscall(SYS_mmap, at, size, protection, flags | MAP_ANONYMOUS | MAP_NORESERVE,
                              -1, (off_t)0);

    return p == MAP_FAILED ? 0 : (uintptr_t)p;
}

static void unmap(uintptr_t at, size_t size)
{
    syscall(SYS_munmap, at, size);
}

static bool map_over(uintptr_t at, size_t size, int flags)
{
    return map(at, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED | flags) != 0;
}

/* FREEONCE_DUMP=0 keeps it out of core dumps.  No madvise(2) forbids huge pages: mappings with
 * MAP_STACK have none since Linux 6.7. */
void fo_system_hide(uintptr_t start, size_t size)
{
    if (!fo_options.dump)
        madvise((void *)start, size, MADV_DONTDUMP);
}

uintptr_t fo_system_map_apart(uintptr_t wish, size_t size)
{
    int saved_errno = errno;
    uintptr_t start = (uintptr_t)fo_apart_map_near(wish, size, MAP_PRIVATE | MAP_STACK);

    if (start != 0)
        fo_system_hide(start, size);
    errno = saved_errno;
    return start;
}

/* For kernels before 4.17, and valgrind, the address is a hint: then the mapping is elsewhere. */
static enum fo_mapped map_at(uintptr_t start, size_t size, int protection)
{
    int saved_errno = errno;
    uintptr_t at = map(start, size, protection, MAP_PRIVATE | MAP_STACK | MAP_FIXED_NOREPLACE);
    enum fo_mapped mapped = at == start                  ? FO_MAPPED
                            : at != 0 || errno == EEXIST ? FO_MAPPED_TAKEN
                                                         : FO_MAPPED_NOT;

    if (at != 0 && at != start)
        unmap(at, size);
    errno = saved_errno;
    return mapped;
}

enum fo_mapped fo_system_map_at(uintptr_t start, size_t size)
{
    enum fo_mapped mapped = map_at(start, size, PROT_READ | PROT_WRITE);

    if (mapped == FO_MAPPED)
        fo_system_hide(start, size);
    return mapped;
}

/* By a mapping: getrlimit(2) does not tell how many are in use, and /proc may be missing. */
bool fo_system_has_room(uint64_t size)
{
    int saved_errno = errno;
    uintptr_t at = map(0, size, PROT_NONE, MAP_PRIVATE);

    if (at != 0)
        unmap(at, size);
    errno = saved_errno;
    return at != 0;
}

/* --- a place to grow ---------------------------------------------------------------------------
 */

static uintptr_t round_up(uintptr_t p)
{
    return (p + PAGE - 1) & ~(uintptr_t)(PAGE - 1);
}

/* With a page in front that cannot be touched. */
static bool take(uintptr_t at, size_t size)
{
    if (at < (uintptr_t)2 * PAGE || map_at(at - PAGE, PAGE + size, PROT_NONE) != FO_MAPPED)
        return false;
    if (map_over(at, size, MAP_STACK)) {
        fo_system_hide(at, size);
        return true;
    }
    unmap(at - PAGE, PAGE + size);
    return false;
}

void fo_system_release_place(uintptr_t start, size_t size)
{
    int saved_errno = errno;

    unmap(start - PAGE, PAGE + size);
    errno = saved_errno;
}

/* In the middle of what is free, since the kernel fills that from its top, or from its bottom
 * (setarch -L). */
static uintptr_t middle_of(uint64_t room, uint64_t random)
{
    uintptr_t free = map(0, room, PROT_NONE, MAP_PRIVATE);

    if (free == 0)
        return 0;
    unmap(free, room);
    return round_up(free + room / 4 + random % (room / 4));
}

/* Where a limit forbids a mapping of that size: far from where the kernel maps next, first below
 * that. */
static uintptr_t take_far_from(uintptr_t next, size_t size, uint64_t room, uint64_t random)
{
    for (uint64_t distance = room; distance >= 16 * size; distance /= 2) {
        uintptr_t below = next - distance + random % (distance / 4);
        uintptr_t above = next + distance - random % (distance / 4);
        if (distance < next && take(round_up(below), size))
            return round_up(below);
        if (take(round_up(above), size))
            return round_up(above);
    }
    return 0;
}

/* Another thread may map something there between two steps: then another place is tried. */
uintptr_t fo_system_find_place(size_t size, uint64_t room, uint64_t random)
{
    enum { TRIES = 4 };
    int saved_errno = errno;
    uintptr_t at = 0, next = 0;

    for (int i = 0; i < TRIES && at == 0; i++) {
        at = middle_of(2 * room, random);
        if (at == 0)
            break;
        at = take(at, size) ? at : 0;
    }
    if (at == 0)
        next = map(0, size, PROT_NONE, MAP_PRIVATE);
    if (next != 0) {
        unmap(next, size);
        at = take_far_from(next, size, room, random);
    }
    errno = saved_errno;
    return at;
}

/* In no core dump: a dump would make the kernel allocate every page, also those never touched. */
uintptr_t fo_system_map_shared(size_t size, uint64_t room, uint64_t random)
{
    int saved_errno = errno;
    uint64_t most = room + (size_t)2 * PAGE;
    uintptr_t all = map(0, size + most, PROT_NONE, MAP_PRIVATE);

    if (all == 0 && room != 0)
        return fo_system_map_shared(size, 0, random);
    uintptr_t start = round_up(all + SYSTEM_PAGE + random % (room + 1)), end = start + size,
              end_of_all = all + size + most;
    if (all != 0 && map(start, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED) == 0) {
        unmap(all, end_of_all - all);
        all = 0;
    }
    if (all != 0) {
        unmap(all, start - SYSTEM_PAGE - all);
        unmap(end + SYSTEM_PAGE, end_of_all - end - SYSTEM_PAGE);
        madvise((void *)start, size, MADV_NOHUGEPAGE);
        madvise((void *)start, size, MADV_DONTDUMP);
    }
    errno = saved_errno;
    return all != 0 ? start : 0;
}

bool fo_system_close(uintptr_t start, size_t size)
{
    int saved_errno = errno;
    bool is_closed = map(start, size, PROT_NONE, MAP_PRIVATE | MAP_FIXED) != 0;

    errno = saved_errno;
    return is_closed;
}

/* --- memory ------------------------------------------------------------------------------------
 */

/* MADV_DONTNEED takes memory from one process only: shared memory needs MADV_REMOVE.  Locked memory
 * (mlockall(2)) needs MADV_DONTNEED_LOCKED. */
void fo_system_release(uintptr_t start, size_t size, bool shared)
{
    int saved_errno = errno;

    if (shared ? madvise((void *)start, size, MADV_REMOVE) != 0
               : !fo_system_try_release(start, size))
        memset((void *)start, 0, size);
    errno = saved_errno;
}

bool fo_system_try_release(uintptr_t start, size_t size)
{
    void *p = (void *)start;
    int saved_errno = errno;
    bool released =
        madvise(p, size, MADV_DONTNEED) == 0 || madvise(p, size, MADV_DONTNEED_LOCKED) == 0;

    errno = saved_errno;
    return released;
}

void fo_system_dump(uintptr_t start, size_t size)
{
    int saved_errno = errno;

    if (fo_options.dump)
        madvise((void *)start, size, MADV_DODUMP);
    errno = saved_errno;
}

void fo_system_populate(uintptr_t start, size_t size)
{
    int saved_errno = errno;

    madvise((void *)start, size, MADV_POPULATE_WRITE);
    errno = saved_errno;
}

static bool cannot_lock;

/* Relaxed: it goes one way, and saves calls that fail. */
bool fo_system_is_locked(void)
{
    return !FO_RELAXED_LOAD(&cannot_lock);
}

void fo_system_lock(uintptr_t start, size_t size)
{
    int saved_errno = errno;

    if (fo_options.lock && fo_system_is_locked() &&
        fo_raw_lock_on_fault((void *)start, size) != 0) {
        FO_RELAXED_STORE(&cannot_lock, true);
        fo_say_words(
            "FREEONCE_LOCK=1: OpenSSL's memory cannot be locked (",
            errno == ENOMEM || errno == EPERM ? "RLIMIT_MEMLOCK is too low" : "mlock2 fails",
            "), so it may be swapped out; raise the limit (LimitMEMLOCK= in systemd, ulimit "
            "-l), or unset FREEONCE_LOCK",
            NULL);
    }
    errno = saved_errno;
}
