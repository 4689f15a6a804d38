/* What the unit tests share: a fresh engine for each test, and the lines that it wrote.
 *
 * A process has one engine, so each test that needs one runs in a child process of its own. */
#ifndef FO_TESTS_UNIT_FIXTURE_H
#define FO_TESTS_UNIT_FIXTURE_H

/* cmocka.h needs these four. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/base.h"

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define FIXTURE_ASAN 1
#endif
#if __has_feature(thread_sanitizer)
#define FIXTURE_TSAN 1
#endif
#endif
#if !defined(FIXTURE_ASAN) && defined(__SANITIZE_ADDRESS__)
#define FIXTURE_ASAN 1
#elif !defined(FIXTURE_ASAN)
#define FIXTURE_ASAN 0
#endif
#if !defined(FIXTURE_TSAN) && defined(__SANITIZE_THREAD__)
#define FIXTURE_TSAN 1
#elif !defined(FIXTURE_TSAN)
#define FIXTURE_TSAN 0
#endif

/* Linked with heap_alone.c. */
#ifndef FIXTURE_HEAP_ALONE
#define FIXTURE_HEAP_ALONE 0
#endif

/* In place of cmocka_unit_test, for a test that needs reports or another backend: the heap alone
 * has neither. */
#define fixture_test_of_hooks(test)                                                                \
    {                                                                                              \
#test, FIXTURE_HEAP_ALONE ? fixture_skip : (test), NULL, NULL, NULL                        \
    }
void fixture_skip(void **state);

/* A cmocka test whose body runs in a child process; a failed assertion there fails it. */
#define FRESH(name)                                                                                \
    static void name##_body(void);                                                                 \
    static void name(void **state)                                                                 \
    {                                                                                              \
        (void)state;                                                                               \
        if (fixture_is_excused(#name))                                                             \
            skip();                                                                                \
        fixture_in_child(name##_body);                                                             \
    }                                                                                              \
    static void name##_body(void)

void fixture_in_child(void (*body)(void));

/* Does the environment variable EXCUSED name this test?  scripts/arm64 names those that fail in an
 * emulator, and says why. */
bool fixture_is_excused(const char *test);

/* Start the engine with these options ("QUARANTINE=1K", ...; NULL ends them).  Its output is kept
 * for the functions below, in memory. */
#define fixture_start(...) fixture_start_with((const char *const[]){__VA_ARGS__})
void fixture_start_with(const char *const *options);

/* What it starts: the engine (fixture_engine.c), or the heap alone (heap_alone.c). */
bool fixture_begin(void);

/* fo_options_read() with these "NAME=value", without starting anything. */
#define fixture_options(...) fixture_options_with((const char *const[]){__VA_ARGS__})
void fixture_options_with(const char *const *options);

/* Everything written so far, or since fixture_forget(). */
const char *fixture_log(void);
void fixture_forget(void);

/* How often this text was written. */
unsigned fixture_count(const char *text);

/* Check that the whole log equals this text, a format of printf(3); then forget the log. */
void fixture_expect(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Run a function in a forked child and wait for its end; returns its pid. */
int fixture_fork(void (*body)(void *), void *argument);

/* The same for a child that may end in any way; *status is that of wait(2). */
int fixture_fork_any(void (*body)(void *), void *argument, int *status);

/* A child that no pthread_atfork(3) handler sees: a raw clone(2).  The library sees it by its
 * process's page, which the kernel wipes.  -1, and a line that says why: it does not, as qemu-user.
 */
pid_t fixture_clone(void);

/* Repeatable random numbers. */
uint64_t fixture_random(uint64_t *seed);

/* Fill a block with bytes that depend on its number and on their offset. */
void fixture_fill(void *block, size_t size, unsigned number);
bool fixture_is_filled(const void *block, size_t size, unsigned number);

#endif
