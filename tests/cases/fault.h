/* What the faults of `faults` share: how a fault is listed, how it tells the runner what the report
 * must say, and allocations whose source line is told along the way. */
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

/* One table a file, each ended by a NULL name; main.c knows them all. */
extern const struct fault pointer_faults[], double_faults[], contract_faults[], race_faults[],
    fork_faults[], sandbox_faults[], hook_faults[], cure_faults[], lock_faults[],
    shared_object_faults[], reload_faults[], change_faults[], generator_faults[], rwlock_faults[],
    watch_faults[], page_faults[], name_faults[], ownership_faults[], secure_faults[];

/* It must end with status 0. */
void wait_for(pid_t child);

/* "name value" on stdout, in one write(2): the runner puts the value into the expected report. */
void fact(const char *name, const char *format, ...) __attribute__((format(printf, 2, 3)));
void fact_site(const char *name, const char *file, int line);

/* A message on stderr and exit status 1, when the test itself cannot go on or saw something wrong.
 */
_Noreturn void fail(const char *format, ...) __attribute__((format(printf, 1, 2)));
#define CHECK(condition)                                                                           \
    do                                                                                             \
        if (!(condition))                                                                          \
            fail("%s:%d: %s", __FILE__, __LINE__, #condition);                                     \
    while (0)

/* OpenSSL's allocator, with the line told under a name. */
#define ALLOC(site, size)      (fact_site(site, __FILE__, __LINE__), OPENSSL_malloc(size))
#define REALLOC(site, p, size) (fact_site(site, __FILE__, __LINE__), OPENSSL_realloc(p, size))
#define FREE(site, p)          (fact_site(site, __FILE__, __LINE__), OPENSSL_free(p))

/* The same pointer, in a way that the compiler cannot see through. */
void *launder(void *p);

/* Hand a wrong pointer in at site "now": to free or, with --realloc, to realloc, whose answer
 * becomes the fact "answer". */
void hand_in(void *wrong);
extern bool use_realloc;

/* The program goes on: OpenSSL still works. */
void go_on(void);

/* fork(2), called from a function whose place the report must name. */
pid_t fork_told(void);

/* Run on a thread of its own and wait for its end. */
void on_thread(void (*run)(void));

#endif
