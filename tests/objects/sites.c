/* sites: where does OpenSSL allocate each kind of object, and how large is it?  Makes one of each
 * and prints "FILE LINE SIZE TYPE" of the block that the object is.  Called by
 * scripts/object-sites. */
#include <openssl/bn.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kinds.h"

/* Every block is remembered for ever; a program that makes one of each has few. */
enum { BLOCKS = 1 << 18 };
static struct block {
    void *payload; /* NULL: freed */
    size_t size;
    const char *file;
    int line;
} blocks[BLOCKS];
static size_t block_count;

static void *remember(void *payload, size_t size, const char *file, int line)
{
    if (payload == NULL || block_count == BLOCKS) {
        fputs("sites: too many blocks\n", stderr);
        exit(1);
    }
    blocks[block_count++] = (struct block){payload, size, file, line};
    return payload;
}

static struct block *find(const void *payload)
{
    for (size_t i = block_count; i-- > 0;)
        if (blocks[i].payload == payload)
            return &blocks[i];
    return NULL;
}

static void *get(size_t size, const char *file, int line)
{
    return size != 0 ? remember(malloc(size), size, file, line) : NULL;
}

static void put(void *p, const char *file, int line)
{
    struct block *b = p != NULL ? find(p) : NULL;

    (void)file;
    (void)line;
    if (b != NULL)
        b->payload = NULL;
    /* Its memory is not used again, so that no pointer is found twice. */
}

static void *resize(void *p, size_t size, const char *file, int line)
{
    void *moved = get(size, file, line);
    struct block *before = p != NULL ? find(p) : NULL;

    if (moved != NULL && before != NULL)
        memcpy(moved, p, before->size < size ? before->size : size);
    put(p, file, line);
    return moved;
}

/* --- what applications have and no constructor makes -------------------------------------------
 */

static void *fetch_md(void)
{
    return EVP_MD_fetch(NULL, "SHA256", NULL);
}

static void *fetch_cipher(void)
{
    return EVP_CIPHER_fetch(NULL, "AES-128-GCM", NULL);
}

static void *fetch_mac(void)
{
    return EVP_MAC_fetch(NULL, "HMAC", NULL);
}

static void *fetch_kdf(void)
{
    return EVP_KDF_fetch(NULL, "HKDF", NULL);
}

static void *fetch_rand(void)
{
    return EVP_RAND_fetch(NULL, "CTR-DRBG", NULL);
}

static void *fetch_keymgmt(void)
{
    return EVP_KEYMGMT_fetch(NULL, "RSA", NULL);
}

static void *fetch_signature(void)
{
    return EVP_SIGNATURE_fetch(NULL, "RSA", NULL);
}

static void *fetch_exchange(void)
{
    return EVP_KEYEXCH_fetch(NULL, "X25519", NULL);
}

static void *fetch_asymmetric_cipher(void)
{
    return EVP_ASYM_CIPHER_fetch(NULL, "RSA", NULL);
}

static void *new_rand(void)
{
    return EVP_RAND_CTX_new(fetch_rand(), NULL);
}

static void *dup_stack(void)
{
    return OPENSSL_sk_dup(OPENSSL_sk_new_null());
}

static void *dup_session(void)
{
    return SSL_SESSION_dup(SSL_SESSION_new());
}

static const struct {
    const char *type;
    void *(*make)(void);
} more[] = {
    {"EVP_MD", fetch_md},
    {"EVP_CIPHER", fetch_cipher},
    {"EVP_MAC", fetch_mac},
    {"EVP_KDF", fetch_kdf},
    {"EVP_RAND", fetch_rand},
    {"EVP_KEYMGMT", fetch_keymgmt},
    {"EVP_SIGNATURE", fetch_signature},
    {"EVP_KEYEXCH", fetch_exchange},
    {"EVP_ASYM_CIPHER", fetch_asymmetric_cipher},
    {"EVP_RAND_CTX", new_rand},
    {"OPENSSL_STACK", dup_stack},
    {"SSL_SESSION", dup_session},
};

static void print(const char *type, const void *object)
{
    const struct block *b = object != NULL ? find(object) : NULL;

    if (b == NULL || b->file == NULL)
        return;
    const char *file = b->file;
    while (strncmp(file, "../", 3) == 0)
        file += 3;
    printf("%s %d %zu %s\n", file, b->line, b->size, type);
}

int main(void)
{
    if (CRYPTO_set_mem_functions(get, resize, put) != 1)
        return 1;
    printf("%s\n", OpenSSL_version(OPENSSL_VERSION_STRING));
    for (const struct kind *k = kinds; k->name != NULL; k++)
        print(k->type, k->make());
    for (size_t i = 0; i < sizeof more / sizeof more[0]; i++)
        print(more[i].type, more[i].make());
    fflush(stdout);
    _Exit(0); /* nothing is cleaned up: the objects are half made */
}
