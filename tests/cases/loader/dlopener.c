/* A program that is not linked to OpenSSL and loads libcrypto itself, RTLD_LOCAL, as Apache and
 * Python do.  `dlopener CRYPTO [late LIBFREEONCE]`: late allocates before it loads the library.
 * `dlopener CRYPTO deep` binds libcrypto's calls to libc itself (RTLD_DEEPBIND).
 * `dlopener module PATH` opens a module that is linked to OpenSSL, and runs it. */
#include <dlfcn.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../libc.h"

static void *must_find(void *handle, const char *name)
{
    void *found = dlsym(handle, name);

    if (found == NULL) {
        fprintf(stderr, "%s\n", dlerror());
        exit(1);
    }
    return found;
}

static void *must_open(const char *path, int more)
{
    void *handle = dlopen(path, RTLD_NOW | RTLD_LOCAL | more);

    if (handle == NULL) {
        fprintf(stderr, "%s\n", dlerror());
        exit(1);
    }
    return handle;
}

static int run_module(const char *path)
{
    void (*run)(void);

    *(void **)&run = must_find(must_open(path, 0), "registrar_run");
    run();
    return 0;
}

int main(int argc, char **argv)
{
    void *(*allocate)(size_t, const char *, int);
    void (*release)(void *, const char *, int);
    const char *(*version)(int);

    if (argc < 2)
        return 2;
    setvbuf(stdout, NULL, _IONBF, 0);
    if (strcmp(argv[1], "module") == 0)
        return run_module(argv[2]);
    void *crypto = must_open(argv[1], argc == 3 ? RTLD_DEEPBIND : 0);
    *(void **)&allocate = must_find(crypto, "CRYPTO_malloc");
    *(void **)&release = must_find(crypto, "CRYPTO_free");
    *(void **)&version = must_find(crypto, "OpenSSL_version");
    const char *words = version(0), *second = strchr(strchr(words, ' ') + 1, ' ');
    printf("openssl %.*s\n", (int)(second - words), words);
    if (argc > 3) {
        void *early = allocate(40, "early.c", 1);
        must_open(argv[3], 0);
        release(early, "early.c", 2);
    }
    void *p = allocate(40, "dlopener.c", 1);
    printf("block %p\n", p);
    release(p, "dlopener.c", 2);
    if (argc == 2)
        release(p, "dlopener.c", 3);
    return 0;
}
