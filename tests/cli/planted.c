/* planted ACTION...: does one thing after the other, among them a double free, in whatever process
 * and surroundings the actions before have led to.
 *
 *   alloc         allocate and free a block: OpenSSL is used, nothing is wrong
 *   bug           free a block twice
 *   bugs=N        free N blocks twice, each allocated in a line of its own
 *   object        free an X509 twice
 *   fork          the rest is done by a child; the parent waits for it, and ends with status 0
 *   daemon        the rest is done by a daemon: a session of its own, its parent gone
 *   exec          the rest is done by this program, executed anew
 *   chroot=DIR    chdir=DIR    setuid=ID    close    seccomp    the obvious
 *   title         write over the environment that we were started with, as servers do
 *   touch=FILE    tell that we are here
 *   pause         wait to be killed
 *   status=N      end with exit(N);  _exit=N  with _exit(N);  kill=N  by signal N
 */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <openssl/x509.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "planted: " #condition ": %s\n", strerror(errno));                     \
            exit(1);                                                                               \
        }                                                                                          \
    } while (0)

static void use(void)
{
    OPENSSL_free(OPENSSL_malloc(40));
}

static void free_twice(void)
{
    void *p = OPENSSL_malloc(40);

    OPENSSL_free(p);
    OPENSSL_free(p);
}

static void free_many_twice(int lines)
{
    for (int line = 1; line <= lines; line++) {
        void *p = CRYPTO_malloc(40, "many.c", line);
        CRYPTO_free(p, "many.c", line);
        CRYPTO_free(p, "many.c", line);
    }
}

static void free_object_twice(void)
{
    X509 *certificate = X509_new();

    X509_free(certificate);
    X509_free(certificate);
}

static void in_child(void)
{
    int status;
    pid_t pid = fork();

    CHECK(pid >= 0);
    if (pid == 0)
        return;
    CHECK(waitpid(pid, &status, 0) == pid);
    exit(0);
}

static void in_daemon(void)
{
    CHECK(daemon(1, 1) == 0);
}

static void in_new_image(char **rest)
{
    rest[-1] = "planted";
    execv("/proc/self/exe", rest - 1);
    CHECK(false);
}

#ifdef SYS_poll
#define POLL SYS_poll
#else
#define POLL SYS_ppoll
#endif

/* What a strict sandbox allows; everything else kills the process. */
static void enter_seccomp(void)
{
    static const unsigned allowed[] = {
        SYS_write, SYS_exit_group, SYS_getpid,       SYS_rt_sigprocmask,
        SYS_fstat, SYS_newfstatat, SYS_rt_sigreturn, POLL};
    enum { COUNT = sizeof allowed / sizeof *allowed };
    struct sock_filter code[COUNT + 3] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr))};

    for (int i = 0; i < COUNT; i++)
        code[i + 1] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, allowed[i],
                                                   (unsigned char)(COUNT - i), 0);
    code[COUNT + 1] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS);
    code[COUNT + 2] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    struct sock_fprog program = {COUNT + 3, code};
    CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
    CHECK(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0);
}

static void write_title(void)
{
    char *first = environ[0], *end = first;

    for (char **at = environ; *at != NULL; at++) {
        CHECK(*at == end);
        end += strlen(*at) + 1;
        CHECK((*at = strdup(*at)) != NULL);
    }
    memset(first, 0, (size_t)(end - first));
}

static void touch(const char *path)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);

    CHECK(fd >= 0);
    close(fd);
}

static void end_by(int number)
{
    kill(getpid(), number);
    for (;;)
        pause();
}

/* False: there is no such action. */
static bool with_value(const char *action, const char *value)
{
    size_t length = (size_t)(value - action);
    int number = atoi(value + 1);

#define IS(name) (length == sizeof name - 1 && memcmp(action, name, length) == 0)
    if (IS("chroot"))
        CHECK(chroot(value + 1) == 0 && chdir("/") == 0);
    else if (IS("chdir"))
        CHECK(chdir(value + 1) == 0);
    else if (IS("setuid"))
        CHECK(setgid((gid_t)number) == 0 && setuid((uid_t)number) == 0);
    else if (IS("touch"))
        touch(value + 1);
    else if (IS("bugs"))
        free_many_twice(number);
    else if (IS("status"))
        exit(number);
    else if (IS("_exit"))
        _exit(number);
    else if (IS("kill"))
        end_by(number);
    else
        return false;
    return true;
#undef IS
}

static bool without_value(const char *action, char **rest)
{
    if (strcmp(action, "alloc") == 0)
        use();
    else if (strcmp(action, "bug") == 0)
        free_twice();
    else if (strcmp(action, "object") == 0)
        free_object_twice();
    else if (strcmp(action, "fork") == 0)
        in_child();
    else if (strcmp(action, "daemon") == 0)
        in_daemon();
    else if (strcmp(action, "exec") == 0)
        in_new_image(rest);
    else if (strcmp(action, "close") == 0)
        closefrom(0);
    else if (strcmp(action, "seccomp") == 0)
        enter_seccomp();
    else if (strcmp(action, "title") == 0)
        write_title();
    else if (strcmp(action, "pause") == 0)
        for (;;)
            pause();
    else
        return false;
    return true;
}

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        const char *value = strchr(argv[i], '=');
        if (value != NULL ? with_value(argv[i], value) : without_value(argv[i], argv + i + 1))
            continue;
        fprintf(stderr, "planted: there is no action %s\n", argv[i]);
        return 2;
    }
    return 0;
}
