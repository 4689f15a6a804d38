/* Which entry point of the library stands for a name of OpenSSL? */
#ifndef FO_LOAD_ENTRIES_H
#define FO_LOAD_ENTRIES_H

#include "base/base.h"

/* For a program that asks dlsym(3) for `name` in an OpenSSL of this major version: the library's
 * definition; NULL: it has none. */
void *fo_entry_named(const char *name, unsigned major);

/* Set fo_direct_by_name: CRYPTO_malloc allocates without a call of OpenSSL.  all_ours: every
 * OpenSSL of this process calls the library's functions. */
void fo_memory_set_by_name(bool all_ours);

/* Does another library stand in front of CRYPTO_malloc, CRYPTO_zalloc or CRYPTO_free?  Then none of
 * them takes the fast path: fo_direct_wrapped.  Called before OpenSSL's first allocation. */
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

/* The library's definition of a function that frees memory of OpenSSL's secure heap: secure.c.
 * NULL: `name` is none of these. */
void *fo_secure_entry(const char *name, unsigned major);

/* Another OpenSSL was loaded; see fo_objects_forget(). */
void fo_secure_forget(void);

/* The address by which a program knows OpenSSL's own CRYPTO_malloc or CRYPTO_free: the library's
 * entry.  NULL: `real` is neither. */
struct fo_openssl;
void *fo_memory_entry(const struct fo_openssl *o, const void *real);

#endif
