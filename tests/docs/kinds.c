/* kinds KIND: one fault for each kind of finding.  docs/reading-a-report.md shows these functions
 * and what is reported; kinds.py compares. */
#include <openssl/crypto.h>
#include <openssl/ssl.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* So that the compiler does not see what is wrong. */
static void *launder(void *p)
{
    __asm__ volatile("" : "+r"(p));
    return p;
}

static volatile char keep;

static char *name(void)
{
    return launder(OPENSSL_malloc(40));
}

static void double_free(void)
{
    char *subject = name();
    OPENSSL_free(subject);
    OPENSSL_free(subject);
}

static void double_free_forgotten(void)
{
    char *subject = launder(OPENSSL_malloc(100)), *others[3000];
    for (int i = 0; i < 3000; i++)
        others[i] = OPENSSL_malloc(100);
    OPENSSL_free(subject);
    for (int i = 0; i < 3000; i++)
        OPENSSL_free(others[i]);
    OPENSSL_free(subject);
}

static void reference_to_freed(void)
{
    SSL_CTX *context = SSL_CTX_new(TLS_method());
    SSL_CTX_free(context);
    SSL_CTX_up_ref(context);
}

static void use_of_freed(void)
{
    EVP_MD_CTX *digest = EVP_MD_CTX_new();
    EVP_DigestInit_ex(digest, EVP_sha256(), NULL);
    EVP_MD_CTX_free(digest);
    EVP_DigestUpdate(digest, "", 1);
}

static void interior_free(void)
{
    char *subject = name();
    OPENSSL_free(subject + 8);
}

static void interior_free_of_freed(void)
{
    char *subject = name();
    OPENSSL_free(subject);
    OPENSSL_free(subject + 8);
}

static void free_of_header(void)
{
    char *subject = name();
    OPENSSL_free(subject - 8);
}

static void free_of_header_of_freed(void)
{
    char *subject = name();
    OPENSSL_free(subject);
    OPENSSL_free(subject - 8);
}

static void free_behind_end(void)
{
    char *subject = name();
    OPENSSL_free(subject + 40);
}

static void free_behind_end_of_freed(void)
{
    char *subject = name();
    OPENSSL_free(subject);
    OPENSSL_free(subject + 40);
}

static void damaged_header(void)
{
    char *subject = name();
    memset(subject - 16, 'x', 16);
    OPENSSL_free(subject);
}

static void damaged_header_of_freed(void)
{
    char *subjects[200];
    for (int i = 0; i < 200; i++)
        subjects[i] = name();
    for (int i = 0; i < 200; i++)
        OPENSSL_free(subjects[i]);
    for (int i = 0; i < 200; i++)
        memset(subjects[i] - 16, 'x', 16);
    for (int i = 0; i < 1000; i++)
        OPENSSL_free(name());
}

static void foreign_free(void)
{
    char *subject = launder(strdup("CN=example"));
    OPENSSL_free(subject);
}

static void secure_heap_free(void)
{
    CRYPTO_secure_malloc_init(65536, 32);
    char *secret = launder(OPENSSL_secure_malloc(40));
    OPENSSL_free(secret);
}

static void secure_heap_free_of_no_block(void)
{
    CRYPTO_secure_malloc_init(65536, 32);
    char *secret = launder(OPENSSL_secure_malloc(40));
    OPENSSL_secure_free(secret - 32768);
}

static void overflow(void)
{
    char *subject = name();
    subject[40] ^= 1;
    OPENSSL_free(subject);
}

static void read_from_freed(void)
{
    char **list = launder(OPENSSL_malloc(80));
    OPENSSL_free(list);
    OPENSSL_free(list[3]);
}

static void use_after_free(void)
{
    char *subject = name();
    OPENSSL_free(subject);
    subject[7] = '\0';
}

static void reference_after_free(void)
{
    int *object = launder(OPENSSL_malloc(64));
    OPENSSL_free(object);
    object[4]--;
}

static void guard_overflow(void)
{
    char *subject = launder(OPENSSL_malloc(48));
    subject[48] = '\0';
}

static void guard_underflow(void)
{
    char *subject = launder(OPENSSL_malloc(9000));
    subject[-4000] = '\0';
}

static void guard_use_after_free(void)
{
    char *subject = name();
    OPENSSL_free(subject);
    keep = subject[0];
}

static void fault_use_after_free(void)
{
    char **list = launder(OPENSSL_malloc(80));
    OPENSSL_free(list);
    keep = list[3][0];
}

static char *found;

/* Nothing on the stack leads to the block when it is needed. */
static __attribute__((noinline)) void use_and_free(void)
{
    char **list = launder(OPENSSL_malloc(80));
    OPENSSL_free(list);
    found = list[3];
}

static void fault_use_of_freed(void)
{
    use_and_free();
    keep = found[0];
}

static void fault_near_freed(void)
{
    char *subject = name(), *copy = launder(NULL);
    OPENSSL_free(subject);
    copy[0] = subject[0];
}

static void fault(void)
{
    OPENSSL_free(name());
    abort();
}

static void libc_call(void)
{
    char *subject = name();
    free(subject);
}

static void libc_call_of_freed(void)
{
    char *subject = name();
    OPENSSL_free(subject);
    memset(subject, 0, malloc_usable_size(subject));
}

static void libc_call_of_interior(void)
{
    char *subject = name();
    memset(subject, 0, malloc_usable_size(subject + 8));
}

static void libc_call_of_no_block(void)
{
    char *subject = name();
    memset(subject, 0, malloc_usable_size(subject - 8));
}

static void change_of_another_process(void)
{
    SSL_CTX *context = SSL_CTX_new(TLS_method());
    if (fork() == 0)
        SSL_CTX_set_verify(context, SSL_VERIFY_NONE, NULL);
    else
        wait(NULL);
}

static void leak(void)
{
    SSL_CTX *context = SSL_CTX_new(TLS_method());
    context = SSL_CTX_new(TLS_method());
    SSL_CTX_free(context);
}

static const struct {
    const char *name;
    void (*commit)(void);
} kinds[] = {
    {"double-free", double_free},
    {"double-free-forgotten", double_free_forgotten},
    {"reference-to-freed", reference_to_freed},
    {"use-of-freed", use_of_freed},
    {"interior-free", interior_free},
    {"interior-free-of-freed", interior_free_of_freed},
    {"free-of-header", free_of_header},
    {"free-of-header-of-freed", free_of_header_of_freed},
    {"free-behind-end", free_behind_end},
    {"free-behind-end-of-freed", free_behind_end_of_freed},
    {"damaged-header", damaged_header},
    {"damaged-header-of-freed", damaged_header_of_freed},
    {"foreign-free", foreign_free},
    {"secure-heap-free", secure_heap_free},
    {"secure-heap-free-of-no-block", secure_heap_free_of_no_block},
    {"overflow", overflow},
    {"read-from-freed", read_from_freed},
    {"use-after-free", use_after_free},
    {"reference-after-free", reference_after_free},
    {"guard-overflow", guard_overflow},
    {"guard-underflow", guard_underflow},
    {"guard-use-after-free", guard_use_after_free},
    {"fault-use-after-free", fault_use_after_free},
    {"fault-use-of-freed", fault_use_of_freed},
    {"fault-near-freed", fault_near_freed},
    {"fault", fault},
    {"libc-call", libc_call},
    {"libc-call-of-freed", libc_call_of_freed},
    {"libc-call-of-interior", libc_call_of_interior},
    {"libc-call-of-no-block", libc_call_of_no_block},
    {"change-of-another-process", change_of_another_process},
    {"leak", leak},
};

int main(int argc, char **argv)
{
    for (size_t i = 0; argc == 2 && i < sizeof kinds / sizeof kinds[0]; i++)
        if (strcmp(argv[1], kinds[i].name) == 0) {
            kinds[i].commit();
            return 0;
        }
    return 2;
}
