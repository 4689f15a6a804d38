/* See ending.h. */
#include "process/ending.h"

#include <limits.h>
#include <pthread.h>

#include "heap/region.h"
#include "process/life.h"
#include "shared/seat.h"

static pthread_key_t key;
static bool has_key;

/* Other destructors, OpenSSL's above all, free and lock after this one: so it asks to be called
 * again, until the last round but one (ThreadSanitizer is gone in the last).  Who comes later still
 * gets a cache and a seat again. */
static void thread_goes(void *rounds)
{
    if ((uintptr_t)rounds < PTHREAD_DESTRUCTOR_ITERATIONS - 1 &&
        pthread_setspecific(key, (char *)rounds + 1) == 0)
        return;
    fo_cache_retire();
    fo_seat_leave();
    fo_life_unwatch();
}

void fo_ending_start(void)
{
    if (!has_key)
        has_key = pthread_key_create(&key, thread_goes) == 0;
}

void fo_ending_watch(void)
{
    if (has_key)
        pthread_setspecific(key, (void *)1);
}
