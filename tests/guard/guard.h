/* Shared by the cases of `guard`: the list of cases, and the facts with the lines and numbers that
 * the report must name. */
#ifndef GUARD_H
#define GUARD_H

#include <openssl/crypto.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct guard_case {
    const char *name; /* on the command line */
    void (*run)(void);
};

/* One table for each file, ended by a NULL name. */
extern const struct guard_case fault_cases[], free_cases[], healthy_cases[], process_cases[],
    bound_cases[];

/* "name value" on stdout, in one write(2). */
void fact(const char *name, uintptr_t value);

/* OpenSSL's allocator; the line becomes a fact with this name. */
#define ALLOC(site, size) (fact(site, __LINE__), OPENSSL_malloc(size))
#define FREE(site, p)     (fact(site, __LINE__), OPENSSL_free(p))

#define CHECK(condition) check(condition, __FILE__, __LINE__, #condition)
void check(bool condition, const char *file, int line, const char *text);

/* The same pointer; the compiler does not know that. */
void *launder(void *p);

/* One access that is not optimised away. */
char read_at(const void *p, long offset);
void write_at(void *p, long offset);

/* Does an inaccessible page follow the block, whose end is rounded up to 16 bytes? */
bool is_guarded(const void *p, size_t size);

#endif
