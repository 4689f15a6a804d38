/* pthread_self() and getpid(): in shared memory, libcrypto needs other answers than the program.
 *
 * Cure `identity`: after fork(2) pthread_self() is the same in all processes.  OpenSSL's RSA
 * blinding (crypto/bn/bn_blind.c) takes that for one thread and skips its lock.  Calls from
 * libcrypto get a value that is unique in the process tree; all other callers get the real one.
 *
 * By getpid() OpenSSL's random generators notice a fork: shared/fork_id.h. */
#include <pthread.h>
#include <sys/types.h>

#include "base/real.h"
#include "load/openssl.h"
#include "options/options.h"
#include "process/process.h"
#include "shared/cures.h"
#include "shared/fork_id.h"

/* The address of a thread descriptor has zeros in its low 6 bits (glibc aligns it to 64) and in its
 * high 16 bits: room for 22 bits of the process's id.  Running processes differ in these bits. */
_Static_assert(FO_ADDRESS_BITS <= 48, "they fit beside the address");
_Static_assert(FO_PROCESS_BITS <= 22, "the index is among them");

static pthread_t unique_self(pthread_t self)
{
    uint64_t id = fo_process_id();

    return (pthread_t)((uintptr_t)self ^ (id & 63) ^ (id >> 6) << 48);
}

FO_EXPORT pthread_t pthread_self(void)
{
    static void *slot;
    pthread_t (*real)(void);

    *(void **)&real = fo_real(&slot, "pthread_self");
    pthread_t self = real();
    if (fo_likely(!fo_cure_is_applied(FO_CURE_IDENTITY)))
        return self;
    return fo_openssl_of((uintptr_t)__builtin_return_address(0)) != NULL ? unique_self(self) : self;
}

/* Generators in the secure heap are in private memory: each child has a copy. */
static uint32_t generators_pid(const struct fo_openssl *o)
{
    fo_fork_id_used();
    bool shared = o->is_guarded && o->secure_heap != NULL && o->secure_heap() == 0;
    uint32_t common = shared ? fo_fork_id() : 0;
    return common != 0 ? common : fo_fork_id_apart();
}

FO_EXPORT pid_t getpid(void)
{
    static void *slot;
    pid_t (*real)(void);

    *(void **)&real = fo_real(&slot, "getpid");
    if (fo_likely(!fo_cure_is_applied(FO_CURE_STATE)))
        return real();
    const struct fo_openssl *o = fo_openssl_of((uintptr_t)__builtin_return_address(0));
    uint32_t number = o != NULL ? generators_pid(o) : 0;
    return number != 0 ? (pid_t)number : real();
}
