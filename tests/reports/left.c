/* A call of X509_free() is left out of one of its callbacks by another way than its return, or not
 * at all.  What is freed afterwards is not to be reported as freed by that call.
 *
 *   returns       the callback returns: what it frees is reported with the call
 *   longjmp       siglongjmp, and with signals: out of a handler, on a stack of its own, too
 *   exit, cancel  the thread ends; its destructors free
 */
#include <openssl/crypto.h>
#include <openssl/x509.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "reports.h"

static void (*way)(void);
static sigjmp_buf target;
static void *inside;

static void callback(void *parent, void *p, CRYPTO_EX_DATA *data, int index, long l, void *argument)
{
    (void)parent;
    (void)p;
    (void)data;
    (void)index;
    (void)l;
    (void)argument;
    if (inside != NULL)
        CRYPTO_free(inside, "left", 12);
    way();
}

static X509 *with_callback(void)
{
    int index = CRYPTO_get_ex_new_index(CRYPTO_EX_INDEX_X509, 0, NULL, NULL, NULL, callback);
    X509 *x = X509_new();

    CHECK(index >= 0 && x != NULL && X509_set_ex_data(x, index, x) == 1);
    return x;
}

/* Deeper in the stack than the call that was left. */
static void free_twice(void)
{
    char much[4096];
    void *p = CRYPTO_malloc(40, "left", 1);

    __asm__ volatile("" : : "r"(much) : "memory");
    CRYPTO_free(p, "left", 2);
    CRYPTO_free(p, "left", 3);
}

static pthread_key_t key;

static void *destroy(void *unused)
{
    CHECK(pthread_setspecific(key, "so that its destructor is called") == 0);
    X509_free(with_callback());
    return unused;
}

static void do_nothing(void)
{
}

static void jump(void)
{
    siglongjmp(target, 1);
}

static void handle(int number)
{
    (void)number;
    jump();
}

static void raise_signal(void)
{
    raise(SIGUSR1);
}

static void free_in_destructor(void *unused)
{
    (void)unused;
    free_twice();
}

static void exit_thread(void)
{
    pthread_exit(NULL);
}

static void cancel_thread(void)
{
    pthread_cancel(pthread_self());
    pthread_testcancel();
}

static void on_thread(void (*how)(void))
{
    pthread_t thread;

    way = how;
    CHECK(pthread_create(&thread, NULL, destroy, NULL) == 0);
    CHECK(pthread_join(thread, NULL) == 0);
}

static void jumping(void (*how)(void))
{
    static char stack[64 * 1024];
    struct sigaction action = {.sa_handler = handle, .sa_flags = SA_ONSTACK};

    CHECK(sigaltstack(&(stack_t){.ss_sp = stack, .ss_size = sizeof stack}, NULL) == 0);
    CHECK(sigaction(SIGUSR1, &action, NULL) == 0);
    way = how;
    if (sigsetjmp(target, 1) == 0)
        destroy(NULL);
    free_twice();
}

void run_left(char **name)
{
    CHECK(name[0] != NULL && pthread_key_create(&key, free_in_destructor) == 0);
    if (strcmp(name[0], "returns") == 0) {
        way = do_nothing;
        inside = CRYPTO_malloc(40, "left", 11);
        destroy(NULL);
        CRYPTO_free(inside, "left", 13);
    } else if (strcmp(name[0], "longjmp") == 0) {
        jumping(jump);
    } else if (strcmp(name[0], "signal") == 0) {
        jumping(raise_signal);
    } else if (strcmp(name[0], "exit") == 0) {
        on_thread(exit_thread);
    } else if (strcmp(name[0], "cancel") == 0) {
        on_thread(cancel_thread);
    } else {
        UNKNOWN(name[0]);
    }
}
