/* A program without OpenSSL: prints symbols, environment and arguments as it and its libraries see
 * them, which must be the same with and without the preload. */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "witness.h"

static void print_function(const char *how, void *handle, const char *name)
{
    Dl_info info;
    void *address = dlsym(handle, name);
    const char *error = dlerror();

    if (address == NULL || dladdr(address, &info) == 0)
        printf("%s %s not found: %s\n", how, name, error != NULL ? error : "no error");
    else
        printf("%s %s in %s\n", how, name, strrchr(info.dli_fname, '/') + 1);
}

int main(int argc, char **argv)
{
    static const char *const names[] = {"malloc",         "pthread_create", "no_such_function",
                                        "environ",        "witness_name",   "CRYPTO_malloc",
                                        "OPENSSL_cleanup"};
    int variables = 0;
    const char *error = dlerror();

    printf("dlerror %s\n", error != NULL ? error : "clean");
    printf("constructor %s\n", witness_of_constructor());
    printf("next %s\n", witness_of_next());
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        print_function("next", RTLD_NEXT, names[i]);
        print_function("default", RTLD_DEFAULT, names[i]);
    }
    for (char **e = environ; *e != NULL; e++)
        variables += strncmp(*e, "LD_PRELOAD=", 11) != 0;
    printf("environ %d, arguments %d %s\n", variables, argc, argv[argc - 1]);
    const char *secure = secure_getenv("CASE_WORD");
    printf("getenv %s %s\n", getenv("CASE_WORD"), secure != NULL ? secure : "nothing");
    setenv("CASE_WORD", "changed", 1);
    printf("getenv %s\n", getenv("CASE_WORD"));
    void *handle = dlopen("libno-such-library.so", RTLD_NOW);
    printf("dlopen %s %s\n", handle == NULL ? "fails" : "works", dlerror());
    return 0;
}
