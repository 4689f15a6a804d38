/* What the cases use of glibc that musl has not, or has in another way: the insides of locks, and
 * some functions.  A case whose report then differs is in the list of scripts/musl. */
#ifndef CASES_LIBC_H
#define CASES_LIBC_H

#include <dlfcn.h>
#include <pthread.h>
#include <unistd.h>

#ifdef __GLIBC__

/* nptl/pthreadP.h, internaltypes.h */
#define FIRST_WORD_OF(rwlock)     (rwlock)->__data.__readers
#define MUTEX_IS_SHARED(mutex)    (((mutex)->__data.__kind & 128) != 0)
#define CONDITION_IS_SHARED(cond) (((cond)->__data.__wrefs & 1) != 0)
#define RWLOCK_IS_SHARED(rwlock)  ((rwlock)->__data.__shared != 0)

#else

#include <sys/syscall.h>

/* src/internal/pthread_impl.h */
#define FIRST_WORD_OF(rwlock)     (rwlock)->__u.__i[0]
#define MUTEX_IS_SHARED(mutex)    (((mutex)->__u.__i[0] & 128) != 0)
#define CONDITION_IS_SHARED(cond) ((cond)->__u.__p[0] != NULL)
#define RWLOCK_IS_SHARED(rwlock)  ((rwlock)->__u.__i[2] != 0)

#define RTLD_DEEPBIND    0
/* musl's atexit(3) calls no function that can be interposed. */
int __cxa_atexit(void (*function)(void *), void *argument, void *module);
#define atexit(function) __cxa_atexit((void (*)(void *))(void (*)(void))(function), NULL, NULL)
/* Not by nanosleep(2), which musl's does and a case forbids. */
#define usleep(us)                                                                                 \
    clock_nanosleep(CLOCK_MONOTONIC, 0, &(struct timespec){.tv_nsec = (us)*1000L}, NULL)
#define closefrom(fd) syscall(SYS_close_range, fd, ~0u, 0)
#define pthread_rwlock_clockrdlock(lock, clock, end)                                               \
    ((void)(clock), pthread_rwlock_timedrdlock(lock, end))
#define pthread_rwlock_clockwrlock(lock, clock, end)                                               \
    ((void)(clock), pthread_rwlock_timedwrlock(lock, end))

#endif

#endif
