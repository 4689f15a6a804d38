/* Reports of restricted processes: chroot, closed descriptors, seccomp, dropped privileges, signal
 * handlers. */
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fault.h"
#include "libc.h"

static void *freed_block(void)
{
    void *p = ALLOC("alloc", 40);

    fact("block", "%p", p);
    FREE("first", p);
    return p;
}

/* Into a folder in the one that the runner made for this run. */
static void change_root(void)
{
    CHECK(mkdir("root", 0755) == 0 && chroot("root") == 0 && chdir("/") == 0);
}

static void in_chroot(void)
{
    void *p = freed_block();

    change_root();
    pass_pointer(p);
}

static void closed_descriptors(void)
{
    void *p = freed_block();

    closefrom(3);
    pass_pointer(p);
}

/* The number of the log's descriptor belongs to another file by now. */
static void reused_descriptors(void)
{
    void *p = freed_block();
    int ends[2];

    closefrom(3);
    CHECK(pipe(ends) == 0);
    for (int fd = 10; fd < 300; fd++)
        CHECK(dup2(ends[1], fd) == fd);
    pass_pointer(p);
    for (int fd = 10; fd < 300; fd++)
        close(fd);
    close(ends[1]);
    char byte;
    CHECK(read(ends[0], &byte, 1) == 0); /* nothing was written into the pipe */
}

static void closed_in_chroot(void)
{
    void *p = freed_block();

    change_root();
    closefrom(3);
    pass_pointer(p);
}

static void dropped_privileges(void)
{
    void *p = freed_block();

    CHECK(setgid(65534) == 0 && setuid(65534) == 0);
    pass_pointer(p);
}

#ifdef SYS_poll
#define POLL SYS_poll
#else
#define POLL SYS_ppoll
#endif

/* Each call that is not in the list kills the process; fstat gets this answer.  poll(2) is called
 * before a report is written to a pipe. */
static void enter_seccomp_where(unsigned fstat_answer)
{
    static const int allowed[] = {
        SYS_write, SYS_exit_group, SYS_rt_sigreturn, SYS_getpid, SYS_rt_sigprocmask,
        SYS_futex, SYS_brk,        SYS_mmap,         SYS_munmap, SYS_sched_yield,
        POLL,
    };
    enum { COUNT = sizeof allowed / sizeof *allowed, FIRST = 4 };
    struct sock_filter code[FIRST + COUNT + 2] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_fstat, 1, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_newfstatat, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, fstat_answer),
    };

    for (int i = 0; i < COUNT; i++)
        code[FIRST + i] = (struct sock_filter)BPF_JUMP(
            BPF_JMP | BPF_JEQ | BPF_K, (unsigned)allowed[i], (unsigned char)(COUNT - i), 0);
    code[FIRST + COUNT] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS);
    code[FIRST + COUNT + 1] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    struct sock_fprog program = {FIRST + COUNT + 2, code};
    CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
    CHECK(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0);
}

static void enter_seccomp(void)
{
    enter_seccomp_where(SECCOMP_RET_ALLOW);
}

static void in_seccomp(void)
{
    void *p = freed_block();

    check_openssl(); /* OpenSSL reads its configuration before the sandbox */
    enter_seccomp();
    pass_pointer(p);
}

static void foreign_in_seccomp(void)
{
    static char data[32];

    check_openssl();
    enter_seccomp();
    pass_pointer(data);
}

/* The first free of the process is in the sandbox. */
static void first_free_in_seccomp(void)
{
    void *p = ALLOC("alloc", 40);

    fact("block", "%p", p);
    enter_seccomp();
    FREE("first", p);
    pass_pointer(p);
    _exit(0);
}

/* A worker enters its sandbox right after the fork. */
static void child_in_seccomp(void)
{
    void *p = freed_block();
    pid_t child = fork_known();
    int status;

    if (child == 0) {
        enter_seccomp();
        fact("child", "%d", (int)getpid());
        pass_pointer(p);
        _exit(0);
    }
    CHECK(waitpid(child, &status, 0) == child && status == 0);
}

/* As sshd does: all descriptors are closed, then a child enters a sandbox that cannot open files.
 */
static void closed_then_child_in_seccomp(void)
{
    check_openssl();
    closefrom(3);
    child_in_seccomp();
}

static void limit_files(void)
{
    CHECK(setrlimit(RLIMIT_FSIZE, &(struct rlimit){0, 0}) == 0);
}

static void in_limit_of_files(void)
{
    void *p = freed_block();
    sigset_t pending;

    limit_files();
    pass_pointer(p);
    CHECK(sigpending(&pending) == 0 && !sigismember(&pending, SIGXFSZ));
    CHECK(sigprocmask(SIG_BLOCK, NULL, &pending) == 0 && !sigismember(&pending, SIGXFSZ));
}

/* In sshd's sandbox fstat(2) fails, and no file can be written. */
static void in_sandbox_of_sshd(void)
{
    void *p = freed_block();

    check_openssl();
    limit_files();
    enter_seccomp_where(SECCOMP_RET_ERRNO | EACCES);
    pass_pointer(p);
    _exit(0);
}

static void closed_in_sandbox_of_sshd(void)
{
    check_openssl();
    closefrom(3);
    in_sandbox_of_sshd();
}

/* The report cannot be written, and nothing else happens. */
static void stderr_is_file_in_sandbox_of_sshd(void)
{
    int fd = open("stderr", O_WRONLY | O_CREAT, 0600);

    CHECK(fd >= 0 && dup2(fd, STDERR_FILENO) == STDERR_FILENO);
    in_sandbox_of_sshd();
}

static void *stale;
static volatile sig_atomic_t handled;

static void on_signal(int number)
{
    (void)number;
    int saved_errno = errno;
    OPENSSL_free(launder(stale));
    handled++;
    errno = saved_errno;
}

/* Signals of a timer interrupt the library at any instruction.  The timer is set anew for each, or
 * a slow machine would do nothing but handle signals. */
static void in_signal_handler(void)
{
    enum { SIGNALS = 205 };
    struct sigaction action = {.sa_handler = on_signal};
    int asked = 0;

    stale = ALLOC("alloc", 1000);
    FREE("first", stale);
    CHECK(sigaction(SIGALRM, &action, NULL) == 0);
    while (handled < SIGNALS) {
        if (asked == handled && asked < SIGNALS) {
            struct itimerval soon = {.it_value = {0, 100 + asked}};
            asked++;
            CHECK(setitimer(ITIMER_REAL, &soon, NULL) == 0);
        }
        char *p = OPENSSL_malloc(24);
        p = OPENSSL_realloc(p, 40);
        OPENSSL_free(p);
    }
    fact("signals", "%d", (int)handled);
}

/* A handler on a stack of its own. */
static void on_other_stack(int number)
{
    (void)number;
    pass_pointer(stale);
}

static void on_signal_stack(void)
{
    static char stack[64 * 1024];
    struct sigaction action = {.sa_handler = on_other_stack, .sa_flags = SA_ONSTACK};

    stale = freed_block();
    CHECK(sigaltstack(&(stack_t){.ss_sp = stack, .ss_size = sizeof stack}, NULL) == 0);
    CHECK(sigaction(SIGUSR1, &action, NULL) == 0 && raise(SIGUSR1) == 0);
}

static void closed_stderr(void)
{
    void *p = freed_block();

    close(STDERR_FILENO);
    pass_pointer(p);
}

/* stderr is a pipe without a reader.  The program ignores SIGPIPE. */
static void broken_stderr(void)
{
    void *p = freed_block();
    int ends[2];

    signal(SIGPIPE, SIG_IGN);
    CHECK(pipe(ends) == 0 && dup2(ends[1], STDERR_FILENO) == STDERR_FILENO);
    close(ends[0]);
    close(ends[1]);
    pass_pointer(p);
}

const struct fault sandbox_faults[] = {
    {"in-chroot", in_chroot},
    {"closed-descriptors", closed_descriptors},
    {"reused-descriptors", reused_descriptors},
    {"closed-in-chroot", closed_in_chroot},
    {"dropped-privileges", dropped_privileges},
    {"in-seccomp", in_seccomp},
    {"foreign-in-seccomp", foreign_in_seccomp},
    {"first-free-in-seccomp", first_free_in_seccomp},
    {"child-in-seccomp", child_in_seccomp},
    {"closed-then-child-in-seccomp", closed_then_child_in_seccomp},
    {"in-limit-of-files", in_limit_of_files},
    {"in-sandbox-of-sshd", in_sandbox_of_sshd},
    {"stderr-is-file-in-sandbox-of-sshd", stderr_is_file_in_sandbox_of_sshd},
    {"closed-in-sandbox-of-sshd", closed_in_sandbox_of_sshd},
    {"in-signal-handler", in_signal_handler},
    {"on-signal-stack", on_signal_stack},
    {"closed-stderr", closed_stderr},
    {"broken-stderr", broken_stderr},
    {NULL, NULL},
};
