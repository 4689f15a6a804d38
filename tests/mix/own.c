/* A program that exports a malloc of its own: all modules use it, and the library's backend libc,
 * too.  Its free checks the address, and aborts for a block of another allocator. */
#include <openssl/evp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ROOM = 64 << 20, ROUNDS = 2000 };

static _Alignas(16) char memory[ROOM];
static size_t used;

static size_t *size_of(void *p)
{
    size_t offset = (size_t)((char *)p - memory);

    if (offset < 16 || offset >= used || offset % 16 != 0)
        abort();
    return (size_t *)((char *)p - 16);
}

void *malloc(size_t size)
{
    size_t room = ((size + 15) & ~(size_t)15) + 16;
    size_t at = __atomic_fetch_add(&used, room, __ATOMIC_RELAXED);

    if (room > ROOM || at > ROOM - room)
        return NULL;
    *(size_t *)(memory + at) = size;
    return memory + at + 16;
}

void *calloc(size_t count, size_t size)
{
    return malloc(count * size); /* memory that was never used is 0 */
}

void free(void *p)
{
    if (p != NULL && *size_of(p) == SIZE_MAX)
        abort();
    if (p != NULL)
        *size_of(p) = SIZE_MAX;
}

void *realloc(void *p, size_t size)
{
    void *moved = malloc(size);

    if (p != NULL && moved != NULL) {
        memcpy(moved, p, *size_of(p) < size ? *size_of(p) : size);
        free(p);
    }
    return moved;
}

int main(void)
{
    for (int i = 0; i < ROUNDS; i++) {
        unsigned char digest[EVP_MAX_MD_SIZE];
        EVP_MD_CTX *c = EVP_MD_CTX_new();
        char *own = malloc(100), *copy = strdup("of libc's");
        if (c == NULL || own == NULL || copy == NULL || !EVP_DigestInit(c, EVP_sha256()) ||
            !EVP_DigestUpdate(c, copy, 1) || !EVP_DigestFinal(c, digest, NULL))
            return 1;
        EVP_MD_CTX_free(c);
        own = realloc(own, 200);
        free(own);
        free(copy);
    }
    puts("done");
    return 0;
}
