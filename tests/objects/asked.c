/* A program that is not linked to OpenSSL and fetches each function with dlsym, as users of ctypes,
 * .NET and Go do.
 *
 *   asked --list                           the kinds of objects
 *   asked twice KIND WAY CRYPTO SSL        frees one twice; WAY: handle, version, default
 *   asked copies FIRST SECOND THIRD        three copies of fake.c: who is called?
 *   asked ambiguous CRYPTO FAKE            RTLD_DEFAULT, where two libraries define the name */
#include <dlfcn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PLACE __attribute__((noinline, used))
#define CHECK(condition)                                                                           \
    do                                                                                             \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);                        \
            exit(1);                                                                               \
        }                                                                                          \
    while (0)

typedef void release_function(void *p);

static release_function *release;

static void *must_open(const char *path, int flags)
{
    void *handle = dlopen(path, RTLD_NOW | flags);

    if (handle == NULL)
        fprintf(stderr, "%s\n", dlerror());
    CHECK(handle != NULL);
    return handle;
}

/* --- an object freed twice ----------------------------------------------------------------------
 */

static void *libraries[2];

static void *ask(const char *way, void *handle, const char *name)
{
    if (strcmp(way, "handle") == 0)
        return dlsym(handle, name);
    if (strcmp(way, "default") == 0)
        return dlsym(RTLD_DEFAULT, name);
    void *found = dlvsym(handle, name, "OPENSSL_3.0.0");
    return found != NULL ? found : dlvsym(handle, name, "OPENSSL_4.0.0");
}

static void *must_ask(const char *way, const char *kind, const char *suffix)
{
    char name[200];
    void *found = NULL;

    snprintf(name, sizeof name, "%s_%s", kind, suffix);
    for (unsigned i = 0; i < 2 && found == NULL; i++)
        found = ask(way, libraries[i], name);
    CHECK(found != NULL);
    return found;
}

static PLACE void first(void *p)
{
    release(p);
}

static PLACE void again(void *p)
{
    release(p);
}

static int free_twice(char **arguments)
{
    int scope = strcmp(arguments[1], "default") == 0 ? RTLD_GLOBAL : RTLD_LOCAL;
    void *(*make)(void);

    for (unsigned i = 0; i < 2; i++)
        libraries[i] = must_open(arguments[2 + i], scope);
    *(void **)&make = must_ask(arguments[1], arguments[0], "new");
    *(void **)&release = must_ask(arguments[1], arguments[0], "free");
    void *p = make();
    CHECK(p != NULL);
    printf("object %p\npid %d\n", p, (int)getpid());
    release(NULL);
    first(p);
    again(p);
    return 0;
}

/* --- the function of which library is called? ---------------------------------------------------
 */

static bool is_guarded(void *function)
{
    Dl_info found;

    CHECK(dladdr(function, &found) != 0);
    return strstr(found.dli_fname, "libfreeonce") != NULL;
}

static int *calls_of(void *handle)
{
    int *calls = dlsym(handle, "calls");

    CHECK(calls != NULL);
    return calls;
}

static release_function *release_of(void *handle, bool guarded)
{
    release_function *function;
    void *found = dlsym(handle, "BN_free");

    CHECK(found != NULL && is_guarded(found) == (guarded && getenv("LD_PRELOAD") != NULL));
    *(void **)&function = found;
    return function;
}

/* All are called from here: the caller does not tell which is meant.  When the first one was
 * closed, the third one takes its place. */
static int tell_copies_apart(char **paths)
{
    int mine, *stack = &mine;
    void *handles[2] = {must_open(paths[0], RTLD_LOCAL), must_open(paths[1], RTLD_LOCAL)};
    release_function *functions[2] = {release_of(handles[0], true), release_of(handles[1], false)};

    for (int i = 0; i < 3; i++)
        functions[0](stack);
    functions[1](stack);
    CHECK(*calls_of(handles[0]) == 3 && *calls_of(handles[1]) == 1);
    CHECK(release_of(handles[0], true) == functions[0]);

    void *third = must_open(paths[2], RTLD_LOCAL);
    CHECK(dlclose(handles[0]) == 0);
    release_of(third, true)(stack);
    functions[1](stack);
    CHECK(*calls_of(third) == 1 && *calls_of(handles[1]) == 2);
    return 0;
}

/* Which of the two is found depends on the caller: it gets what it would without the library. */
static int ask_ambiguously(char **paths)
{
    must_open(paths[0], RTLD_GLOBAL);
    void *clear = dlsym(RTLD_DEFAULT, "BN_free");
    void *fake = must_open(paths[1], RTLD_LOCAL);
    void *found = dlsym(RTLD_DEFAULT, "BN_free");

    CHECK(clear != NULL && is_guarded(clear) == (getenv("LD_PRELOAD") != NULL));
    CHECK(found != NULL && !is_guarded(found) && found != dlsym(fake, "BN_free"));
    CHECK(dlsym(fake, "no_such_function") == NULL && dlerror() != NULL);
    return 0;
}

static int list(void)
{
#define GENERIC(name, type) puts(#name "_free " type " -");
#include "generic.def"
    return 0;
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "--list") == 0)
        return list();
    if (argc == 6 && strcmp(argv[1], "twice") == 0)
        return free_twice(argv + 2);
    if (argc == 5 && strcmp(argv[1], "copies") == 0)
        return tell_copies_apart(argv + 2);
    if (argc == 4 && strcmp(argv[1], "ambiguous") == 0)
        return ask_ambiguously(argv + 2);
    return 2;
}
