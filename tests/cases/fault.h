/* Shared by the faults of `faults`: the list of faults, the facts that the runner puts into the
 * expected report, and allocations whose source line becomes a fact. */
#ifndef FAULT_H
#define FAULT_H

#include <openssl/crypto.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct fault {
    const char *name; /* on the command line */
    void (*run)(void);
};

/* One table for each file, ended by a NULL name; main.c searches all of them. */
extern const struct fault pointer_faults[], double_faults[], contract_faults[], race_faults[],
    fork_faults[], sandbox_faults[], hook_faults[], cure_faults[], lock_faults[],
    shared_object_faults[], reload_faults[], change_faults[], generator_faults[], rwlock_faults[],
    watch_faults[], page_faults[], name_faults[], ownership_faults[], secure_faults[];

/* Wait for the child, which must end with status 0. */
void wait_for(pid_t child);

/* "name value" on stdout, in one write(2): the runner puts the value into the expected report. */
void fact(const char *name, const char *format, ...) __attribute__((format(printf, 2, 3)));
void fact_site(const char *name, const char *file, int line);

/* A message on stderr and exit status 1: the test cannot continue, or a check failed. */
_Noreturn void fail(const char *format, ...) __attribute__((format(printf, 1, 2)));
#define CHECK(condition)                                                                           \
    do                                                                                             \
        if (!(condition))                                                                          \
            fail("%s:%d: %s", __FILE__, __LINE__, #condition);                                     \
    while (0)

/* OpenSSL's allocator; the line becomes a fact with this name. */
#define ALLOC(site, size)      (fact_site(site, __FILE__, __LINE__), OPENSSL_malloc(size))
#define REALLOC(site, p, size) (fact_site(site, __FILE__, __LINE__), OPENSSL_realloc(p, size))
#define FREE(site, p)          (fact_site(site, __FILE__, __LINE__), OPENSSL_free(p))

/* The same pointer; the compiler does not know that. */
void *launder(void *p);

/* Hand a wrong pointer in at site "now": to free or, with --realloc, to realloc, whose answer
 * becomes the fact "answer". */
void pass_pointer(void *wrong);
extern bool use_realloc;

/* Check that OpenSSL still works. */
void check_openssl(void);

/* fork(2), from a function that the report must name. */
pid_t fork_known(void);

/* Run on a thread of its own and wait for its end. */
void on_thread(void (*run)(void));

#endif
