/* See reach.h.  Cures act where OpenSSL calls libc, so OpenSSL is made to call: a lock of ours, and
 * who is running.  Nothing is allocated: this happens inside OpenSSL's first allocation. */
#include "load/reach.h"

#include "base/say.h"
#include "options/values.h"
#include "shared/cures.h"
#include "shared/rwlock.h"

static bool locks_reach(const struct fo_openssl *o)
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

/* Nobody but OpenSSL gets another answer than this.  It writes the answer into a blinding, which
 * otherwise consists of pointers: here there is one word that is not 0. */
static bool identity_reaches(const struct fo_openssl *o)
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

/* What is missing without each. */
static const char *const matters[FO_CURE_COUNT] = {
    "every forked child goes on with its parent's error queue and random generator",
    "a process that exits frees what the others still use",
    "who waits for a lock that another process has sleeps for ever",
    "RSA keys that several processes use make wrong signatures",
};

static bool reaches(const struct fo_openssl *o, unsigned cure)
{
    switch (cure) {
    case FO_CURE_STATE:
        return o->thread_stop != NULL && fo_cure_at_fork();
    case FO_CURE_EXIT:
        /* atexit(3) is a call of libc like those. */
        return o->cleanup != NULL && (!fo_cure_is_applied(FO_CURE_LOCKS) || locks_reach(o));
    case FO_CURE_LOCKS:
        return locks_reach(o);
    default:
        return identity_reaches(o);
    }
}

void fo_reach_check(const struct fo_openssl *o)
{
    static unsigned told;

    for (unsigned i = 0; i < FO_CURE_COUNT; i++) {
        unsigned cure = 1u << i;
        if (!fo_cure_is_applied(cure) || (told & cure) != 0 || reaches(o, cure))
            continue;
        told |= cure;
        fo_say_words("the cure ", fo_cure_names[i], " does not reach the OpenSSL ",
                     o->in_executable ? "in the executable" : o->how,
                     ", whose memory is shared: ", matters[i], NULL);
    }
}
