/* The effects of the cures for OpenSSL in shared memory, as facts: the runner knows which cures are
 * applied. */
#include <openssl/bn.h>
#include <openssl/err.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fault.h"
#include "pool.h"

/* This process is killed while it renews the blinding: A and its inverse do not match then. */
static pid_t to_be_killed;

static int power(BIGNUM *r, const BIGNUM *a, const BIGNUM *p, const BIGNUM *m, BN_CTX *context,
                 BN_MONT_CTX *montgomery)
{
    if (getpid() == to_be_killed)
        kill(getpid(), SIGKILL);
    return BN_mod_exp_mont_consttime(r, a, p, m, context, montgomery);
}

/* A private operation with the steps of crypto/rsa/rsa_ossl.c. */
static bool blinded_is_right(BN_BLINDING *blinding, const BIGNUM *d, const BIGNUM *modulus)
{
    BN_CTX *context = BN_CTX_new();
    BIGNUM *number = BN_new(), *plain = BN_new(), *unblind = BN_new();

    CHECK(context != NULL && number != NULL && plain != NULL && unblind != NULL);
    CHECK(BN_set_word(number, 4711) == 1 && BN_mod_exp(plain, number, d, modulus, context) == 1);
    CHECK(BN_BLINDING_lock(blinding) == 1);
    CHECK(BN_BLINDING_convert_ex(number, unblind, blinding, context) == 1);
    CHECK(BN_BLINDING_unlock(blinding) == 1);
    CHECK(BN_mod_exp(number, number, d, modulus, context) == 1);
    CHECK(BN_BLINDING_invert_ex(number, unblind, blinding, context) == 1);
    bool right = BN_cmp(number, plain) == 0;
    BN_free(number);
    BN_free(plain);
    BN_free(unblind);
    BN_CTX_free(context);
    return right;
}

static void killed_in_blinding(void)
{
    enum { UNTIL_NEW = 32 }; /* BN_BLINDING_COUNTER */
    BIGNUM *e = BN_new(), *d = BN_new(), *modulus = BN_new();
    BN_CTX *context = BN_CTX_new();
    BN_MONT_CTX *montgomery = BN_MONT_CTX_new();
    int status;

    /* p 1000003, q 1000033 */
    CHECK(BN_dec2bn(&modulus, "1000036000099") > 0 && BN_dec2bn(&e, "65537") > 0);
    CHECK(BN_dec2bn(&d, "1000034000064") > 0 && BN_mod_inverse(d, e, d, context) != NULL);
    CHECK(BN_MONT_CTX_set(montgomery, modulus, context) == 1);
    BN_BLINDING *blinding = BN_BLINDING_create_param(NULL, e, modulus, context, power, montgomery);
    CHECK(blinding != NULL && blinded_is_right(blinding, d, modulus));
    pid_t child = fork();
    if (child == 0) {
        to_be_killed = getpid();
        for (int i = 0; i < UNTIL_NEW; i++)
            (void)blinded_is_right(blinding, d, modulus);
        _exit(1);
    }
    fact("killed", "%d", (int)child);
    CHECK(waitpid(child, &status, 0) == child && WIFSIGNALED(status));
    alarm(250);
    fact("after", "%s", blinded_is_right(blinding, d, modulus) ? "right" : "wrong");
    for (int i = 0; i < 2 * UNTIL_NEW; i++)
        CHECK(blinded_is_right(blinding, d, modulus));
    BN_BLINDING_free(blinding);
}

/* RSA blinding belongs to the thread that made it.  For OpenSSL a child is another thread, for the
 * program itself the same one. */
static void identity(void)
{
    BIGNUM *modulus = BN_new();
    CHECK(modulus != NULL && BN_set_word(modulus, 1000003) == 1);
    BN_BLINDING *blinding = BN_BLINDING_new(NULL, NULL, modulus);
    pthread_t (*volatile ask)(void) = pthread_self; /* compilers treat its result as constant */
    pthread_t self = ask();
    int ends[2];
    bool answers[2];

    CHECK(blinding != NULL && pipe(ends) == 0 && BN_BLINDING_is_current_thread(blinding) == 1);
    pid_t child = fork();
    if (child == 0) {
        answers[0] = BN_BLINDING_is_current_thread(blinding) == 1;
        answers[1] = pthread_equal(ask(), self);
        CHECK(write(ends[1], answers, sizeof answers) == (ssize_t)sizeof answers);
        _exit(0);
    }
    wait_for(child);
    CHECK(read(ends[0], answers, sizeof answers) == (ssize_t)sizeof answers);
    fact("id", "%s", answers[0] ? "the same" : "its own");
    fact("self", "%s", answers[1] ? "the same" : "its own");
    CHECK(BN_BLINDING_is_current_thread(blinding) == 1 && pthread_equal(ask(), self));
    BN_BLINDING_free(blinding);
    BN_free(modulus);
}

static void explicit_cleanup(void)
{
    check_openssl(); /* OpenSSL has something to clean up */
    pid_t child = fork();
    if (child == 0) {
        unsigned long before = pool_log->frees;
        OPENSSL_cleanup();
        fact("child-frees", "%s", pool_log->frees == before ? "none" : "some");
        _exit(0);
    }
    wait_for(child);
    check_openssl();
}

/* More than a thread's own state is, and less than OpenSSL's. */
enum { MANY = 100 };

/* The child ends with exit(3), so that OpenSSL's own exit handler runs.  The parent still works. */
static void cleanup_at_exit(void)
{
    check_openssl();
    unsigned long before = pool_log->frees;
    pid_t child = fork();
    if (child == 0)
        exit(0);
    wait_for(child);
    fact("frees", "%s", pool_log->frees - before < MANY ? "none" : "some");
    check_openssl();
}

/* OpenSSL 4 cleans up at the end of the process that asked for it. */
static void cleanup_before_exit(void)
{
    check_openssl();
    unsigned long before = pool_log->frees;
    pid_t child = fork();
    if (child == 0) {
        OPENSSL_cleanup();
        exit(0);
    }
    wait_for(child);
    fact("frees", "%s", pool_log->frees - before < MANY ? "none" : "some");
    check_openssl();
}

/* Each child has random generators of its own, and ends with exit(3). */
static void generators_at_exit(void)
{
    enum { CHILDREN = 20 };
    unsigned char random[8];

    CHECK(RAND_bytes(random, sizeof random) == 1);
    unsigned long before = pool_log->mallocs - pool_log->frees;
    for (int i = 0; i < CHILDREN; i++) {
        pid_t child = fork();
        if (child == 0) {
            CHECK(RAND_bytes(random, sizeof random) == 1);
            exit(0);
        }
        wait_for(child);
    }
    fact("left", "%s", pool_log->mallocs - pool_log->frees < before + CHILDREN ? "few" : "many");
    CHECK(RAND_bytes(random, sizeof random) == 1);
}

/* A child by a raw clone(2) has its parent's generators, and must not free them. */
static void generators_at_exit_of_a_clone(void)
{
    unsigned char random[8];

    CHECK(RAND_bytes(random, sizeof random) == 1);
    pid_t child = (pid_t)syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL);
    if (child == 0)
        exit(0);
    wait_for(child);
    CHECK(RAND_bytes(random, sizeof random) == 1);
    OPENSSL_thread_stop();
    CHECK(RAND_bytes(random, sizeof random) == 1);
}

/* The process that initialised OpenSSL cleans it up. */
static void parent_cleans_up(void)
{
    check_openssl();
    unsigned long before = pool_log->frees;
    OPENSSL_cleanup();
    fact("frees", "%s", pool_log->frees - before > MANY ? "many" : "few");
    _exit(0);
}

static void error_queue(void)
{
    ERR_raise(ERR_LIB_USER, ERR_R_INTERNAL_ERROR);
    CHECK(ERR_peek_error() != 0);
    pid_t child = fork();
    if (child == 0)
        _exit(ERR_peek_error() != 0 ? 0 : 3);
    int status;
    CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status));
    fact("child-queue", "%s", WEXITSTATUS(status) == 3 ? "empty" : "kept");
    fact("parent-queue", "%s", ERR_peek_error() == 0 ? "empty" : "kept");
}

const struct fault cure_faults[] = {
    {"killed-in-blinding", killed_in_blinding},
    {"identity", identity},
    {"cleanup-in-child", explicit_cleanup},
    {"cleanup-at-childs-exit", cleanup_at_exit},
    {"cleanup-before-childs-exit", cleanup_before_exit},
    {"generators-at-childs-exit", generators_at_exit},
    {"generators-at-clones-exit", generators_at_exit_of_a_clone},
    {"cleanup-in-parent", parent_cleans_up},
    {"error-queue", error_queue},
    {NULL, NULL},
};
