/* See run.h. */
#include "cli/systemd/run.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/read_all.h"

void fo_output_free(struct fo_output *output)
{
    free(output->text);
    free(output->errors);
    *output = (struct fo_output){0};
}

static _Noreturn void execute(const char *const *command, int out, int errors)
{
    int null = open("/dev/null", O_RDWR);

    setenv("LC_ALL", "C", 1);
    unsetenv("SYSTEMD_COLORS");
    unsetenv("LD_PRELOAD"); /* the library, if this command itself is guarded */
    dup2(null, STDIN_FILENO);
    dup2(out, STDOUT_FILENO);
    dup2(errors, STDERR_FILENO);
    execvp(command[0], (char *const *)command);
    _exit(errno == ENOENT ? FO_EXIT_NOT_FOUND : FO_EXIT_CANNOT_EXECUTE);
}

/* The text of stderr, which goes to a file in memory: fo_read_all() reads only one pipe. */
static char *errors_of(int fd)
{
    char *text;
    size_t length;

    lseek(fd, 0, SEEK_SET);
    if (fo_read_all(fd, 1 << 16, &text, &length) != FO_EXIT_OK) {
        free(text);
        return NULL;
    }
    while (length > 0 && text[length - 1] == '\n')
        text[--length] = '\0';
    return text;
}

int fo_run_program(const char *const *command, size_t limit, struct fo_output *output)
{
    int ends[2], errors = memfd_create("freeonce-stderr", MFD_CLOEXEC), status = 0;

    if (errors < 0 || pipe2(ends, O_CLOEXEC) != 0) {
        if (errors >= 0)
            close(errors);
        return FO_EXIT_CANNOT_EXECUTE;
    }
    pid_t child = fork();
    if (child == 0)
        execute(command, ends[1], errors);
    close(ends[1]);
    enum fo_exit result = fo_read_all(ends[0], limit, &output->text, &output->length);
    close(ends[0]); /* a child that writes more gets SIGPIPE */
    while (child > 0 && waitpid(child, &status, 0) < 0 && errno == EINTR)
        ;
    output->errors = errors_of(errors);
    close(errors);
    if (child < 0)
        return FO_EXIT_CANNOT_EXECUTE;
    if (result == FO_EXIT_DATA)
        return FO_RUN_TOO_MUCH;
    return WIFSIGNALED(status) ? FO_EXIT_SIGNAL + WTERMSIG(status) : WEXITSTATUS(status);
}

bool fo_systemd_is_running(void)
{
    struct stat status;

    return lstat("/run/systemd/system", &status) == 0 && S_ISDIR(status.st_mode);
}
