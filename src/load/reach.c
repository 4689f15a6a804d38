/* See reach.h.  Cures act where OpenSSL calls libc.  So two functions of OpenSSL are called: one
 * that locks a lock, and one that calls pthread_self().  Neither allocates: this runs inside
 * OpenSSL's first allocation. */
#include "load/reach.h"

#include "base/say.h"
#include "options/values.h"
#include "shared/cures.h"
#include "shared/rwlock.h"

static bool can_reach_locks(const struct fo_openssl *o)
{
    pthread_rwlock_t lock = PTHREAD_RWLOCK_INITIALIZER;

    if (o->read_lock == NULL || o->unlock == NULL)
        return false;
    fo_rwlock_tried = &lock;
    if (o->read_lock(&lock) == 1)
        o->unlock(&lock);
    bool seen = fo_rwlock_tried == NULL;
    fo_rwlock_tried = NULL;
    return seen;
}

/* OpenSSL writes the answer of pthread_self() into a blinding; the other words stay 0.  If the cure
 * reaches OpenSSL, that answer differs from the one here. */
static bool can_reach_identity(const struct fo_openssl *o)
{
    pthread_t (*volatile ask)(void) = pthread_self;
    pthread_t blinding[64] = {0}, self = ask();

    if (o->in_executable) /* its calls are the program's, too */
        return false;
    if (o->set_thread != NULL)
        o->set_thread(blinding);
    for (size_t i = 0; i < sizeof blinding / sizeof blinding[0]; i++)
        if (blinding[i] == self)
            return false;
    return true;
}

/* What happens without each cure. */
static const char *const effects[FO_CURE_COUNT] = {
    "every forked child uses its parent's error queue and random generator",
    "a process that exits frees what other processes still use",
    "a thread that waits for a lock of another process sleeps for ever",
    "RSA keys that several processes use make wrong signatures",
};

static bool can_reach(const struct fo_openssl *o, unsigned cure)
{
    switch (cure) {
    case FO_CURE_STATE:
        return o->thread_stop != NULL && fo_cure_at_fork();
    case FO_CURE_EXIT:
        /* If the calls for locks are bound to libc's own, so is that of atexit(3). */
        return o->cleanup != NULL && (!fo_cure_is_applied(FO_CURE_LOCKS) || can_reach_locks(o));
    case FO_CURE_LOCKS:
        return can_reach_locks(o);
    default:
        return can_reach_identity(o);
    }
}

void fo_reach_check(const struct fo_openssl *o)
{
    static unsigned reported;

    for (unsigned i = 0; i < FO_CURE_COUNT; i++) {
        unsigned cure = 1u << i;
        if (!fo_cure_is_applied(cure) || (reported & cure) != 0 || can_reach(o, cure))
            continue;
        reported |= cure;
        fo_say_words("the cure ", fo_cure_names[i], " does not reach the OpenSSL ",
                     o->in_executable ? "in the executable" : o->how,
                     ", whose memory is shared: ", effects[i], NULL);
    }
}
