/* OpenSSL's names CRYPTO_secure_free and CRYPTO_secure_clear_free, for callers of OpenSSL 3 and of
 * OpenSSL 4.  What starts no live block of the secure heap is reported and skipped there: libcrypto
 * would end the program.  Everything else goes on to OpenSSL.  As in openssl_api.c, the versions
 * are hidden (one @).
 *
 * A secure heap need not exist: then OpenSSL hands these blocks on to CRYPTO_free(), some in each
 * handshake.  So a live block of ours is not looked for in a secure heap. */
#include "core/secure.h"

#include <errno.h>
#include <string.h>

#include "core/hot.h"
#include "core/registry.h"
#include "core/verdict.h"
#include "fork/process.h"
#include "load/entries.h"
#include "load/library.h"

static bool is_live_block(uintptr_t p)
{
    if (fo_direct_contains(&fo_hot.process->direct, p))
        return true; /* live or not, it is no part of a secure heap */
    const uint8_t *slot = fo_registry_slot(p);
    return slot != NULL && __atomic_load_n(slot, __ATOMIC_ACQUIRE) == FO_SLOT_LIVE;
}

static FO_COLD bool is_refused(uintptr_t p, fo_site now)
{
    int saved_errno = errno;
    struct fo_secure_at at = fo_secure_at(p);
    bool refused = at.state != FO_SECURE_ELSEWHERE && at.block != p;

    if (refused)
        fo_wrong_secure_free(p, now);
    else if (at.state == FO_SECURE_LIVE)
        fo_secure_remember(&at, now);
    errno = saved_errno;
    return refused;
}

static bool may_free(const void *p, const char *file, int line)
{
    return p == NULL || is_live_block((uintptr_t)p) ||
           !is_refused((uintptr_t)p, fo_site_pack(file, line));
}

static struct fo_library_slot secure_free, secure_clear_free;

#define ENTRY(name, major)                                                                         \
    __asm__(".symver fo_" #name "_" #major "," #name "@OPENSSL_" #major ".0.0");                   \
    FO_EXPORT

#define DEFINE_ENTRIES(major)                                                                      \
    void fo_CRYPTO_secure_free_##major(void *p, const char *file, int line);                       \
    void fo_CRYPTO_secure_clear_free_##major(void *p, size_t size, const char *file, int line);    \
    ENTRY(CRYPTO_secure_free, major)                                                               \
    void fo_CRYPTO_secure_free_##major(void *p, const char *file, int line)                        \
    {                                                                                              \
        void (*real)(void *, const char *, int);                                                   \
                                                                                                   \
        *(void **)&real =                                                                          \
            fo_library_function_kept(&secure_free, FO_PART_CRYPTO, major, "CRYPTO_secure_free",    \
                                     (uintptr_t)__builtin_return_address(0));                      \
        if (real != NULL && may_free(p, file, line))                                               \
            real(p, file, line);                                                                   \
    }                                                                                              \
    ENTRY(CRYPTO_secure_clear_free, major)                                                         \
    void fo_CRYPTO_secure_clear_free_##major(void *p, size_t size, const char *file, int line)     \
    {                                                                                              \
        void (*real)(void *, size_t, const char *, int);                                           \
                                                                                                   \
        *(void **)&real = fo_library_function_kept(&secure_clear_free, FO_PART_CRYPTO, major,      \
                                                   "CRYPTO_secure_clear_free",                     \
                                                   (uintptr_t)__builtin_return_address(0));        \
        if (real != NULL && may_free(p, file, line))                                               \
            real(p, size, file, line);                                                             \
    }
DEFINE_ENTRIES(3)
DEFINE_ENTRIES(4)

void *fo_secure_entry(const char *name, unsigned major)
{
    if (strcmp(name, "CRYPTO_secure_free") == 0)
        return major == 4 ? (void *)fo_CRYPTO_secure_free_4 : (void *)fo_CRYPTO_secure_free_3;
    if (strcmp(name, "CRYPTO_secure_clear_free") == 0)
        return major == 4 ? (void *)fo_CRYPTO_secure_clear_free_4
                          : (void *)fo_CRYPTO_secure_clear_free_3;
    return NULL;
}
