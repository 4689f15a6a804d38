/* Two libcryptos in one process, each opened RTLD_LOCAL with the module that is linked to it:
 * OpenSSL 3, then another one with the same names.  `two MODULE OTHER`; as a module, the user of
 * OpenSSL. */
#include <stdio.h>

#ifdef TWO_MODULE
#include <openssl/bn.h>

void two_use(void);

void two_use(void)
{
    BIGNUM *number = BN_new();

    CRYPTO_free(CRYPTO_malloc(40, "two.c", 1), "two.c", 2);
    printf("openssl %s\n", number != NULL && CRYPTO_set_mem_functions(NULL, NULL, NULL) != 42
                               ? "its own"
                               : "went astray");
    BN_free(number);
}
#else
#include <dlfcn.h>

static void *find(const char *path, const char *name)
{
    void *module = dlopen(path, RTLD_NOW | RTLD_LOCAL);

    return module != NULL ? dlsym(module, name) : NULL;
}

int main(int argc, char **argv)
{
    void (*use)(void);
    const char *(*reach)(void);

    if (argc != 3)
        return 2;
    *(void **)&use = find(argv[1], "two_use");
    if (use == NULL)
        return 1;
    use();
    *(void **)&reach = find(argv[2], "other_reach");
    if (reach == NULL)
        return 1;
    const char *astray = reach();
    printf("other %s\n", astray == NULL ? "its own" : astray);
    use();
    return 0;
}
#endif
