/* See ending.h. */
#include "process/ending.h"

#include <limits.h>
#include <pthread.h>

#include "base/base.h"
#include "base/moved.h"

static fo_ending_function *functions[FO_ENDINGS]; /* relaxed: a thread reads what it entered */
static pthread_key_t key;
static uint32_t begun; /* relaxed: the exchange alone decides who makes the key */
static bool has_key;

/* Destructors that run after this one, above all OpenSSL's, still free blocks and acquire locks.
 * So this one asks to be called again, until the last round but one (ThreadSanitizer ends before
 * the last).  A destructor that runs even later gets a new cache and a new seat. */
static void on_thread_end(void *rounds)
{
    if ((uintptr_t)rounds < PTHREAD_DESTRUCTOR_ITERATIONS - 1 &&
        FO_MOVED(pthread_setspecific)(key, (char *)rounds + 1) == 0)
        return;
    for (int i = 0; i < FO_ENDINGS; i++) {
        fo_ending_function *function = FO_RELAXED_LOAD(&functions[i]);
        if (function != NULL)
            function();
    }
}

void fo_ending_start(void)
{
    if (FO_RELAXED_LOAD(&begun) == 0 && __atomic_exchange_n(&begun, 1, __ATOMIC_RELAXED) == 0)
        __atomic_store_n(&has_key, FO_MOVED(pthread_key_create)(&key, on_thread_end) == 0,
                         __ATOMIC_RELEASE);
}

void fo_ending_watch(enum fo_ending what, fo_ending_function *function)
{
    FO_RELAXED_STORE(&functions[what], function);
    if (__atomic_load_n(&has_key, __ATOMIC_ACQUIRE))
        FO_MOVED(pthread_setspecific)(key, (void *)1);
}
