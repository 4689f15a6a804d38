/* becomes ACTION...: uses OpenSSL or not, and executes other programs by each function of libc.
 *
 *   alloc        allocate and free a block
 *   late         dlopen(3) libcrypto, without a reference to dlopen, and free a block twice
 *   filtered     from now on fchown(2) kills (seccomp)
 *   fork         the rest is done by a child; the parent waits for it, and ends with status 0
 *   vfork        a child of vfork(2) becomes a shell
 *   FUNCTION     become a shell that prints its arguments and WORD: execl, execve, fexecve, ...
 *   no-FUNCTION  try to become a program that is not there
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <openssl/crypto.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define ARGUMENTS "sh", "-c", "echo \"$1-$2-$WORD\"", "sh", "one", "two"
#define SHELL     (there ? "/bin/sh" : "/nowhere/sh")

static char *const argv_of[] = {ARGUMENTS, NULL};
static char *const own_environment[] = {"WORD=given", NULL};

static void check(int holds, const char *what)
{
    if (holds)
        return;
    fprintf(stderr, "becomes: %s: %s\n", what, strerror(errno));
    exit(1);
}

/* 0: there is no such function.  It returns only on failure. */
static int become(const char *function, int there)
{
    if (strcmp(function, "execl") == 0)
        execl(SHELL, ARGUMENTS, (char *)NULL);
    else if (strcmp(function, "execlp") == 0)
        execlp(SHELL, ARGUMENTS, (char *)NULL);
    else if (strcmp(function, "execle") == 0)
        execle(SHELL, ARGUMENTS, (char *)NULL, own_environment);
    else if (strcmp(function, "execv") == 0)
        execv(SHELL, argv_of);
    else if (strcmp(function, "execvp") == 0)
        execvp(SHELL, argv_of);
    else if (strcmp(function, "execve") == 0)
        execve(SHELL, argv_of, own_environment);
    else if (strcmp(function, "execvpe") == 0)
        execvpe(SHELL, argv_of, own_environment);
    else if (strcmp(function, "fexecve") == 0)
        fexecve(there ? open(SHELL, O_RDONLY | O_CLOEXEC) : -1, argv_of, own_environment);
    else
        return 0;
    check(!there && (errno == ENOENT || errno == EINVAL), function);
    return 1;
}

static void wait_for(pid_t child)
{
    int status;

    check(child > 0 && waitpid(child, &status, 0) == child && status == 0, "child");
}

static void in_child(void)
{
    pid_t child = fork();

    if (child == 0)
        return;
    wait_for(child);
    exit(0);
}

static void in_vfork(void)
{
    pid_t child = vfork();

    if (child == 0) {
        execv("/bin/sh", argv_of);
        _exit(1);
    }
    wait_for(child);
}

static void load_late(void)
{
    void *(*load)(const char *, int);
    void *(*allocate)(size_t, const char *, int);
    void (*give_back)(void *, const char *, int);

    *(void **)&load = dlsym(RTLD_DEFAULT, "dlopen");
    void *library = load("libcrypto.so.3", RTLD_NOW);
    check(library != NULL, "dlopen");
    *(void **)&allocate = dlsym(library, "CRYPTO_malloc");
    *(void **)&give_back = dlsym(library, "CRYPTO_free");
    void *p = allocate(40, "late.c", 1);
    give_back(p, "late.c", 2);
    give_back(p, "late.c", 3);
}

static void forbid_fchown(void)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_fchown, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
    struct sock_fprog program = {sizeof code / sizeof *code, code};

    check(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0, "no_new_privs");
    check(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0, "seccomp");
}

int main(int argc, char **argv)
{
    setenv("WORD", "own", 1);
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "late") == 0)
            load_late();
#ifdef LINKED
        else if (strcmp(argv[i], "alloc") == 0)
            OPENSSL_free(OPENSSL_malloc(40));
#endif
        else if (strcmp(argv[i], "filtered") == 0)
            forbid_fchown();
        else if (strcmp(argv[i], "fork") == 0)
            in_child();
        else if (strcmp(argv[i], "vfork") == 0)
            in_vfork();
        else if (strncmp(argv[i], "no-", 3) == 0 ? !become(argv[i] + 3, 0) : !become(argv[i], 1))
            return 2;
    }
    return 0;
}
