/* See advice.h.  OpenSSL's manual pages define ownership: get0 lends, get1 gives, set0 takes, set1
 * and most older names take a reference or a copy of their own. */
#include "report/advice.h"

#include <string.h>

static const char *const kinds[] = {
    [FO_FINDING_DOUBLE_FREE] =
        "It was freed before, by the place that freed it first. Which of the two owns it? The "
        "other must not free it, or must take a reference of its own.",
    [FO_FINDING_FORGOTTEN] =
        "A block was here and was freed, but so many others were freed since that no record of it "
        "is left. FREEONCE_QUARANTINE and FREEONCE_TOMBSTONES keep more of them.",
    [FO_FINDING_REFERENCED] =
        "A reference was taken after the last one had been dropped. The code that passes the "
        "object on must take the reference before it drops its own.",
    [FO_FINDING_USED] = "The object was used after it was freed. Drop the pointer when the object "
                        "is freed, or take "
                        "a reference of its own.",
    [FO_FINDING_INTERIOR] =
        "The pointer was moved since the block was allocated, or points to a member of it. Free "
        "the pointer that the allocation returned.",
    [FO_FINDING_INTERIOR_FREED] =
        "The pointer was moved since the block was allocated, or points to a member of it; and the "
        "block was freed before. Free the pointer that the allocation returned, once.",
    [FO_FINDING_BEFORE] = "The pointer was moved back since the block was allocated. Free the "
                          "pointer that the allocation returned.",
    [FO_FINDING_BEFORE_FREED] =
        "The pointer was moved back since the block was allocated; and the block was freed before. "
        "Free the pointer that the allocation returned, once.",
    [FO_FINDING_BEHIND] =
        "The pointer was moved since the block was allocated: i2d functions, for example, move the "
        "pointer that they write through. Free a copy of the pointer that the allocation returned.",
    [FO_FINDING_BEHIND_FREED] =
        "The pointer was moved since the block was allocated; and the block was freed before. Free "
        "the pointer that the allocation returned, once.",
    [FO_FINDING_PATTERN] =
        "The pointer is the pattern that FREEONCE_FILL writes into freed blocks: it was read from "
        "one after its free. Drop pointers to the block when it is freed, or take a reference.",
    [FO_FINDING_HEADER] =
        "Something wrote in front of the block, mostly past the end of the block below, which is "
        "named where it is known. FREEONCE_CANARY=1 finds such writes when that block is freed, "
        "FREEONCE_BACKEND=guard where they are made.",
    [FO_FINDING_FOREIGN] =
        "It points to malloc's memory, to the stack, to static data or to nothing; in a process "
        "that was forked, perhaps to what another one allocated since. OPENSSL_free "
        "and the free functions of OpenSSL's types take only what OpenSSL allocated.",
    [FO_FINDING_SECURE] =
        "OPENSSL_secure_malloc allocated it: it is freed with OPENSSL_secure_free or "
        "OPENSSL_secure_clear_free, not with OPENSSL_free, and cannot be given to OPENSSL_realloc.",
    [FO_FINDING_SECURE_NO_BLOCK] =
        "It was freed before, earlier than the library remembers or by OpenSSL itself, or it was "
        "never the start of a block. Free each block of the secure heap once.",
    [FO_FINDING_OVERFLOW] =
        "It was found when the block was freed: the write itself was somewhere between the two "
        "places. FREEONCE_BACKEND=guard stops the program where it is made.",
    [FO_FINDING_USE_AFTER_FREE] =
        "It was found later: the write itself was somewhere after the free. FREEONCE_BACKEND=guard "
        "stops the program where it is made.",
    [FO_FINDING_REFERENCE] =
        "An object was freed again after its memory was freed: what changed looks like its "
        "reference count. FREEONCE_BACKEND=guard stops the program where that happens.",
    [FO_FINDING_GUARD_OVERFLOW] =
        "The place is that of the access itself; the program ended there. Is the block as large as "
        "what is written to it?",
    [FO_FINDING_GUARD_UNDERFLOW] =
        "The place is that of the access itself; the program ended there. Which index or pointer "
        "became less than the start of the block?",
    [FO_FINDING_GUARD_USE_AFTER_FREE] =
        "The place is that of the access itself; the program ended there. Drop the pointer when "
        "the block is freed, or take a reference of its own.",
    [FO_FINDING_FAULT_USED] =
        "The program read freed memory, and used what it read as an address. The place is that of "
        "the fault itself. Drop the pointer when the block is freed, or take a reference of its "
        "own.",
    [FO_FINDING_FAULT_PATTERN] =
        "The program used as an address what FREEONCE_FILL writes into freed memory. "
        "FREEONCE_BACKEND=guard (freeonce run: --set BACKEND=guard) stops the program at its first "
        "access to freed memory, and names the block.",
    [FO_FINDING_FAULT_NEAR] =
        "A pointer to this freed block was in a register or on the stack; whether the fault comes "
        "from it is not known. FREEONCE_BACKEND=guard (freeonce run: --set BACKEND=guard) stops "
        "the "
        "program at its first access to freed memory.",
    [FO_FINDING_FAULT] =
        "Nothing connects this fault with freed memory of OpenSSL. FREEONCE_BACKEND=guard "
        "(freeonce "
        "run: --set BACKEND=guard) stops the program at its first access to freed memory, or past "
        "the end of a block.",
    [FO_FINDING_LIBC_CALL] =
        "What OpenSSL allocated is freed with OPENSSL_free or the free function of its type, not "
        "with free: it works only as long as OpenSSL's memory is malloc's.",
    [FO_FINDING_LIBC_CALL_FREED] =
        "The block was freed before; and what OpenSSL allocated is freed with OPENSSL_free or the "
        "free function of its type, not with free.",
    [FO_FINDING_LIBC_CALL_INTERIOR] =
        "The pointer was moved, or points to a member of the block; and what OpenSSL allocated is "
        "freed with OPENSSL_free, not with free.",
    [FO_FINDING_FREED_HEADER] =
        "Something wrote in front of a block after its free, mostly past the end of the block "
        "below. FREEONCE_BACKEND=guard stops the program where the write is made.",
    [FO_FINDING_CHANGE] =
        "With FREEONCE_BACKEND=shm all processes share OpenSSL's objects: what a child sets in its "
        "parent's SSL_CTX, it sets for all. A server whose children do so needs "
        "FREEONCE_BACKEND=arena.",
    [FO_FINDING_LEAK] =
        "No pointer to it was left when the process ended. What is called at this place gives an "
        "object, or a reference, which the program must free.",
    [FO_FINDING_LIBC_CALL_NO_BLOCK] =
        "The pointer leads behind a block, in front of one, or to one whose header was "
        "overwritten; and what OpenSSL allocated is freed with OPENSSL_free, not with free.",
};

static const struct {
    const char *object, *owner;
} owners[] = {
#define FO_OWNER(object, owner) {object, owner},
#include "report/owners.def"
#undef FO_OWNER
};

const char *fo_advice_of_kind(enum fo_finding_kind kind)
{
    return kinds[kind];
}

static bool is_of_ownership(enum fo_finding_kind kind)
{
    return kind == FO_FINDING_DOUBLE_FREE || kind == FO_FINDING_FORGOTTEN ||
           kind == FO_FINDING_REFERENCED || kind == FO_FINDING_REFERENCE || kind == FO_FINDING_LEAK;
}

static const char *owner_of(const char *object)
{
    for (size_t i = 0; i < sizeof owners / sizeof owners[0]; i++)
        if (strcmp(owners[i].object, object) == 0)
            return owners[i].owner;
    return NULL;
}

void fo_advice(struct fo_text *t, enum fo_finding_kind kind, const char *object)
{
    const char *owner = is_of_ownership(kind) ? owner_of(object) : NULL;

    fo_put(t, fo_advice_of_kind(kind));
    if (owner == NULL)
        return;
    fo_put(t, " ");
    fo_put(t, owner);
}
