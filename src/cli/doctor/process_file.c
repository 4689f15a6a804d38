/* See process_file.h. */
#include "cli/doctor/process_file.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/exit.h"
#include "cli/message.h"
#include "cli/read_all.h"

enum { TEXT_MAX = 64 << 20 };

/* NULL with errno. */
static char *read_text(const struct fo_process_file *p, const char *name, size_t *size)
{
    char *text = NULL;
    size_t length = 0;
    int fd = openat(p->folder, name, O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        return NULL;
    errno = EFBIG;
    enum fo_exit result = fo_read_all(fd, TEXT_MAX, &text, &length);
    int error = errno;
    close(fd);
    if (result != FO_EXIT_OK) {
        free(text);
        errno = error;
        return NULL;
    }
    if (size != NULL)
        *size = length;
    return text;
}

/* The value of "NAME:" in /proc/PID/status. */
static const char *field(const char *status, const char *name)
{
    size_t length = strlen(name);

    for (const char *line = status; line != NULL; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (strncmp(line, name, length) == 0 && line[length] == ':')
            return line + length + 1 + strspn(line + length + 1, " \t");
    }
    return "";
}

static unsigned long long number(const char *status, const char *name)
{
    return strtoull(field(status, name), NULL, 10);
}

/* The last of several in one line. */
static pid_t last_number(const char *text)
{
    const char *end = text + strcspn(text, "\n"), *at = end;

    while (at > text && at[-1] != '\t' && at[-1] != ' ')
        at--;
    return (pid_t)strtol(at, NULL, 10);
}

static void take_status(struct fo_process_file *p, const char *status)
{
    p->parent = (pid_t)number(status, "PPid");
    p->user = (uid_t)number(status, "Uid");
    p->group = (gid_t)number(status, "Gid");
    p->seccomp = (unsigned)number(status, "Seccomp");
    p->own_pid = last_number(field(status, "NSpid"));
    p->limits.used = number(status, "VmSize") << 10;
    p->limits.locked = number(status, "VmLck") << 10;
}

static unsigned long long limit(const char *limits, const char *name)
{
    const char *line = limits != NULL ? strstr(limits, name) : NULL;
    const char *value = line != NULL ? line + strlen(name) + strspn(line + strlen(name), " ") : "";

    return *value >= '0' && *value <= '9' ? strtoull(value, NULL, 10) : ULLONG_MAX;
}

static void read_limits(struct fo_process_file *p)
{
    char *limits = read_text(p, "limits", NULL);

    p->limits.addresses = limit(limits, "Max address space");
    p->limits.locked_memory = limit(limits, "Max locked memory");
    p->limits.file_size = limit(limits, "Max file size");
    p->limits.descriptors = limit(limits, "Max open files");
    free(limits);
}

static void read_auxv(struct fo_process_file *p)
{
    size_t size = 0;
    char *text = read_text(p, "auxv", &size);
    Elf64_auxv_t entry;

    for (size_t at = 0; text != NULL && at + sizeof entry <= size; at += sizeof entry) {
        memcpy(&entry, text + at, sizeof entry);
        if (entry.a_type == AT_SECURE)
            p->secure = entry.a_un.a_val != 0;
    }
    free(text);
}

/* The innermost service of its cgroup: ".../nginx.service". */
static void read_unit(struct fo_process_file *p)
{
    char *text = read_text(p, "cgroup", NULL), *rest = text;

    for (char *word; rest != NULL && (word = strsep(&rest, "/\n")) != NULL;) {
        size_t length = strlen(word), end = strlen(".service");
        if (length > end && strcmp(word + length - end, ".service") == 0)
            snprintf(p->unit, sizeof p->unit, "%s", word);
    }
    free(text);
}

static void read_profile(struct fo_process_file *p)
{
    char *text = read_text(p, "attr/current", NULL);

    if (text != NULL)
        snprintf(p->profile, sizeof p->profile, "%.*s", (int)strcspn(text, "\n"), text);
    free(text);
}

static bool read_exe(struct fo_process_file *p)
{
    ssize_t n = readlinkat(p->folder, "exe", p->exe, sizeof p->exe - 1);

    p->exe[n > 0 ? n : 0] = '\0';
    char *deleted = strstr(p->exe, " (deleted)");
    if (deleted != NULL && deleted[strlen(" (deleted)")] == '\0')
        *deleted = '\0';
    return n > 0;
}

static int complain(const struct fo_process_file *p, const char *status, int error)
{
    if (error == EACCES || error == EPERM) {
        fo_error("process %d is not yours: run `freeonce doctor %d` as root", p->pid, p->pid);
        return FO_EXIT_NO_PERMISSION;
    }
    if (status == NULL || error == ESRCH)
        fo_error("process %d has ended meanwhile", p->pid);
    else if (*field(status, "State") == 'Z')
        fo_error("process %d has ended, and its parent %d has not waited for it yet", p->pid,
                 p->parent);
    else if (p->user == 0 && *field(status, "VmSize") == '\0')
        fo_error("process %d is a thread of the kernel, which runs no program", p->pid);
    else
        fo_error("process %d cannot be looked at: %s", p->pid, strerror(error));
    return FO_EXIT_NO_INPUT;
}

int fo_process_file_read(struct fo_process_file *p, pid_t pid)
{
    char path[32];

    *p = (struct fo_process_file){.pid = pid, .own_pid = pid};
    snprintf(path, sizeof path, "/proc/%d", pid);
    snprintf(p->root, sizeof p->root, "/proc/%d/root", pid);
    p->folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (p->folder < 0) {
        fo_error("there is no process %d", pid);
        return FO_EXIT_NO_INPUT;
    }
    char *status = read_text(p, "status", NULL);
    if (status != NULL)
        take_status(p, status);
    size_t size = 0;
    bool read = status != NULL && read_exe(p) && (p->maps = read_text(p, "maps", NULL)) != NULL &&
                (p->environment = read_text(p, "environ", &size)) != NULL && *p->maps != '\0';
    int error = errno, result = read ? FO_EXIT_OK : complain(p, status, error);
    free(status);
    if (!read)
        return result;
    read_limits(p);
    read_auxv(p);
    read_unit(p);
    read_profile(p);
    /* Nothing of it is of a process that ended meanwhile. */
    status = read_text(p, "status", NULL);
    result =
        status != NULL && *field(status, "State") != 'Z' ? FO_EXIT_OK : complain(p, status, ESRCH);
    free(status);
    return result;
}

void fo_process_file_free(struct fo_process_file *p)
{
    if (p->folder >= 0)
        close(p->folder);
    free(p->environment);
    free(p->maps);
    *p = (struct fo_process_file){.folder = -1};
}

const char *fo_process_file_variable(const struct fo_process_file *p, const char *name)
{
    size_t length = strlen(name);

    for (const char *at = p->environment; *at != '\0'; at += strlen(at) + 1)
        if (strncmp(at, name, length) == 0 && at[length] == '=')
            return at + length + 1;
    return NULL;
}

/* Behind the name's beginning: "libphp" is followed by "8.2.so", not by "phobia.so". */
static bool ends_name(const char *rest)
{
    rest += strspn(rest, "0123456789.");
    return *rest == '\0' || *rest == '\n' || *rest == ' ' || strncmp(rest, "so", 2) == 0;
}

bool fo_process_file_maps(const struct fo_process_file *p, const char *beginning,
                          char path[PATH_MAX], bool *deleted)
{
    static const char gone[] = " (deleted)";

    for (const char *line = p->maps; line != NULL && *line != '\0'; line = strchr(line, '\n')) {
        line += *line == '\n';
        size_t length = strcspn(line, "\n");
        const char *start = memchr(line, '/', length);
        if (start == NULL)
            continue;
        length -= (size_t)(start - line);
        const char *slash = memrchr(start, '/', length);
        if (strncmp(slash + 1, beginning, strlen(beginning)) != 0 ||
            !ends_name(slash + 1 + strlen(beginning)))
            continue;
        size_t end = sizeof gone - 1;
        *deleted = length > end && memcmp(start + length - end, gone, end) == 0;
        length -= *deleted ? end : 0;
        snprintf(path, PATH_MAX, "%.*s", (int)length, start);
        return true;
    }
    return false;
}
