/* OpenSSL's random generators and fork(2): a generator that the program makes is reported to
 * shared/fork_id.h.  libcrypto makes OpenSSL's own; a generator of the program has no lock, and no
 * cure acts on it. */
#include "load/entries.h"
#include "load/library.h"
#include "load/named.h"
#include "load/openssl.h"
#include "shared/fork_id.h"

static void *make_generator(unsigned major, void *kind, void *parent, uintptr_t caller)
{
    static struct fo_library_slot slot;
    void *(*real)(void *, void *);

    *(void **)&real =
        fo_library_function_kept(&slot, FO_PART_CRYPTO, major, "EVP_RAND_CTX_new", caller);
    void *generator = real != NULL ? real(kind, parent) : NULL;
    if (fo_openssl_of(caller) == NULL)
        fo_fork_id_end();
    return generator;
}

#define DEFINE_ENTRY(major)                                                                        \
    __asm__(FO_NAMED("fo_EVP_RAND_CTX_new_" #major, "EVP_RAND_CTX_new", #major ".0.0"));           \
    FO_EXPORT void *fo_EVP_RAND_CTX_new_##major(void *kind, void *parent)                          \
    {                                                                                              \
        return make_generator(major, kind, parent, (uintptr_t)__builtin_return_address(0));        \
    }

DEFINE_ENTRY(3)
DEFINE_ENTRY(4)
