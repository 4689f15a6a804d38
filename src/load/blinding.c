/* A process was killed while it changed the blinding of an RSA key: A and its inverse do not fit
 * together any more, and each signature made with them is wrong.  OpenSSL never makes them anew
 * when that happened in the middle of making them: the counter that says when has gone past its
 * mark (BN_BLINDING_update() in crypto/bn/bn_blind.c).  So whoever takes that lock over from the
 * dead makes them anew, before anybody uses them.
 *
 * From OpenSSL 3.6 on each thread has a blinding of its own, without this lock.  A libcrypto that
 * is linked -Bsymbolic, and the FIPS provider, do not ask us. */
#include "load/library.h"
#include "shared/rwlock.h"

enum { MAJOR = 3 };

static void *function(const char *name, uintptr_t caller)
{
    return fo_library_own_function(FO_PART_CRYPTO, MAJOR, name, caller);
}

static FO_COLD void make_anew(void *blinding, uintptr_t caller)
{
    void *(*create)(void *, const void *, void *, void *, void *, void *);
    void *(*context_new)(void), (*context_free)(void *);

    *(void **)&create = function("BN_BLINDING_create_param", caller);
    *(void **)&context_new = function("BN_CTX_new", caller);
    *(void **)&context_free = function("BN_CTX_free", caller);
    if (create == NULL || context_new == NULL || context_free == NULL)
        return;
    void *context = context_new();
    if (context == NULL)
        return;
    create(blinding, NULL, NULL, context, NULL, NULL); /* with the key's numbers, which it has */
    context_free(context);
}

__asm__(".symver fo_BN_BLINDING_lock,BN_BLINDING_lock@OPENSSL_3.0.0");
FO_EXPORT int fo_BN_BLINDING_lock(void *blinding);
FO_EXPORT int fo_BN_BLINDING_lock(void *blinding)
{
    static struct fo_library_slot slot;
    uintptr_t caller = (uintptr_t)__builtin_return_address(0);
    uint32_t before = fo_rwlocks_taken_over;
    int (*real)(void *);

    *(void **)&real =
        fo_library_function_kept(&slot, FO_PART_CRYPTO, MAJOR, "BN_BLINDING_lock", caller);
    int locked = real != NULL ? real(blinding) : 0;
    if (fo_unlikely(locked == 1 && fo_rwlocks_taken_over != before))
        make_anew(blinding, caller);
    return locked;
}
