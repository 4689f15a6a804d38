/* A thread whose cancellation is pending does what the arguments say, one kind of finding each.
 * Allocating, freeing and reporting are no cancellation points: all of it is done, and the thread
 * ends at its own pthread_testcancel(3). */
#include <openssl/crypto.h>
#include <openssl/x509.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "reports.h"

static char here[16];
static unsigned done;

static void double_free(void)
{
    void *p = CRYPTO_malloc(40, "cancelled", 1);

    CRYPTO_free(p, "cancelled", 2);
    CRYPTO_free(p, "cancelled", 3);
}

static void object(void)
{
    X509 *x = X509_new();

    X509_free(x);
    X509_free(x);
}

static void reference(void)
{
    X509 *x = X509_new();

    X509_free(x);
    X509_up_ref(x);
}

static void interior(void)
{
    char *p = CRYPTO_malloc(40, "cancelled", 4);

    CRYPTO_free(p + 16, "cancelled", 5);
    CRYPTO_free(p, "cancelled", 6);
}

static void foreign(void)
{
    CRYPTO_free(here, "cancelled", 7);
}

static void reallocation(void)
{
    char *p = CRYPTO_malloc(40, "cancelled", 8);

    p = CRYPTO_realloc(p, 100, "cancelled", 9);
    CRYPTO_free(p, "cancelled", 10);
    CHECK(CRYPTO_realloc(p, 200, "cancelled", 11) == NULL);
}

/* FREEONCE_CANARY */
static void overflow(void)
{
    char *p = CRYPTO_malloc(40, "cancelled", 12);

    p[40] ^= 1; /* its value is random */
    CRYPTO_free(p, "cancelled", 13);
}

/* FREEONCE_FILL, found when so many blocks followed that it leaves the quarantine. */
static void write_after_free(void)
{
    char *p = CRYPTO_malloc(40, "cancelled", 14);

    CRYPTO_free(p, "cancelled", 15);
    p[8] = 'x';
    for (int i = 0; i < 100000; i++)
        CRYPTO_free(CRYPTO_malloc(40, "cancelled", 16), "cancelled", 17);
}

/* More memory than any cache keeps. */
static void much(void)
{
    enum { BLOCKS = 300 };
    static void *blocks[BLOCKS];

    for (int i = 0; i < BLOCKS; i++)
        CHECK((blocks[i] = CRYPTO_malloc((size_t)1 << i % 19, "cancelled", 18)) != NULL);
    for (int i = 0; i < BLOCKS; i++)
        CRYPTO_free(blocks[i], "cancelled", 19);
}

/* fork(2) is no cancellation point, either. */
static void in_child(void)
{
    pid_t child = fork();
    int before;

    if (child == 0) {
        double_free();
        _exit(0);
    }
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &before); /* waitpid(2) is one */
    int status;
    CHECK(waitpid(child, &status, 0) == child && status == 0);
    pthread_setcancelstate(before, NULL);
}

static const struct {
    const char *name;
    void (*run)(void);
} kinds[] = {
    {"double-free", double_free}, {"object", object},
    {"reference", reference},     {"interior", interior},
    {"foreign", foreign},         {"realloc", reallocation},
    {"overflow", overflow},       {"much", much},
    {"in-child", in_child},       {"write-after-free", write_after_free},
};

static void run(const char *name)
{
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (strcmp(name, kinds[i].name) == 0) {
            kinds[i].run();
            return;
        }
    UNKNOWN(name);
}

static void *cancelled(void *names)
{
    sigset_t signals;

    pthread_cancel(pthread_self());
    for (char **name = names; *name != NULL; name++) {
        run(*name);
        done++;
    }
    CHECK(pthread_sigmask(SIG_BLOCK, NULL, &signals) == 0 && !sigismember(&signals, SIGPIPE));
    pthread_testcancel();
    return NULL;
}

/* The program's first allocation is the thread's, with all that comes with it. */
void run_cancelled(char **names)
{
    pthread_t thread;
    void *end;
    unsigned count = 0;

    while (names[count] != NULL)
        count++;
    CHECK(pthread_create(&thread, NULL, cancelled, names) == 0);
    CHECK(pthread_join(thread, &end) == 0);
    CHECK(done == count && end == PTHREAD_CANCELED);
    double_free(); /* other threads do not wait for a lock of that one */
}
