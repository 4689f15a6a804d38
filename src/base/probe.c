/* Fault-safe checks of memory.
 *
 * rt_sigprocmask(2) with an invalid `how` reads the 8 bytes of its set and then fails: EFAULT if
 * they are unreadable, EINVAL if they were read.  It changes nothing, needs no descriptor, and
 * every sandbox allows it.  (The idea is from Abseil's AddressIsReadable.) */
#include "base/probe.h"

#include <errno.h>
#include <pthread.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/elf.h"

enum { PROBE_PAGE = 4096, STACK_MAX = 8 << 20 };

static bool is_word_readable(uintptr_t address)
{
    int saved_errno = errno;
    bool readable = syscall(SYS_rt_sigprocmask, ~0, address, NULL, 8) == 0 || errno != EFAULT;

    errno = saved_errno;
    return readable;
}

bool fo_is_readable(uintptr_t address, size_t size)
{
    if (address < PROBE_PAGE || !fo_is_address(address) || size > UINTPTR_MAX - address ||
        !fo_is_address(address + size))
        return false;
    uintptr_t last = (address + size - 1) & ~(uintptr_t)7;
    for (uintptr_t at = address & ~(uintptr_t)7; at < last; at = (at | (PROBE_PAGE - 1)) + 1)
        if (!is_word_readable(at))
            return false;
    return is_word_readable(last);
}

bool fo_probe_string(const char *address, char *out, size_t size)
{
    uintptr_t at = (uintptr_t)address;

    for (size_t i = 0; i < size; i++, at++) {
        if ((i == 0 || at % PROBE_PAGE == 0) && !fo_is_readable(at, 1))
            return false;
        char c = address[i];
        out[i] = c;
        if (c == '\0')
            return i > 0;
        if (c < ' ' || c > '~')
            return false;
    }
    return false;
}

uintptr_t fo_stack_end;

static bool is_on_stack(uintptr_t p)
{
    uintptr_t here = (uintptr_t)__builtin_frame_address(0), self = (uintptr_t)pthread_self();
    uintptr_t end = fo_stack_end;

    if (p < here)
        return false;
    if (here < end && end - here < STACK_MAX)
        return p < end;                         /* the main thread */
    return p < self && self - here < STACK_MAX; /* glibc puts the descriptor at the stack's top */
}

const char *fo_probe_kind(uintptr_t p)
{
    struct fo_module module;

    if (p < PROBE_PAGE)
        return "the first page";
    if (!fo_is_readable(p, 1))
        return "unmapped memory";
    if (fo_elf_module(p, &module))
        return "static data";
    return is_on_stack(p) ? "the stack" : "memory of the program";
}
