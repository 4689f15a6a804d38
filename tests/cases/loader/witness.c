/* A library that checks what a preload may change: the arguments of its constructor, environ, the
 * order of dlsym(RTLD_NEXT), and dlerror.  plain.c prints the results. */
#include "witness.h"

#include <dlfcn.h>
#include <features.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char constructor_saw[200];

#ifdef __GLIBC__
__attribute__((constructor)) static void begin(int argc, char **argv, char **envp)
{
    const char *home = getenv("CASE_WORD");

    snprintf(constructor_saw, sizeof constructor_saw, "argc %d, argv[1] %s, envp %s, getenv %s",
             argc, argc > 1 ? argv[1] : "?", envp == environ ? "is environ" : "differs",
             home != NULL ? home : "nothing");
}
#else
__attribute__((constructor)) static void begin(void) /* musl passes no arguments */
{
    const char *home = getenv("CASE_WORD");

    snprintf(constructor_saw, sizeof constructor_saw, "environ %s, getenv %s",
             environ != NULL ? "set" : "not set", home != NULL ? home : "nothing");
}
#endif

const char *witness_of_constructor(void)
{
    return constructor_saw;
}

const char *witness_name(void)
{
    return "the first library";
}

const char *witness_of_next(void)
{
    const char *(*next)(void);

    *(void **)&next = dlsym(RTLD_NEXT, "witness_name");
    return next != NULL ? next() : "nobody";
}
