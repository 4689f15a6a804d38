/* A process was killed while it changed the blinding of an RSA key: A and its inverse do not fit
 * together any more, and each signature made with them is wrong.  OpenSSL does not renew them if
 * the process was killed while it renewed them: the counter that starts a renewal is then past its
 * mark (BN_BLINDING_update() in crypto/bn/bn_blind.c).  So the thread that adopts the lock of the
 * killed process renews both before they are used.
 *
 * From OpenSSL 3.6 on each thread has a blinding of its own, without this lock.  A libcrypto that
 * is linked -Bsymbolic, and the FIPS provider, do not call this function. */
#include "load/library.h"
#include "load/named.h"
#include "shared/rwlock.h"

enum { MAJOR = 3 };

static void *function(const char *name, uintptr_t caller)
{
    return fo_library_own_function(FO_PART_CRYPTO, MAJOR, name, caller);
}

static FO_COLD void renew(void *blinding, uintptr_t caller)
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
    create(blinding, NULL, NULL, context, NULL, NULL); /* NULL: keep the key's numbers */
    context_free(context);
}

__asm__(FO_NAMED("fo_BN_BLINDING_lock", "BN_BLINDING_lock", "3.0.0"));
FO_EXPORT int fo_BN_BLINDING_lock(void *blinding);
FO_EXPORT int fo_BN_BLINDING_lock(void *blinding)
{
    static struct fo_library_slot slot;
    uintptr_t caller = (uintptr_t)__builtin_return_address(0);
    uint32_t before = fo_rwlocks_recovered;
    int (*real)(void *);

    *(void **)&real =
        fo_library_function_kept(&slot, FO_PART_CRYPTO, MAJOR, "BN_BLINDING_lock", caller);
    int locked = real != NULL ? real(blinding) : 0;
    if (fo_unlikely(locked == 1 && fo_rwlocks_recovered != before))
        renew(blinding, caller);
    return locked;
}
