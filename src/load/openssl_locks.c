/* OpenSSL's names CRYPTO_THREAD_read_lock and CRYPTO_THREAD_unlock, for callers of OpenSSL 3 and 4.
 * They lead to pthread_rwlock_rdlock(3) and _unlock(3), and so to locks.c, in any case; where locks
 * are ours, who calls them by name, as libssl does and libcrypto itself unless it is linked
 * -Bsymbolic, gets there without the detour: 22,000 times in a handshake.  Nothing relies on that.
 * As in openssl_api.c, the versions are hidden (one @). */
#include "backend/backend.h"
#include "core/hot.h"
#include "fork/cures.h"
#include "fork/rwlock_short.h"
#include "load/entries.h"
#include "load/library.h"
#include "load/real.h"

typedef int lock_function(void *lock); /* 1: done */

struct entry {
    lock_function *go;   /* what follows */
    lock_function *real; /* OpenSSL's own, as long as it is the same for every caller */
};

static lock_function *real_of(struct entry *e, unsigned major, const char *name, uintptr_t caller)
{
    static void *slot;
    lock_function *real;

    *(void **)&real = fo_library_function((void **)&e->real, FO_PART_CRYPTO, major, name, caller);
    if (real == NULL)
        *(void **)&real = fo_real(&slot, name);
    return real;
}

static FO_COLD int find(struct entry *e, void *lock, unsigned major, const char *name,
                        lock_function *judge, uintptr_t caller)
{
    lock_function *real = real_of(e, major, name, caller);
    bool decided = __atomic_load_n(&fo_hot.alloc, __ATOMIC_ACQUIRE) != fo_backend_first;

    if (decided && (fo_rwlocks_are_ours() || FO_RELAXED_LOAD(&e->real) != NULL))
        __atomic_store_n(&e->go, fo_rwlocks_are_ours() ? judge : real, __ATOMIC_SEQ_CST);
    return real(lock);
}

#define DEFINE(name, major, short_way, ours)                                                       \
    static lock_function find_##name##_##major;                                                    \
    static struct entry name##_##major = {find_##name##_##major, NULL};                            \
    static __attribute__((noinline)) int rest_##name##_##major(void *lock)                         \
    {                                                                                              \
        lock_function *real = FO_RELAXED_LOAD(&name##_##major.real);                               \
        if (fo_rwlock_is(lock))                                                                    \
            return ours(lock) == 0;                                                                \
        return real != NULL ? real(lock) : find_##name##_##major(lock);                            \
    }                                                                                              \
    FO_HOT static int judge_##name##_##major(void *lock)                                           \
    {                                                                                              \
        if (fo_likely(fo_rwlock_is(lock)) && fo_likely(short_way(lock)))                           \
            return 1;                                                                              \
        return rest_##name##_##major(lock);                                                        \
    }                                                                                              \
    static int find_##name##_##major(void *lock)                                                   \
    {                                                                                              \
        return find(&name##_##major, lock, major, #name, judge_##name##_##major,                   \
                    (uintptr_t)__builtin_return_address(0));                                       \
    }                                                                                              \
    int fo_##name##_##major(void *lock);                                                           \
    __asm__(".symver fo_" #name "_" #major "," #name "@OPENSSL_" #major ".0.0");                   \
    FO_EXPORT int fo_##name##_##major(void *lock)                                                  \
    {                                                                                              \
        return FO_HOT_LOAD(&name##_##major.go)(lock);                                              \
    }
DEFINE(CRYPTO_THREAD_read_lock, 3, fo_rwlock_try_read_short, fo_rwlock_read)
DEFINE(CRYPTO_THREAD_read_lock, 4, fo_rwlock_try_read_short, fo_rwlock_read)
DEFINE(CRYPTO_THREAD_unlock, 3, fo_rwlock_try_unlock_short, fo_rwlock_unlock)
DEFINE(CRYPTO_THREAD_unlock, 4, fo_rwlock_try_unlock_short, fo_rwlock_unlock)

void fo_locks_forget(void)
{
#define FORGET(name, major)                                                                        \
    __atomic_store_n(&name##_##major.go, find_##name##_##major, __ATOMIC_SEQ_CST);                 \
    __atomic_store_n(&name##_##major.real, NULL, __ATOMIC_SEQ_CST)
    FORGET(CRYPTO_THREAD_read_lock, 3);
    FORGET(CRYPTO_THREAD_read_lock, 4);
    FORGET(CRYPTO_THREAD_unlock, 3);
    FORGET(CRYPTO_THREAD_unlock, 4);
}
