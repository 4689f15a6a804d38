/* What differs between the C libraries, as far as it is a name or a constant: glibc, and musl,
 * which has no macro of its own.  What differs in functions is a file for each (src/CMakeLists.txt:
 * FREEONCE_LIBC). */
#ifndef FO_BASE_LIBC_H
#define FO_BASE_LIBC_H

#include <features.h>

#ifdef __GLIBC__

#include <execinfo.h>
#include <gnu/libc-version.h>

/* Does the dynamic linker bind a reference to a definition of its version only?  musl's compares
 * names; all that a version is for there is to hide a definition (one @). */
enum { FO_LIBC_HAS_VERSIONS = 1 };

/* What is missing in dl_iterate_phdr(3)'s number of loads, which must not be 0: musl does not count
 * what was loaded with the program. */
enum { FO_LIBC_LOADS_AT_START = 0 };

/* Does free(3) often unmap the memory of small blocks, too?  Then another thread may do so between
 * a check that a header can be read and the read. */
enum { FO_LIBC_UNMAPS_BLOCKS = 0 };

/* A function of libc that no library interposes: libc is where it lies. */
#define FO_LIBC_LANDMARK gnu_get_libc_version

/* The word of a mutex that names its owner, to the kernel too if the mutex is robust. */
#define FO_LIBC_OWNER_OF(mutex) (mutex)->__data.__lock

/* See to it that the kernel knows the calling thread's robust mutexes, if it can. */
static inline void fo_libc_watch_thread(void)
{
}

/* Functions that leave others by a jump; the last one serves programs that are built with
 * _FORTIFY_SOURCE. */
#define FO_LIBC_JUMPS(X) X(longjmp) X(_longjmp) X(siglongjmp) X(__longjmp_chk)

/* The library's constructor: begin(argc, argv, envp). */
#define FO_LIBC_CONSTRUCTOR(begin)                                                                 \
    __attribute__((constructor)) static void begin(int argc, char **argv, char **envp)

#else

#include <errno.h>
#include <link.h>
#include <pthread.h>
#include <unistd.h>

enum { FO_LIBC_HAS_VERSIONS = 0, FO_LIBC_LOADS_AT_START = 1, FO_LIBC_UNMAPS_BLOCKS = 1 };

#define FO_LIBC_LANDMARK gettid

#define FO_LIBC_OWNER_OF(mutex) (mutex)->__u.__vi[1]

void fo_libc_watch_thread(void); /* process/robust_musl.c */

#define FO_LIBC_JUMPS(X) X(longjmp) X(_longjmp) X(siglongjmp)

/* A constructor has no arguments; environ, and the name that the program was called by, are there.
 */
#define FO_LIBC_CONSTRUCTOR(begin)                                                                 \
    static void begin(int argc, char **argv, char **envp);                                         \
    __attribute__((constructor)) static void begin##_without_arguments(void)                       \
    {                                                                                              \
        char *argv[] = {program_invocation_name, NULL};                                            \
        begin(argv[0] != NULL, argv, environ);                                                     \
    }                                                                                              \
    static void begin(int argc, char **argv, char **envp)

/* As in glibc.  (No program of musl calls them; they are not exported.) */
struct timespec;
int pthread_rwlock_clockrdlock(pthread_rwlock_t *, clockid_t, const struct timespec *);
int pthread_rwlock_clockwrlock(pthread_rwlock_t *, clockid_t, const struct timespec *);

/* report/backtrace_musl.c */
int backtrace(void **out, int most);

/* The dynamic linker's list of modules.  Its structs are the beginnings of musl's own. */
extern struct r_debug *_dl_debug_addr;
#define _r_debug (*_dl_debug_addr)

#endif

#endif
