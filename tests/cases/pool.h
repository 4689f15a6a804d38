/* A program's own memory functions, as servers register them with CRYPTO_set_mem_functions().  They
 * check each pointer: one that is no block of the pool, or that was freed before, ends the program
 * with SIGABRT. */
#ifndef POOL_H
#define POOL_H

#include <stdbool.h>
#include <stddef.h>

/* The arguments of the pool's last calls, and their number.  In shared memory for the shared pool.
 */
struct pool_log {
    const char *malloc_file, *free_file;
    int malloc_line, free_line;
    unsigned long mallocs, frees;
};
extern struct pool_log *pool_log;

void *pool_malloc(size_t size, const char *file, int line);
void *pool_realloc(void *p, size_t size, const char *file, int line);
void pool_free(void *p, const char *file, int line);

/* Set the pool up, without registering: "private" (blocks of libc's malloc), "8" (the same, aligned
 * to 8 bytes only), "shared" (one MAP_SHARED mapping) or "late" (like shared, but without memory
 * until pool_open()). */
void pool_prepare(const char *kind);
void pool_open(void);

/* Prepare and register; the program fails if OpenSSL refuses the functions. */
void pool_register(const char *kind);

#endif
