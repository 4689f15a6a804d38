/* A program that a signal reaches, and that has handlers of its own: crashes WHEN HANDLER CAUSE.
 * What its handler sees, and what sigaction(2) and signal(3) answer, goes to the standard output:
 * with FREEONCE_FAULTS=1 it is the same as without the library.
 *
 *   WHEN     the handler is installed "before" the first use of OpenSSL, or "after"
 *   HANDLER  "default", "ignore", or of a function: "plain", "siginfo", "onstack", "nodefer",
 *            "once", "mask", "signal" (by signal(3)), "small" (on the smallest alternate stack);
 *            several with "+"; "recovers" leaves the handler by siglongjmp(3), "reraises" restores
 *            the default and raises the signal again, "returns" restores it and returns
 *   CAUSE    "stale"     a pointer that was read from a freed block is followed
 *            "called"    and called
 *            "null"      a read through a null pointer, a pointer to a freed block at hand
 *            "wild"      a read through an unmapped pointer
 *            "abort" "assert" "trap" "bus" "raise" "stack" (overflow)
 *            "twice"     SIGABRT by raise(3), twice
 *            "sandbox" "sandbox-abort": as "stale" and "abort", where few system calls are allowed
 *            "kill"      SIGABRT of another process
 *            "thread"    as "stale", on a thread of its own;  "threads": on eight at once
 *            "child" "vfork" "spawn": as "stale", in a forked child, in the program after a child
 * of vfork(2) changed its own actions, after it executed a program "queries"   nothing: only what
 * sigaction(2) and signal(3) answer
 */
#include <assert.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <openssl/crypto.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <spawn.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "reports.h"

enum { BLOCK = 400, THREADS = 8, PAGE = 4096, BELOW = 1 << 15, USED = 1 << 12 };

static char alternate[1 << 16];
static const char *handling;
static sigjmp_buf target;
static int seen;
extern char **environ;

static const int numbers[] = {SIGSEGV, SIGBUS, SIGILL, SIGABRT};
enum { COUNT = sizeof numbers / sizeof numbers[0] };

static void *launder(void *p)
{
    __asm__ volatile("" : "+r"(p));
    return p;
}

static const char *yes_no(int is_so)
{
    return is_so ? "yes" : "no";
}

static int is_blocked(int number)
{
    sigset_t mask;

    CHECK(sigprocmask(SIG_BLOCK, NULL, &mask) == 0);
    return sigismember(&mask, number);
}

static void leave(int number)
{
    if (strstr(handling, "recovers") != NULL)
        siglongjmp(target, 1);
    if (strstr(handling, "reraises") != NULL || strstr(handling, "returns") != NULL)
        CHECK(signal(number, SIG_DFL) != SIG_ERR);
    if (strstr(handling, "reraises") != NULL)
        raise(number);
    if (strstr(handling, "ends") != NULL)
        _exit(7);
}

/* The library must not use more of a small stack than this handler itself. */
static int is_below_used(void)
{
    for (int i = 0; i < BELOW - USED; i++)
        if (alternate[i] != 0)
            return 1;
    return 0;
}

static void see(int number)
{
    char here;
    int on_stack = (uintptr_t)&here - (uintptr_t)alternate < sizeof alternate;

    if (is_below_used())
        printf("the alternate stack was overrun\n");
    printf("handler: signal %d, alternate stack %s, blocked: its own %s, SIGUSR1 %s, errno %d\n",
           number, yes_no(on_stack), yes_no(is_blocked(number)), yes_no(is_blocked(SIGUSR1)),
           errno);
    fflush(stdout);
    if (seen++ != 0)
        _exit(8);
    leave(number);
}

static void see_info(int number, siginfo_t *info, void *context)
{
    printf("code %d, context %s\n", info->si_code, yes_no(context != NULL));
    see(number);
}

/* What the program sees of an action: of addresses only whether they are its own. */
static void show(const char *what, const struct sigaction *a)
{
    const char *function = a->sa_handler == SIG_DFL      ? "default"
                           : a->sa_handler == SIG_IGN    ? "ignored"
                           : a->sa_handler == see        ? "plain"
                           : a->sa_sigaction == see_info ? "with information"
                                                         : "another";

    printf("%s: %s, flags %#x, restorer %s, SIGUSR1 %s\n", what, function, (unsigned)a->sa_flags,
           yes_no(HAS_RESTORER(a)), yes_no(sigismember(&a->sa_mask, SIGUSR1)));
}

static int flags_of(const char *how)
{
    return (strstr(how, "siginfo") != NULL ? SA_SIGINFO : 0) |
           (strstr(how, "onstack") != NULL || strstr(how, "small") != NULL ? SA_ONSTACK : 0) |
           (strstr(how, "nodefer") != NULL ? SA_NODEFER : 0) |
           (strstr(how, "once") != NULL ? (int)SA_RESETHAND : 0);
}

static void install_at(int number)
{
    struct sigaction action = {.sa_flags = flags_of(handling)}, before;

    sigemptyset(&action.sa_mask);
    if (strstr(handling, "mask") != NULL)
        sigaddset(&action.sa_mask, SIGUSR1);
    if (strstr(handling, "siginfo") != NULL)
        action.sa_sigaction = see_info;
    else
        action.sa_handler = strstr(handling, "ignore") != NULL ? SIG_IGN : see;
    if (strstr(handling, "signal") != NULL) {
        sighandler_t old = signal(number, see);
        printf("signal: %s\n", old == SIG_DFL ? "default" : "another");
        CHECK(signal(number, see) == see);
        return;
    }
    CHECK(sigaction(number, &action, &before) == 0);
    show("before", &before);
}

static void install(void)
{
    struct sigaction now;
    stack_t stack = {.ss_sp = alternate + BELOW, .ss_size = sizeof alternate - BELOW}, is;

    if (strstr(handling, "small") != NULL)
        stack.ss_size = (size_t)sysconf(_SC_MINSIGSTKSZ) + 1024;
    CHECK(sigaltstack(&stack, NULL) == 0);
    for (int i = 0; i < COUNT; i++) {
        if (strcmp(handling, "default") != 0)
            install_at(numbers[i]);
        CHECK(sigaction(numbers[i], NULL, &now) == 0);
        show("now", &now);
    }
    CHECK(sigaltstack(NULL, &is) == 0 && is.ss_sp == stack.ss_sp && is.ss_size == stack.ss_size);
    fflush(stdout);
}

static char **freed_block(void)
{
    char **p = OPENSSL_malloc(BLOCK);

    CHECK(p != NULL);
    memset(p, 0x55, BLOCK); /* without the library, too, it is this that is followed */
    OPENSSL_free(p);
    return launder(p);
}

static __attribute__((noinline)) int follow(char **p)
{
    return *(volatile char *)p[3];
}

static __attribute__((noinline)) int call(char **p)
{
    int (*function)(void);

    memcpy(&function, &p[4], sizeof function);
    return function() + 1;
}

static __attribute__((noinline)) int read_at(volatile char *p, char **block)
{
    int value = *p;

    return value + (launder(block) != NULL);
}

static __attribute__((noinline)) int overflow(int depth)
{
    volatile char room[PAGE];

    room[0] = (char)depth;
    return depth < 0 ? 0 : overflow(depth + 1) + room[0];
}

static void *on_thread(void *start)
{
    if (start != NULL)
        pthread_barrier_wait(start);
    follow(freed_block());
    return NULL;
}

static void threads(int count)
{
    pthread_t all[THREADS];
    pthread_barrier_t start;

    CHECK(pthread_barrier_init(&start, NULL, (unsigned)count) == 0);
    for (int i = 0; i < count; i++)
        CHECK(pthread_create(&all[i], NULL, on_thread, &start) == 0);
    for (int i = 0; i < count; i++)
        CHECK(pthread_join(all[i], NULL) == 0);
}

static void tell_end(pid_t child)
{
    int status;

    CHECK(waitpid(child, &status, 0) == child);
    printf("child: status %d, signal %d\n", WIFEXITED(status) ? WEXITSTATUS(status) : -1,
           WIFSIGNALED(status) ? WTERMSIG(status) : 0);
    fflush(stdout);
}

static void in_child(void)
{
    pid_t child = fork();

    CHECK(child >= 0);
    if (child == 0) {
        follow(freed_block());
        _exit(0);
    }
    tell_end(child);
}

/* It shares the parent's memory: what it changes for itself must not change the parent. */
static void after_vfork(void)
{
    pid_t child = vfork();

    if (child == 0) {
        signal(SIGSEGV, SIG_DFL);
        sigaction(SIGABRT, &(struct sigaction){.sa_handler = SIG_IGN}, NULL);
        execl("/bin/sh", "sh", "-c", "kill -SEGV $$", NULL);
        _exit(9);
    }
    tell_end(child);
    follow(freed_block());
}

static void spawn(void)
{
    char *argv[] = {"sh", "-c", "kill -ABRT $$; kill -SEGV $$; kill -BUS $$; exit 5", NULL};
    pid_t child;

    CHECK(posix_spawn(&child, "/bin/sh", NULL, NULL, argv, environ) == 0);
    tell_end(child);
    follow(freed_block());
}

static void killed(void)
{
    pid_t child = fork();

    CHECK(child >= 0);
    if (child == 0) {
        kill(getppid(), SIGABRT);
        _exit(0);
    }
    while (waitpid(child, NULL, 0) != child)
        CHECK(errno == EINTR);
}

static __attribute__((noinline)) void fail_on(char **block)
{
    char **volatile kept = block;

    assert(kept == NULL);
}

static void bus(void)
{
    FILE *file = tmpfile();
    volatile char *p = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fileno(file), 0);

    CHECK(p != MAP_FAILED);
    read_at(p, freed_block());
}

#ifdef SYS_poll
#define POLL SYS_poll
#else
#define POLL SYS_ppoll
#endif

/* What abort(3) and a report need; everything else ends the process by SIGSYS. */
static void in_sandbox(void)
{
    static const unsigned allowed[] = {
        SYS_write,          SYS_exit_group, SYS_getpid,       SYS_gettid,     SYS_tgkill,
        SYS_rt_sigprocmask, SYS_fstat,      SYS_rt_sigreturn, SYS_newfstatat, POLL};
    enum { ALLOWED = sizeof allowed / sizeof *allowed };
    struct sock_filter code[ALLOWED + 3] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr))};

    for (int i = 0; i < ALLOWED; i++)
        code[i + 1] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, allowed[i],
                                                   (unsigned char)(ALLOWED - i), 0);
    code[ALLOWED + 1] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS);
    code[ALLOWED + 2] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    struct sock_fprog program = {ALLOWED + 3, code};
    CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
    CHECK(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0);
}

static void cause(const char *what)
{
    errno = EDOM;
    if (strcmp(what, "stale") == 0)
        follow(freed_block());
    else if (strcmp(what, "called") == 0)
        call(freed_block());
    else if (strcmp(what, "null") == 0)
        read_at(launder(NULL), freed_block());
    else if (strcmp(what, "wild") == 0)
        read_at(launder((void *)UINT64_C(0x123456789000)), NULL);
    else if (strcmp(what, "abort") == 0)
        abort();
    else if (strcmp(what, "assert") == 0)
        fail_on(freed_block());
    else if (strcmp(what, "trap") == 0)
        __builtin_trap();
    else if (strcmp(what, "bus") == 0)
        bus();
    else if (strcmp(what, "raise") == 0)
        raise(SIGSEGV);
    else if (strcmp(what, "stack") == 0)
        overflow(0);
    else if (strcmp(what, "twice") == 0)
        CHECK(raise(SIGABRT) == 0 && raise(SIGABRT) == 0);
    else if (strcmp(what, "sandbox") == 0)
        in_sandbox(), follow(freed_block());
    else if (strcmp(what, "sandbox-abort") == 0)
        in_sandbox(), abort();
    else if (strcmp(what, "kill") == 0)
        killed();
    else if (strcmp(what, "thread") == 0)
        threads(1);
    else if (strcmp(what, "threads") == 0)
        threads(THREADS);
    else if (strcmp(what, "child") == 0)
        in_child();
    else if (strcmp(what, "vfork") == 0)
        after_vfork();
    else if (strcmp(what, "spawn") == 0)
        spawn();
}

int main(int argc, char **argv)
{
    CHECK(argc == 4);
    handling = argv[2];
    if (strcmp(argv[1], "before") == 0)
        install();
    OPENSSL_free(OPENSSL_malloc(40));
    if (strcmp(argv[1], "after") == 0)
        install();
    if (sigsetjmp(target, 1) == 0)
        cause(argv[3]);
    else
        puts("recovered");
    for (int i = 0; i < COUNT; i++) {
        struct sigaction now;
        CHECK(sigaction(numbers[i], NULL, &now) == 0);
        show("at the end", &now);
    }
    puts("end");
    return 0;
}
