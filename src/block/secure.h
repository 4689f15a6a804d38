/* OpenSSL's secure heap (CRYPTO_secure_malloc_init): its memory does not pass the hooks.  Does this
 * address lie there, and does a live block start there?  OpenSSL's variables are read, since its
 * functions would acquire its lock.  Acquires no lock, allocates nothing. */
#ifndef FO_BLOCK_SECURE_H
#define FO_BLOCK_SECURE_H

#include "base/elf.h"
#include "block/memory.h"

/* From now on look for the secure heap of this libcrypto. */
void fo_secure_watch(const struct fo_module *libcrypto);

enum fo_secure_state {
    FO_SECURE_ELSEWHERE, /* in no secure heap */
    FO_SECURE_LIVE,      /* in a live block */
    FO_SECURE_NO_BLOCK,  /* in a secure heap, in no live block */
};

/* A block that is live, and its size as OpenSSL rounded it up. */
struct fo_secure_at {
    enum fo_secure_state state;
    uintptr_t block;
    size_t size;
};
struct fo_secure_at fo_secure_at(uintptr_t p);

/* The block at `at` is about to be freed: remember this free. */
void fo_secure_remember(const struct fo_secure_at *at, fo_site now);

/* The newest free of the block at p that is remembered; its allocation is not known.  False: none.
 */
bool fo_secure_find_freed(uintptr_t p, struct fo_freed *out);

#endif
