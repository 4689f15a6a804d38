/* An engine's bind_engine() (IMPLEMENT_DYNAMIC_BIND_FN) registers the memory functions of the
 * program's own OpenSSL, a static one, with the libcrypto that came with the engine.  From then on
 * each frees what the other made, so that such a libcrypto has no blocks of ours. */
#ifndef FO_LOAD_ENGINE_MEMORY_H
#define FO_LOAD_ENGINE_MEMORY_H

#include "base/base.h"

struct fo_host;
struct fo_openssl;

/* Is this code in an engine? */
bool fo_engine_contains(uintptr_t code);

/* The engine around `caller` registers these functions: what CRYPTO_set_mem_functions() answers.
 * `late`: `o` may have blocks of ours already, so that without us it would have refused. */
int fo_engine_registers(struct fo_openssl *o, const struct fo_host *functions, bool late,
                        uintptr_t caller);

/* Its functions as without us, if the functions that it really calls start with `real`. */
bool fo_engine_is_hidden(const void *real);

/* May this code give a block of ours to libc's functions?  It belongs to the program's OpenSSL,
 * which does not know that an engine's libcrypto had blocks of ours once. */
bool fo_engine_can_mix(uintptr_t caller);

#endif
