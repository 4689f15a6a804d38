/* A program with a handler for SIGBUS: buserrors WHEN HANDLER CAUSE.  What its handler sees, and
 * what comes of it, goes to the standard output.
 *
 *   WHEN     the handler is installed "before" libcrypto is loaded, or "after"
 *   HANDLER  "default", "ignore", or of a function: "plain", "siginfo", "onstack", "nodefer",
 *            "once", "restart", "mask"; several with "+"; "chained" passes it on to what was there
 *   CAUSE    "grow"      an access behind the end of a file, which the handler makes longer
 *            "jump"      the same, left by siglongjmp(3)
 *            "kill"      by kill(2), twice
 *            "read"      by kill(2) of another process, while a read(2) waits
 *            "journal"   an access behind the end of the journal, as the library may make it
 *
 * A child does it first, and then the program itself.
 */
#include <dlfcn.h>
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "reports.h"

enum { PAGE = 4096 };

static char alternate[1 << 16];
static volatile char *behind;
static struct sigaction before_it;
static int file, is_left_by_jump;
static sigjmp_buf target;

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

static void see(int number)
{
    char here;
    int on_stack = (uintptr_t)&here - (uintptr_t)alternate < sizeof alternate;

    printf("handler: signal %d, alternate stack %s, SIGBUS blocked %s, SIGUSR1 blocked %s\n",
           number, yes_no(on_stack), yes_no(is_blocked(SIGBUS)), yes_no(is_blocked(SIGUSR1)));
    fflush(stdout);
    if (is_left_by_jump)
        siglongjmp(target, 1);
    if (file >= 0)
        CHECK(ftruncate(file, PAGE) == 0);
    errno = EDOM;
}

static void see_info(int number, siginfo_t *info, void *context)
{
    printf("code %d, at the access %s, context %s\n", info->si_code,
           yes_no(info->si_addr == (void *)behind), yes_no(context != NULL));
    see(number);
}

static int flags_of(const char *how)
{
    return (strstr(how, "siginfo") != NULL ? SA_SIGINFO : 0) |
           (strstr(how, "onstack") != NULL ? SA_ONSTACK : 0) |
           (strstr(how, "nodefer") != NULL ? SA_NODEFER : 0) |
           (strstr(how, "once") != NULL ? (int)SA_RESETHAND : 0) |
           (strstr(how, "restart") != NULL ? SA_RESTART : 0);
}

static void chain(int number)
{
    printf("first handler\n");
    fflush(stdout);
    if (before_it.sa_handler == SIG_DFL)
        signal(number, SIG_DFL);
    else
        before_it.sa_handler(number);
}

static void chain_info(int number, siginfo_t *info, void *context)
{
    if ((before_it.sa_flags & SA_SIGINFO) == 0) {
        chain(number);
        return;
    }
    printf("first handler\n");
    fflush(stdout);
    before_it.sa_sigaction(number, info, context);
}

static void install(const char *how)
{
    struct sigaction action = {.sa_flags = flags_of(how)};
    stack_t stack = {.ss_sp = alternate, .ss_size = sizeof alternate};

    CHECK(sigaltstack(&stack, NULL) == 0);
    sigemptyset(&action.sa_mask);
    if (strstr(how, "mask") != NULL)
        sigaddset(&action.sa_mask, SIGUSR1);
    if (strcmp(how, "default") == 0)
        action.sa_handler = SIG_DFL;
    else if (strcmp(how, "ignore") == 0)
        action.sa_handler = SIG_IGN;
    else if (strcmp(how, "chained") == 0) {
        action.sa_flags = SA_SIGINFO;
        action.sa_sigaction = chain_info;
    } else if ((action.sa_flags & SA_SIGINFO) != 0)
        action.sa_sigaction = see_info;
    else
        action.sa_handler = see;
    CHECK(sigaction(SIGBUS, &action, &before_it) == 0);
}

/* OpenSSL, and a finding. */
static void load(void)
{
    void *library = dlopen("libcrypto.so.3", RTLD_NOW);
    void *(*allocate)(size_t, const char *, int) = NULL;
    void (*release)(void *, const char *, int) = NULL;

    CHECK(library != NULL);
    *(void **)&allocate = dlsym(library, "CRYPTO_malloc");
    *(void **)&release = dlsym(library, "CRYPTO_free");
    CHECK(allocate != NULL && release != NULL);
    void *p = allocate(40, "buserrors", 1);
    release(p, "buserrors", 2);
    if (getenv("LD_PRELOAD") != NULL)
        release(p, "buserrors", 3);
}

static void access_it(void)
{
    file = memfd_create("short", MFD_CLOEXEC);
    CHECK(file >= 0);
    behind = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    CHECK(behind != MAP_FAILED);
    for (int i = 0; i < 2; i++) {
        if (sigsetjmp(target, 1) == 0)
            *behind = 1;
        else
            printf("left\n");
        printf("access %d is over, SIGBUS blocked %s\n", i, yes_no(is_blocked(SIGBUS)));
        fflush(stdout);
        CHECK(ftruncate(file, 0) == 0);
    }
}

static void be_killed(void)
{
    for (int i = 0; i < 2; i++) {
        errno = 0;
        CHECK(kill(getpid(), SIGBUS) == 0);
        printf("kill %d is over, errno %d\n", i, errno);
        fflush(stdout);
    }
}

/* Does this process sleep, or is it gone?  Asked by another one. */
static int is_asleep(pid_t pid)
{
    char path[64], text[512] = "";

    snprintf(path, sizeof path, "/proc/%d/stat", pid);
    FILE *in = fopen(path, "re");
    if (in == NULL)
        return 1;
    bool is_gone = fgets(text, sizeof text, in) == NULL; /* since the file was opened */
    fclose(in);
    if (is_gone)
        return 1;
    const char *name_end = strrchr(text, ')');
    return is_gone || (name_end != NULL && strchr("SZ", name_end[2]) != NULL);
}

static void read_meanwhile(void)
{
    int ends[2], killed = getpid(), status;
    char byte;

    CHECK(pipe(ends) == 0);
    pid_t child = fork();
    if (child == 0) {
        while (!is_asleep(killed))
            usleep(1000);
        CHECK(kill(killed, SIGBUS) == 0);
        while (!is_asleep(killed))
            usleep(1000);
        _exit(write(ends[1], "!", 1) == 1 ? 0 : 1);
    }
    close(ends[1]);
    ssize_t n = read(ends[0], &byte, 1);
    printf("read: %zd, interrupted %s\n", n, yes_no(n < 0 && errno == EINTR));
    fflush(stdout);
    if (n < 0)
        CHECK(read(ends[0], &byte, 1) == 1);
    CHECK(waitpid(child, &status, 0) == child && status == 0);
}

/* The library looks at the file's end before it writes; a file can get shorter in between. */
static void write_journal(void)
{
    const char *path = getenv("FREEONCE_JOURNAL");
    FILE *maps = fopen("/proc/self/maps", "re");
    char line[1024];

    CHECK(path != NULL && maps != NULL);
    while (behind == NULL && fgets(line, sizeof line, maps) != NULL)
        if (strstr(line, path) != NULL)
            behind = (char *)strtoul(strchr(line, '-') + 1, NULL, 16) - PAGE;
    fclose(maps);
    CHECK(behind != NULL && truncate(path, PAGE) == 0);
    *behind = 1;
    printf("the journal was truncated\n");
    fflush(stdout);
}

static void cause(const char *what)
{
    file = -1;
    is_left_by_jump = strcmp(what, "jump") == 0;
    if (strcmp(what, "grow") == 0 || is_left_by_jump)
        access_it();
    else if (strcmp(what, "kill") == 0)
        be_killed();
    else if (strcmp(what, "read") == 0)
        read_meanwhile();
    else if (strcmp(what, "journal") == 0)
        write_journal();
    else
        UNKNOWN(what);
}

/* What becomes of a process that does not survive it. */
static void in_child(const char *what)
{
    int status;
    pid_t child = fork();

    if (child == 0) {
        cause(what);
        printf("end of the child\n");
        fflush(stdout);
        _exit(0);
    }
    CHECK(waitpid(child, &status, 0) == child);
    printf("child: status %d, signal %d\n", WIFEXITED(status) ? WEXITSTATUS(status) : -1,
           WIFSIGNALED(status) ? WTERMSIG(status) : 0);
}

int main(int argc, char **argv)
{
    CHECK(argc == 4);
    if (strcmp(argv[1], "before") == 0)
        install(argv[2]);
    load();
    if (strcmp(argv[1], "after") == 0)
        install(argv[2]);
    in_child(argv[3]);
    fflush(stdout);
    cause(argv[3]);
    printf("end\n");
    return 0;
}
