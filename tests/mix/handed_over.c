/* Threads use OpenSSL's memory, together or one after another: the memory that one has freed serves
 * the next. */
#include <openssl/evp.h>
#include <pthread.h>
#include <stddef.h>

enum { THREADS = 4, DIGESTS = 200 };

static void *work(void *unused)
{
    for (int i = 0; i < DIGESTS; i++) {
        EVP_MD_CTX *digest = EVP_MD_CTX_new();
        EVP_DigestInit_ex(digest, EVP_sha256(), NULL);
        EVP_MD_CTX_free(digest);
    }
    return unused;
}

int main(void)
{
    pthread_t threads[THREADS];

    /* OpenSSL 3.5 reads its table of algorithms while another thread adds to it, which
     * ThreadSanitizer reports. */
    work(NULL);
    for (int i = 0; i < THREADS; i++)
        pthread_create(&threads[i], NULL, work, NULL);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    return 0;
}
