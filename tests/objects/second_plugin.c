/* Is an object freed by the libcrypto that made it?  Each libcrypto has its own table of what to
 * call when a BIO goes. */
#include <openssl/bio.h>
#include <openssl/crypto.h>

static int freed;

static void count(void *parent, void *p, CRYPTO_EX_DATA *data, int index, long number,
                  void *argument)
{
    (void)parent;
    (void)p;
    (void)data;
    (void)index;
    (void)number;
    (void)argument;
    freed++;
}

int try_plugin(void);

/* How many of 3 BIOs were freed by this libcrypto. */
int try_plugin(void)
{
    static int index = -1;

    if (index == -1)
        index = CRYPTO_get_ex_new_index(CRYPTO_EX_INDEX_BIO, 0, NULL, NULL, NULL, count);
    freed = 0;
    for (int i = 0; i < 3; i++) {
        BIO *bio = BIO_new(BIO_s_mem());
        BIO_up_ref(bio);
        BIO_free(bio);
        BIO_free(bio);
    }
    return freed;
}
