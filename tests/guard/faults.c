/* Accesses that fault, and the signals that the program's own handlers get. */
#include "guard.h"

#include <setjmp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static void past_end(void (*access)(char *p))
{
    char *p = ALLOC("alloc", 24);

    memset(p, 'x', 24);
    CHECK(is_guarded(p, 24));
    access(p);
}

static void do_read(char *p)
{
    read_at(p, 32);
}

static void do_write(char *p)
{
    write_at(p, 32);
}

static void read_past_end(void)
{
    past_end(do_read);
}

static void write_past_end(void)
{
    past_end(do_write);
}

/* The first byte behind a block whose size is a multiple of 16. */
static void write_first_byte_past(void)
{
    char *p = ALLOC("alloc", 64);

    memset(p, 'x', 64);
    write_at(p, 64);
}

static void read_in_front(void)
{
    char *p = ALLOC("alloc", 9000); /* three pages of a run of four */

    read_at(p, -3281);
}

static void after_free(size_t size, long offset, bool writes)
{
    char *p = ALLOC("alloc", size);

    memset(p, 'x', size);
    FREE("first", p);
    if (writes)
        write_at(p, offset);
    else
        read_at(p, offset);
}

static void read_freed(void)
{
    after_free(64, 12, false);
}

static void write_freed(void)
{
    after_free(64, 0, true);
}

/* The header lies in front of the payload, and the rest of the page in front of that. */
static void write_freed_header(void)
{
    after_free(64, -8, true);
}

static void read_freed_page(void)
{
    after_free(64, -1000, false);
}

/* The access begins in front of the payload and ends in it. */
static void read_across_freed(void)
{
    char *p = ALLOC("alloc", 64);

    FREE("first", p);
    uint64_t word;
    memcpy(&word, launder(p - 1), sizeof word);
    (void)launder(&word);
}

static void write_freed_large(void)
{
    after_free(1 << 20, 700000, true);
}

static void write_past_large(void)
{
    char *p = ALLOC("alloc", 1 << 20);

    memset(p, 'x', 1 << 20);
    write_at(p, 1 << 20);
}

static void read_moved(void)
{
    char *p = ALLOC("alloc", 100);

    memset(p, 'm', 100);
    fact("first", __LINE__ + 1);
    char *moved = OPENSSL_realloc(p, 1000);
    CHECK(moved != NULL && moved[0] == 'm' && moved[99] == 'm');
    read_at(p, 1);
}

static void call_freed(void)
{
    void (*code)(void);
    void *p = ALLOC("alloc", 64);

    FREE("first", p);
    *(void **)&code = p;
    code();
}

/* The fault is in libc's memcpy, not in the program. */
static void copy_past_end(void)
{
    static char from[4096];
    void *(*volatile copy)(void *, const void *, size_t) = memcpy;
    char *p = ALLOC("alloc", 64);

    copy(p, from, sizeof from);
}

/* --- handlers ----------------------------------------------------------------------------------
 */

static sigjmp_buf back;
static const char *volatile expected;

static void own_handler(int number, siginfo_t *info, void *context)
{
    (void)context;
    CHECK(number == SIGSEGV && (const char *)info->si_addr == expected);
    siglongjmp(back, 1);
}

static void plain_handler(int number)
{
    CHECK(number == SIGSEGV);
    _exit(7);
}

static void install(void (*function)(int), int flags)
{
    struct sigaction action = {.sa_flags = flags};

    action.sa_handler = function;
    CHECK(sigaction(SIGSEGV, &action, NULL) == 0);
}

/* Before OpenSSL's first block, as runtimes do that handle faults. */
__attribute__((constructor)) static void install_early(void)
{
    const char *kind = getenv("GUARD_HANDLER");
    struct sigaction action = {.sa_flags = SA_SIGINFO};

    action.sa_sigaction = own_handler;
    if (kind == NULL)
        return;
    if (strcmp(kind, "siginfo") == 0)
        CHECK(sigaction(SIGSEGV, &action, NULL) == 0);
    else if (strcmp(kind, "plain") == 0)
        install(plain_handler, 0);
    else if (strcmp(kind, "once") == 0)
        install(plain_handler, (int)SA_RESETHAND);
    else
        install(SIG_IGN, 0);
}

/* The program's handler recovers, twice: the library's handler stays in front of it. */
static void recover_twice(void)
{
    char *p = ALLOC("alloc", 64);

    for (volatile int i = 0; i < 2; i++) {
        expected = p + 64 + i;
        if (sigsetjmp(back, 1) == 0) {
            if (i == 0)
                read_at(p, 64);
            else
                write_at(p, 65);
            CHECK(false);
        }
    }
    OPENSSL_free(p);
}

static void on_other_stack(void)
{
    stack_t stack = {.ss_sp = malloc(65536), .ss_size = 65536};

    CHECK(sigaltstack(&stack, NULL) == 0);
    read_past_end();
}

/* Not a guarded block: the program ends as without the library, and nothing is printed. */
static void other_fault(void)
{
    char *p = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    read_at(p, 1);
}

static void sent(void)
{
    CHECK(kill(getpid(), SIGSEGV) == 0);
}

const struct guard_case fault_cases[] = {
    {"read-past-end", read_past_end},
    {"write-past-end", write_past_end},
    {"write-first-byte-past", write_first_byte_past},
    {"read-in-front", read_in_front},
    {"read-freed", read_freed},
    {"write-freed", write_freed},
    {"write-freed-header", write_freed_header},
    {"read-freed-page", read_freed_page},
    {"read-across-freed", read_across_freed},
    {"write-freed-large", write_freed_large},
    {"write-past-large", write_past_large},
    {"read-moved", read_moved},
    {"call-freed", call_freed},
    {"copy-past-end", copy_past_end},
    {"recover", recover_twice},
    {"on-other-stack", on_other_stack},
    {"other-fault", other_fault},
    {"sent", sent},
    {NULL, NULL},
};
