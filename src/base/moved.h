/* Functions that are in libc since glibc 2.32 and 2.34, and before in libpthread and libdl.  The
 * library is not linked to them: a reference to the new version would end every program at start
 * where glibc is older, and those libraries would be loaded into programs that do without.  So each
 * function is looked up. */
#ifndef FO_BASE_MOVED_H
#define FO_BASE_MOVED_H

#include <dlfcn.h>
#include <pthread.h>

#include "base/hot.h"

#define FO_MOVED_FUNCTIONS(X)                                                                      \
    X(dlerror)                                                                                     \
    X(dlopen)                                                                                      \
    X(pthread_condattr_setpshared)                                                                 \
    X(pthread_key_create)                                                                          \
    X(pthread_mutex_consistent)                                                                    \
    X(pthread_mutex_trylock)                                                                       \
    X(pthread_mutex_unlock)                                                                        \
    X(pthread_mutexattr_destroy)                                                                   \
    X(pthread_mutexattr_init)                                                                      \
    X(pthread_mutexattr_setpshared)                                                                \
    X(pthread_mutexattr_setrobust)                                                                 \
    X(pthread_setspecific)

#define FO_MOVED_NUMBER(name) FO_MOVED_##name,
enum { FO_MOVED_FUNCTIONS(FO_MOVED_NUMBER) FO_MOVED_COUNT };

/* The function, by its number.  In a process without it, which then has no threads, one that does
 * nothing and returns ENOSYS.  At its first use only, it may take the dynamic linker's lock. */
void *fo_moved_function(unsigned number);

/* See to it that no later use takes a lock.  Called when OpenSSL is there, which brings libpthread.
 */
void fo_moved_find(void);

/* Is there a dlopen?  Only a program that is linked to libdl, or has a newer glibc, has it. */
bool fo_moved_has_dlopen(void);

/* The function to call: FO_MOVED(pthread_setspecific)(key, value).  A sanitizer that the library
 * is built with must see the call. */
#if FO_HAS_TSAN || defined(__SANITIZE_THREAD__)
#define FO_MOVED(name) (&(name))
#else
#define FO_MOVED(name) ((__typeof__(&(name)))fo_moved_function(FO_MOVED_##name))
#endif

#endif
