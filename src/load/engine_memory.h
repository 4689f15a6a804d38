/* An engine's bind_engine() (IMPLEMENT_DYNAMIC_BIND_FN) registers the memory functions of the
 * program's own OpenSSL, a static one, with the libcrypto that the engine uses.  From then on each
 * of the two frees blocks of the other, so such a libcrypto must have no blocks of the library. */
#ifndef FO_LOAD_ENGINE_MEMORY_H
#define FO_LOAD_ENGINE_MEMORY_H

#include "base/base.h"

struct fo_host;
struct fo_openssl;

/* Is this code in an engine? */
bool fo_engine_contains(uintptr_t code);

/* The engine with the code `caller` registers these functions.  Returns what
 * CRYPTO_set_mem_functions() must return.  `late`: `o` may have blocks of the library already;
 * without the library it would have refused. */
int fo_engine_register(struct fo_openssl *o, const struct fo_host *functions, bool late,
                       uintptr_t caller);

/* Is `real` the malloc of the functions that fo_engine_register() put in place?  Then
 * CRYPTO_get_mem_functions() must answer as without the library. */
bool fo_engine_is_hidden(const void *real);

/* Is it no fault if this code gives a block of the library to libc's functions?  True for code of
 * the program's OpenSSL, which may get blocks that an engine's libcrypto had from the library. */
bool fo_engine_can_mix(uintptr_t caller);

#endif
