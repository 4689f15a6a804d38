/* OpenSSL's names CRYPTO_secure_free and CRYPTO_secure_clear_free, for callers of OpenSSL 3 and of
 * OpenSSL 4.  A pointer into the secure heap that starts no live block there is reported and the
 * call skipped: libcrypto would end the program.  Other calls are passed on to OpenSSL.  As in
 * openssl_api.c, the versions are hidden (one @).
 *
 * Without a secure heap OpenSSL passes these blocks on to CRYPTO_free(), some in each handshake.
 * So a live block of the library is not searched for in a secure heap. */
#include "block/secure.h"

#include <errno.h>
#include <string.h>

#include "base/hot.h"
#include "block/registry.h"
#include "block/verdict.h"
#include "heap/hot.h"
#include "load/entries.h"
#include "load/library.h"
#include "load/named.h"
#include "process/process.h"

/* A block of the region, live or not, is not in a secure heap. */
static FO_ALWAYS_INLINE bool is_in_region(const void *p)
{
    return fo_direct_contains(fo_direct_of(fo_hot.process), (uintptr_t)p);
}

static bool is_live_block(uintptr_t p)
{
    const uint8_t *slot = fo_registry_slot(p);

    return slot != NULL && __atomic_load_n(slot, __ATOMIC_ACQUIRE) == FO_SLOT_LIVE;
}

static bool is_refused(uintptr_t p, fo_site now)
{
    struct fo_secure_at at = fo_secure_at(p);
    bool refused = at.state != FO_SECURE_ELSEWHERE && at.block != p;

    if (refused)
        fo_wrong_secure_free(p, now);
    else if (at.state == FO_SECURE_LIVE)
        fo_secure_remember(&at, now);
    return refused;
}

static FO_COLD bool can_free(const void *p, const char *file, int line)
{
    int saved_errno = errno;
    bool can = is_in_region(p) || is_live_block((uintptr_t)p) ||
               !is_refused((uintptr_t)p, fo_site_pack(file, line));

    errno = saved_errno;
    return can;
}

typedef void free_function(void *p, const char *file, int line);
typedef void clear_free_function(void *p, size_t size, const char *file, int line);

/* OpenSSL's functions, for OpenSSL 3 and 4, if they are the same for every caller. */
static void *frees[2], *clear_frees[2];

void fo_secure_forget(void)
{
    for (unsigned i = 0; i < 2; i++) {
        __atomic_store_n(&frees[i], NULL, __ATOMIC_SEQ_CST);
        __atomic_store_n(&clear_frees[i], NULL, __ATOMIC_SEQ_CST);
    }
}

static FO_COLD void free_slow(void *p, const char *file, int line, unsigned major, uintptr_t caller)
{
    free_function *real;

    *(void **)&real =
        fo_library_function(&frees[major - 3], FO_PART_CRYPTO, major, "CRYPTO_secure_free", caller);
    if (real != NULL && can_free(p, file, line))
        real(p, file, line);
}

static FO_COLD void clear_free_slow(void *p, size_t size, const char *file, int line,
                                    unsigned major, uintptr_t caller)
{
    clear_free_function *real;

    *(void **)&real = fo_library_function(&clear_frees[major - 3], FO_PART_CRYPTO, major,
                                          "CRYPTO_secure_clear_free", caller);
    if (real != NULL && can_free(p, file, line))
        real(p, size, file, line);
}

#define ENTRY(name, major)                                                                         \
    __asm__(FO_NAMED("fo_" #name "_" #major, #name, #major ".0.0"));                               \
    FO_EXPORT

#define DEFINE_ENTRIES(major)                                                                      \
    free_function fo_CRYPTO_secure_free_##major;                                                   \
    clear_free_function fo_CRYPTO_secure_clear_free_##major;                                       \
    ENTRY(CRYPTO_secure_free, major)                                                               \
    void fo_CRYPTO_secure_free_##major(void *p, const char *file, int line)                        \
    {                                                                                              \
        free_function *real;                                                                       \
                                                                                                   \
        if (p == NULL) /* for NULL nothing is done, as OpenSSL promises */                         \
            return;                                                                                \
        *(void **)&real = FO_HOT_LOAD(&frees[major - 3]);                                          \
        if (fo_likely(real != NULL) && fo_likely(is_in_region(p)))                                 \
            real(p, file, line);                                                                   \
        else                                                                                       \
            free_slow(p, file, line, major, (uintptr_t)__builtin_return_address(0));               \
    }                                                                                              \
    ENTRY(CRYPTO_secure_clear_free, major)                                                         \
    void fo_CRYPTO_secure_clear_free_##major(void *p, size_t size, const char *file, int line)     \
    {                                                                                              \
        clear_free_function *real;                                                                 \
                                                                                                   \
        if (p == NULL)                                                                             \
            return;                                                                                \
        *(void **)&real = FO_HOT_LOAD(&clear_frees[major - 3]);                                    \
        if (fo_likely(real != NULL) && fo_likely(is_in_region(p)))                                 \
            real(p, size, file, line);                                                             \
        else                                                                                       \
            clear_free_slow(p, size, file, line, major, (uintptr_t)__builtin_return_address(0));   \
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
