/* What the parts of the program `reports` share. */
#ifndef REPORTS_H
#define REPORTS_H

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

/* One part a file: its arguments follow the part's name on the command line. */
void run_where(char **steps);
void run_cancelled(char **kinds);
void run_left(char **way);
void run_neighbours(char **way);

/* A message on stdout, since stderr is what is tested, and exit status 1. */
#define CHECK(condition)                                                                           \
    do                                                                                             \
        if (!(condition)) {                                                                        \
            printf("%s:%d: %s\n", __FILE__, __LINE__, #condition);                                 \
            fflush(stdout);                                                                        \
            _exit(1);                                                                              \
        }                                                                                          \
    while (0)

/* The arguments are wrong. */
#define UNKNOWN(what)                                                                              \
    do {                                                                                           \
        printf("there is no %s\n", what);                                                          \
        fflush(stdout);                                                                            \
        _exit(2);                                                                                  \
    } while (0)

/* Did sigaction(2) answer with a sa_restorer?  glibc for arm64 leaves it undefined. */
#if defined(__x86_64__)
#define HAS_RESTORER(action) ((action)->sa_restorer != NULL)
#else
#define HAS_RESTORER(action) false
#endif

#endif
