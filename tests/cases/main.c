/* faults: one fault for each run.  `faults [--realloc] [--guarded] [--host[=KIND]] FAULT` registers
 * the memory functions of KIND, runs the fault, and checks that OpenSSL still works, with
 * --guarded in few blocks.  run.py starts it, and knows what each fault must report. */
#include "fault.h"

#include <dlfcn.h>
#include <openssl/bn.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "pool.h"

bool use_realloc;
static bool guarded; /* each block costs system calls */

void fact(const char *name, const char *format, ...)
{
    char line[512];
    va_list more;
    int used = snprintf(line, sizeof line, "%s ", name);

    va_start(more, format);
    used += vsnprintf(line + used, sizeof line - (size_t)used - 1, format, more);
    va_end(more);
    line[used++] = '\n';
    if (write(STDOUT_FILENO, line, (size_t)used) != used)
        _exit(2);
}

void fact_site(const char *name, const char *file, int line)
{
    fact(name, "%s:%d", file, line);
}

void fail(const char *format, ...)
{
    va_list more;

    va_start(more, format);
    vdprintf(STDERR_FILENO, format, more);
    va_end(more);
    dprintf(STDERR_FILENO, "\n");
    _exit(1);
}

void *launder(void *p)
{
    __asm__ volatile("" : "+r"(p));
    return p;
}

static void hand_to_realloc(void *wrong)
{
    const void *answer = REALLOC("now", wrong, 100);
    fact("answer", "%s", answer == NULL ? "NULL" : "a block");
}

static void hand_to_free(void *wrong)
{
    FREE("now", wrong);
}

void pass_pointer(void *wrong)
{
    fact("pointer", "%p", wrong);
    (use_realloc ? hand_to_realloc : hand_to_free)(launder(wrong));
}

static void digest_works(const char *text)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned length;

    CHECK(EVP_Digest(text, 100, digest, &length, EVP_sha256(), NULL) == 1 && length == 32);
}

/* In few blocks: for a digest, OpenSSL allocates thousands. */
static void numbers_work(void)
{
    BIGNUM *number = NULL;

    CHECK(BN_dec2bn(&number, "65537") == 5 && BN_is_word(number, 65537));
    BN_free(number);
}

void check_openssl(void)
{
    char *block = OPENSSL_malloc(100);

    CHECK(block != NULL);
    memset(block, 'x', 100);
    block = OPENSSL_realloc(block, 3000);
    CHECK(block != NULL && block[0] == 'x' && block[99] == 'x');
    if (guarded)
        numbers_work();
    else
        digest_works(block);
    OPENSSL_free(block);
}

__attribute__((noinline, aligned(64))) pid_t fork_known(void)
{
    pid_t pid = fork();

    __asm__ volatile("" : "+r"(pid)); /* no tail call: fork returns to here */
    return pid;
}

/* A report names a place by its distance from the start of its module. */
static void give_place_of_fork(void)
{
    Dl_info module;

    CHECK(dladdr((void *)(uintptr_t)fork_known, &module) != 0);
    fact("fork-known", "%#tx", (char *)(uintptr_t)fork_known - (char *)module.dli_fbase);
}

static void *run_on_thread(void *run)
{
    (*(void (**)(void))run)();
    return NULL;
}

void on_thread(void (*run)(void))
{
    pthread_t thread;

    CHECK(pthread_create(&thread, NULL, run_on_thread, (void *)&run) == 0);
    CHECK(pthread_join(thread, NULL) == 0);
}

void wait_for(pid_t child)
{
    int status;

    CHECK(child > 0 && waitpid(child, &status, 0) == child);
    if (status != 0)
        fail("the child ended with status %#x", (unsigned)status);
}

static const struct fault *find(const char *name)
{
    static const struct fault *const tables[] = {
        pointer_faults, double_faults, contract_faults, race_faults,      fork_faults,
        sandbox_faults, hook_faults,   change_faults,   cure_faults,      shared_object_faults,
        reload_faults,  lock_faults,   watch_faults,    generator_faults, rwlock_faults,
        page_faults,    name_faults,   secure_faults,   ownership_faults,
    };

    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++)
        for (const struct fault *f = tables[i]; f->name != NULL; f++)
            if (strcmp(f->name, name) == 0)
                return f;
    fail("there is no fault %s", name);
}

int main(int argc, char **argv)
{
    int at = 1;

    for (; at < argc && strncmp(argv[at], "--", 2) == 0; at++)
        if (strcmp(argv[at], "--realloc") == 0)
            use_realloc = true;
        else if (strcmp(argv[at], "--guarded") == 0)
            guarded = true;
        else if (strncmp(argv[at], "--host", 6) == 0)
            pool_register(argv[at][6] == '=' ? argv[at] + 7 : "private");
        else
            fail("there is no option %s", argv[at]);
    if (at != argc - 1)
        fail("usage: faults [--realloc] [--guarded] [--host[=private|8|shared|late]] FAULT");
    give_place_of_fork();
    find(argv[at])->run();
    check_openssl();
    return EXIT_SUCCESS;
}
