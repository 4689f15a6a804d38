/* execve(2) and related functions: the journal notes that this process executes another program.
 * That program has a journal row of its own, if it has the library.
 *
 * These functions are called in children of vfork(2), in signal handlers, and in children of
 * threaded programs.  There dlsym(3) may wait for a lock, so the real functions are looked up
 * before the program runs. */
#include "load/exec.h"

#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stddef.h>
#include <unistd.h>

#include "base/real.h"
#include "report/journal.h"

#define INTERPOSE(name, parameters, arguments)                                                     \
    static void *name##_slot;                                                                      \
    FO_EXPORT int name parameters                                                                  \
    {                                                                                              \
        int(*real) parameters;                                                                     \
                                                                                                   \
        *(void **)&real = fo_real(&name##_slot, #name);                                            \
        bool left = fo_journal_begin_exec();                                                       \
        int failed = real arguments;                                                               \
        if (left)                                                                                  \
            fo_journal_undo_exec();                                                                \
        return failed;                                                                             \
    }

INTERPOSE(execve, (const char *path, char *const argv[], char *const envp[]), (path, argv, envp))
INTERPOSE(execv, (const char *path, char *const argv[]), (path, argv))
INTERPOSE(execvp, (const char *file, char *const argv[]), (file, argv))
INTERPOSE(execvpe, (const char *file, char *const argv[], char *const envp[]), (file, argv, envp))
INTERPOSE(fexecve, (int fd, char *const argv[], char *const envp[]), (fd, argv, envp))

/* --- arguments one by one ----------------------------------------------------------------------
 */

/* The number of arguments before the NULL; -1: more than glibc allows. */
static ptrdiff_t count(const char *first, va_list *arguments)
{
    ptrdiff_t n = 0;

    for (const char *word = first; word != NULL; word = va_arg(*arguments, const char *))
        if (++n == INT_MAX)
            return -1;
    return n;
}

static void collect(char **out, const char *first, va_list *arguments)
{
    size_t n = 0;

    for (const char *word = first; word != NULL; word = va_arg(*arguments, const char *))
        out[n++] = (char *)(uintptr_t)word;
    out[n] = NULL;
}

/* An array on the stack, as in glibc: other memory may not be usable in these callers. */
#define COLLECT(argv, first, arguments)                                                            \
    va_list arguments;                                                                             \
    va_start(arguments, first);                                                                    \
    ptrdiff_t argv##_count = count(first, &arguments);                                             \
    va_end(arguments);                                                                             \
    if (argv##_count < 0) {                                                                        \
        errno = E2BIG;                                                                             \
        return -1;                                                                                 \
    }                                                                                              \
    char *argv[argv##_count + 1];                                                                  \
    va_start(arguments, first);                                                                    \
    collect(argv, first, &arguments)

FO_EXPORT int execl(const char *path, const char *first, ...)
{
    COLLECT(argv, first, arguments);
    va_end(arguments);
    return execv(path, argv);
}

FO_EXPORT int execlp(const char *file, const char *first, ...)
{
    COLLECT(argv, first, arguments);
    va_end(arguments);
    return execvp(file, argv);
}

FO_EXPORT int execle(const char *path, const char *first, ...)
{
    COLLECT(argv, first, arguments);
    char *const *envp = va_arg(arguments, char *const *);
    va_end(arguments);
    return execve(path, argv, envp);
}

void fo_exec_find(void)
{
    fo_real(&execve_slot, "execve");
    fo_real(&execv_slot, "execv");
    fo_real(&execvp_slot, "execvp");
    fo_real(&execvpe_slot, "execvpe");
    fo_real(&fexecve_slot, "fexecve");
}
