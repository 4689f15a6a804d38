/* Which of OpenSSL's random generators are reseeded after a fork?  The answers are facts.  In
 * shared memory that is not needed, as long as no process uses the generator of another one. */
#include <dlfcn.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <pthread.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fault.h"

enum { OUTPUT = 32 };

static void generate(EVP_RAND_CTX *generator, unsigned char *out)
{
    CHECK(EVP_RAND_generate(generator, out, OUTPUT, 0, 0, NULL, 0) == 1);
}

/* In a thread that holds some lock, which does not guard the generator. */
static void generate_beside_lock(EVP_RAND_CTX *generator)
{
    CRYPTO_RWLOCK *lock = CRYPTO_THREAD_lock_new();
    unsigned char out[OUTPUT];

    CHECK(lock != NULL && CRYPTO_THREAD_write_lock(lock) == 1);
    generate(generator, out);
    CHECK(CRYPTO_THREAD_unlock(lock) == 1);
    CRYPTO_THREAD_lock_free(lock);
}

static unsigned seeded(EVP_RAND_CTX *generator)
{
    unsigned times = 0;
    OSSL_PARAM ask[] = {OSSL_PARAM_construct_uint(OSSL_DRBG_PARAM_RESEED_COUNTER, &times),
                        OSSL_PARAM_construct_end()};

    CHECK(EVP_RAND_CTX_get_params(generator, ask) == 1);
    return times;
}

static void tell(const char *name, EVP_RAND_CTX *generator, unsigned before)
{
    fact(name, "%s", seeded(generator) == before ? "goes on" : "is seeded anew");
}

/* Whether its next use reseeds it. */
static void use_and_tell(const char *name, EVP_RAND_CTX *generator)
{
    unsigned before = seeded(generator);

    generate_beside_lock(generator);
    tell(name, generator, before);
}

static EVP_RAND_CTX *primary(void)
{
    EVP_RAND_CTX *generator = RAND_get0_primary(NULL);

    CHECK(generator != NULL);
    return generator;
}

/* The public generator of this thread, which was used before. */
static EVP_RAND_CTX *own(void)
{
    unsigned char out[OUTPUT];

    CHECK(RAND_bytes(out, OUTPUT) == 1);
    return RAND_get0_public(NULL);
}

static void take_turns(int from, int to, bool first)
{
    enum { TURNS = 20 };
    unsigned char out[OUTPUT];
    char turn = 't';

    for (int i = 0; i < TURNS; i++) {
        if (i > 0 || !first)
            CHECK(read(from, &turn, 1) == 1);
        generate(primary(), out);
        (void)own();
        CHECK(write(to, &turn, 1) == 1);
    }
}

static void in_turns(void)
{
    int there[2], back[2];

    fact("asks", "%s its lock",
         OPENSSL_version_major() == 3 && OPENSSL_version_minor() < 6 ? "under" : "before");
    CHECK(pipe(there) == 0 && pipe(back) == 0);
    (void)own();
    unsigned before = seeded(primary());
    pid_t child = fork();
    if (child == 0) {
        unsigned own_before = seeded(own());
        take_turns(there[0], back[1], false);
        tell("child", own(), own_before);
        _exit(0);
    }
    unsigned own_before = seeded(own());
    take_turns(back[0], there[1], true);
    wait_for(child);
    tell("parent", own(), own_before);
    tell("primary", primary(), before);
}

/* No handler of pthread_atfork(3) runs: the child uses its parent's generator. */
static void raw_clone(void)
{
    EVP_RAND_CTX *parents = own();

    generate_beside_lock(parents);
    pid_t child = (pid_t)syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL);

    if (child == 0) {
        CHECK(RAND_get0_public(NULL) == parents);
        use_and_tell("public", parents);
        _exit(0);
    }
    wait_for(child);
}

static EVP_RAND_CTX *late;

static void use_late(void)
{
    late = own();
    generate_beside_lock(late);
}

/* This handler was registered before the library's, so it runs after it. */
static void used_before_fork(void)
{
    CHECK(pthread_atfork(use_late, NULL, NULL) == 0);
    (void)own();
    pid_t child = fork();
    if (child == 0) {
        CHECK(RAND_get0_public(NULL) == late);
        use_and_tell("public", late);
        _exit(0);
    }
    wait_for(child);
}

/* The secure heap is private memory: each child has a copy of the primary generator's secret. */
static void in_secure_heap(void)
{
    CHECK(CRYPTO_secure_malloc_init(1 << 16, 16) == 1);
    (void)own();
    CHECK(CRYPTO_secure_used() != 0);
    generate_beside_lock(primary());
    pid_t child = fork();
    if (child == 0) {
        use_and_tell("primary", primary());
        _exit(0);
    }
    wait_for(child);
}

typedef EVP_RAND_CTX *make_generator(EVP_RAND *, EVP_RAND_CTX *);

/* A generator of the program has no lock. */
static EVP_RAND_CTX *new_generator(make_generator *make)
{
    char cipher[] = "AES-256-CTR";
    OSSL_PARAM with[] = {OSSL_PARAM_construct_utf8_string(OSSL_DRBG_PARAM_CIPHER, cipher, 0),
                         OSSL_PARAM_construct_end()};
    EVP_RAND *kind = EVP_RAND_fetch(NULL, "CTR-DRBG", NULL);
    EVP_RAND_CTX *generator = make(kind, primary());

    CHECK(generator != NULL && EVP_RAND_instantiate(generator, 0, 0, NULL, 0, with) == 1);
    EVP_RAND_free(kind);
    generate_beside_lock(generator);
    return generator;
}

static void of_the_program(void)
{
    EVP_RAND_CTX *generator = new_generator(EVP_RAND_CTX_new);
    pid_t child = fork();
    if (child == 0) {
        use_and_tell("programs", generator);
        _exit(0);
    }
    wait_for(child);
    EVP_RAND_CTX_free(generator);
}

static void use_without_lock_and_tell(const char *name, EVP_RAND_CTX *generator)
{
    unsigned char out[OUTPUT];
    unsigned before = seeded(generator);

    generate(generator, out);
    tell(name, generator, before);
}

/* Made by a call that bypasses the library, and used in the child without a lock: first while its
 * parent holds one, then after a lock of its own. */
static void unseen(void)
{
    make_generator *make;

    *(void **)&make = dlsym(RTLD_NEXT, "EVP_RAND_CTX_new");
    CHECK(make != NULL);
    EVP_RAND_CTX *generator = new_generator(make);
    CRYPTO_RWLOCK *lock = CRYPTO_THREAD_lock_new();
    CHECK(CRYPTO_THREAD_write_lock(lock) == 1);
    pid_t child = fork();
    if (child == 0) {
        use_without_lock_and_tell("first", generator);
        _exit(0);
    }
    wait_for(child);
    CHECK(CRYPTO_THREAD_unlock(lock) == 1);
    generate_beside_lock(generator);
    child = fork();
    if (child == 0) {
        generate_beside_lock(primary());
        use_without_lock_and_tell("second", generator);
        _exit(0);
    }
    wait_for(child);
    EVP_RAND_CTX_free(generator);
}

/* A lock is adopted after its owner was killed: what it guards may be half changed. */
static void after_a_kill(void)
{
    CRYPTO_RWLOCK *lock = CRYPTO_THREAD_lock_new();
    int status;

    (void)own();
    generate_beside_lock(primary());
    use_and_tell("before", primary());
    pid_t child = fork();
    if (child == 0) {
        if (CRYPTO_THREAD_write_lock(lock) == 1)
            kill(getpid(), SIGKILL);
        _exit(1);
    }
    CHECK(waitpid(child, &status, 0) == child && WIFSIGNALED(status));
    alarm(250); /* a waiter that is never woken */
    CHECK(CRYPTO_THREAD_write_lock(lock) == 1 && CRYPTO_THREAD_unlock(lock) == 1);
    use_and_tell("after", primary());
    CRYPTO_THREAD_lock_free(lock);
}

const struct fault generator_faults[] = {
    {"generators-in-turns", in_turns},
    {"generators-of-raw-clone", raw_clone},
    {"generators-used-before-fork", used_before_fork},
    {"generators-in-secure-heap", in_secure_heap},
    {"generators-of-the-program", of_the_program},
    {"generators-unseen", unseen},
    {"generators-after-a-kill", after_a_kill},
    {NULL, NULL},
};
