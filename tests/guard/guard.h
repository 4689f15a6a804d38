/* What the cases of `guard` share: how a case is listed, and how it tells the runner which lines
 * and numbers the report must name. */
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

/* One table a file, each ended by a NULL name. */
extern const struct guard_case fault_cases[], free_cases[], healthy_cases[], process_cases[],
    bound_cases[];

/* "name value" on stdout, in one write(2). */
void fact(const char *name, uintptr_t value);

/* OpenSSL's allocator, with the line told under a name. */
#define ALLOC(site, size) (fact(site, __LINE__), OPENSSL_malloc(size))
#define FREE(site, p)     (fact(site, __LINE__), OPENSSL_free(p))

#define CHECK(condition) check(condition, __FILE__, __LINE__, #condition)
void check(bool condition, const char *file, int line, const char *text);

/* The same pointer, in a way that the compiler cannot see through. */
void *launder(void *p);

/* One access that is not optimised away. */
char read_at(const void *p, long offset);
void write_at(void *p, long offset);

/* Does a page that cannot be touched follow the block, 16 bytes of alignment allowed for? */
bool is_guarded(const void *p, size_t size);

#endif
