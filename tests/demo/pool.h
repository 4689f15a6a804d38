/* The shared memory pool of the demo server: what a SIP server calls its shm allocator. One mapping
 * that all workers inherit, one lock, and a free that aborts when a block is freed twice, as
 * Kamailio's qm does. sipd.c maps it before anything else and hands its functions to OpenSSL. */
#ifndef SIPD_POOL_H
#define SIPD_POOL_H

#include <stddef.h>

/* Maps `bytes` of memory that stays shared across fork. Returns 0, or -1 with errno set.
 * To be called once, before any other function of this file and before fork. */
int pool_map(size_t bytes);

/* The three functions in the shape that CRYPTO_set_mem_functions takes. Payloads are 16-byte
 * aligned. They answer size 0 with NULL, as OpenSSL's own functions do. Safe between processes. */
void *pool_malloc(size_t size, const char *file, int line);
void *pool_realloc(void *payload, size_t size, const char *file, int line);
void pool_free(void *payload, const char *file, int line);

#endif
