/* Which of our entry points stands for an OpenSSL name? */
#ifndef FO_LOAD_ENTRIES_H
#define FO_LOAD_ENTRIES_H

#include "base/base.h"

/* For a program that asks dlsym(3) for `name` in an OpenSSL of this major version: our definition,
 * or NULL when we have none. */
void *fo_entry_named(const char *name, unsigned major);

/* May callers of CRYPTO_malloc have blocks of ours without OpenSSL being asked?  While every
 * OpenSSL of this process calls our functions anyway: fo_direct_by_name. */
void fo_memory_by_name_if(bool all_ours);

/* Does another library stand in front of CRYPTO_malloc, CRYPTO_zalloc or CRYPTO_free?  Then none of
 * them is answered by the short way: fo_direct_wrapped.  Looked for before OpenSSL's first
 * allocation. */
void fo_memory_find_wrappers(unsigned major);

/* Random generators that the program makes: generators.c. */
void *fo_EVP_RAND_CTX_new_3(void *, void *);
void *fo_EVP_RAND_CTX_new_4(void *, void *);

/* Connections and contexts that the program makes: connections.c. */
void *fo_SSL_new_3(void *);
void *fo_SSL_new_4(void *);
void *fo_SSL_CTX_new_3(void *);
void *fo_SSL_CTX_new_4(void *);
void *fo_SSL_CTX_new_ex_3(void *, void *, void *);
void *fo_SSL_CTX_new_ex_4(void *, void *, void *);

/* What frees memory of OpenSSL's secure heap: secure.c.  NULL: `name` is another function's. */
void *fo_secure_entry(const char *name, unsigned major);

/* Another library came; see fo_objects_forget(). */
void fo_secure_forget(void);

/* What a program takes for OpenSSL's own CRYPTO_malloc or CRYPTO_free. */
struct fo_openssl;
void *fo_memory_entry(const struct fo_openssl *o, const void *real);

#endif
