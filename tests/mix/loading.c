/* A module whose constructor waits for a thread that allocates and frees.  Meanwhile the loading
 * thread holds the dynamic linker's lock, for which dlsym(3) would wait. */
#include <malloc.h>
#include <openssl/crypto.h>
#include <pthread.h>
#include <stdlib.h>

static void *work(void *unused)
{
    void *p = reallocarray(NULL, 10, 10);

    if (p == NULL || malloc_usable_size(p) < 100)
        abort();
    p = realloc(p, 1000);
    free(p);
    for (int i = 0; i < 100; i++)
        OPENSSL_free(OPENSSL_malloc(100));
    return unused;
}

__attribute__((constructor)) static void begin(void)
{
    pthread_t thread;

    if (pthread_create(&thread, NULL, work, NULL) != 0 || pthread_join(thread, NULL) != 0)
        abort();
}
