/* The kinds of objects that the test knows: how one is made, and two places that free it. */
#ifndef KINDS_H
#define KINDS_H

#include <stddef.h>

struct kind {
    const char *name; /* of the function that frees */
    const char *type; /* its name in reports */
    void *(*make)(void);
    int (*first)(void *p), (*again)(void *p); /* the answer of the function, 0 if it has none */
    int (*reference)(void *p);                /* X_up_ref, or NULL */
};

extern const struct kind kinds[]; /* up to a NULL name */

/* Functions that keep their name and their frame: reports are compared with their addresses. */
#define PLACE __attribute__((noinline, used))

#endif
