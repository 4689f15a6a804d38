/* A process as a source: /proc/PID/maps and process_vm_readv(2).  See source.h. */
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "cli/exit.h"
#include "cli/inspect/source.h"
#include "cli/message.h"
#include "cli/model/clean.h"

enum { MAPPINGS_MOST = 1 << 18 };

/* What a process holds itself bounds what is read of it: beyond, it repeats itself. */
#define LEAST (UINT64_C(512) << 20)

/* --- reading -----------------------------------------------------------------------------------
 */

static size_t read_memory(struct fo_source *s, uint64_t address, void *out, size_t size)
{
    size_t used = 0;

    while (used < size) {
        struct iovec here = {(char *)out + used, size - used};
        struct iovec there = {(void *)(uintptr_t)(address + used), size - used};
        ssize_t n = process_vm_readv(s->pid, &here, 1, &there, 1, 0);
        if (n <= 0) {
            s->why = n < 0 ? errno : EFAULT;
            break;
        }
        used += (size_t)n;
    }
    return used;
}

static size_t read_pieces(struct fo_source *s, const uint64_t *addresses, size_t count, void *out,
                          size_t size)
{
    struct iovec here = {out, count * size}, there[FO_PIECES_MOST];

    _Static_assert(FO_PIECES_MOST <= IOV_MAX, "one call");
    for (size_t i = 0; i < count; i++)
        there[i] = (struct iovec){(void *)(uintptr_t)addresses[i], size};
    ssize_t n = process_vm_readv(s->pid, &here, 1, there, count, 0);
    s->why = n < 0 ? errno : s->why;
    return n < 0 ? 0 : (size_t)n / size;
}

/* --- /proc -------------------------------------------------------------------------------------
 */

static FILE *open_of(pid_t pid, const char *name)
{
    char path[64];

    snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, name);
    return fopen(path, "re");
}

/* The number behind `key` in /proc/PID/status; 0: there is none. */
static uint64_t status_number(pid_t pid, const char *key)
{
    FILE *file = open_of(pid, "status");
    char line[256];
    uint64_t number = 0;

    while (file != NULL && fgets(line, sizeof line, file) != NULL)
        if (strncmp(line, key, strlen(key)) == 0)
            number = strtoull(line + strlen(key), NULL, 10);
    if (file != NULL)
        fclose(file);
    return number;
}

static void read_name(struct fo_source *s)
{
    FILE *file = open_of(s->pid, "comm");

    if (file == NULL || fgets(s->name, sizeof s->name, file) == NULL)
        snprintf(s->name, sizeof s->name, "?");
    if (file != NULL)
        fclose(file);
    s->name[strcspn(s->name, "\n")] = '\0';
    fo_clean(s->name, s->name);
}

static const char *name_of_file(const struct fo_source *s, const char *path)
{
    const char *before = s->mapping_count != 0 ? s->mappings[s->mapping_count - 1].file : "";

    if (*path != '/')
        return "";
    return strcmp(path, before) == 0 ? before : strdup(path);
}

/* "start-end rw-p offset device inode   path" */
static bool add_mapping(struct fo_source *s, const char *line)
{
    struct fo_source_mapping m;
    char access[5];
    int at = 0;

    if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %4s %" SCNx64 " %*s %" SCNu64 " %n", &m.start, &m.end,
               access, &m.offset, &m.inode, &at) < 5 ||
        at == 0)
        return true;
    if ((s->mapping_count & (s->mapping_count - 1)) == 0) {
        size_t room = s->mapping_count != 0 ? s->mapping_count * 2 : 1;
        void *grown = realloc(s->mappings, room * sizeof *s->mappings);
        if (grown == NULL)
            return false;
        s->mappings = grown;
    }
    m.readable = access[0] == 'r';
    m.writable = access[1] == 'w';
    m.shared = access[3] == 's';
    m.file = name_of_file(s, line + at);
    if (m.file == NULL)
        return false;
    s->mappings[s->mapping_count++] = m;
    return true;
}

static bool read_mappings(struct fo_source *s, FILE *file)
{
    char *line = NULL;
    size_t room = 0;
    bool added = true;

    while (added && s->mapping_count < MAPPINGS_MOST && getline(&line, &room, file) > 0) {
        line[strcspn(line, "\n")] = '\0';
        added = add_mapping(s, line);
    }
    free(line);
    return added;
}

/* --- why not -----------------------------------------------------------------------------------
 */

static long ptrace_scope(void)
{
    FILE *file = fopen("/proc/sys/kernel/yama/ptrace_scope", "re");
    long scope = 0;

    if (file != NULL && fscanf(file, "%ld", &scope) != 1)
        scope = 0;
    if (file != NULL)
        fclose(file);
    return scope;
}

static int explain_permission(const struct fo_source *s)
{
    uid_t owner = (uid_t)status_number(s->pid, "Uid:");
    const struct passwd *user = getpwuid(owner);
    const char *start = "process %d (%s) cannot be read: ";
    char words[64];

    snprintf(words, sizeof words, start, (int)s->pid, s->name);
    if (geteuid() == 0)
        fo_error("%sroot has no right to it here (no CAP_SYS_PTRACE, as in a container, or "
                 "kernel.yama.ptrace_scope is 3)",
                 words);
    else if (owner != geteuid())
        fo_error("%sit belongs to user %s; only that user and root can read it", words,
                 user != NULL ? user->pw_name : "?");
    else if (ptrace_scope() != 0)
        fo_error("%skernel.yama.ptrace_scope is %ld, so that only root and the process that "
                 "started it can read it",
                 words, ptrace_scope());
    else
        fo_error("%sit has changed its user since it started, or forbids it (PR_SET_DUMPABLE); "
                 "only root can read it",
                 words);
    return FO_EXIT_NO_PERMISSION;
}

int fo_source_explain(const struct fo_source *s)
{
    if (s->why == EPERM || s->why == EACCES)
        return explain_permission(s);
    if (s->why == ESRCH || s->why == ENOENT) {
        fo_error("there is no process %d, or it has ended", (int)s->pid);
        return FO_EXIT_NO_INPUT;
    }
    fo_error("process %d (%s) cannot be read: %s", (int)s->pid, s->name, strerror(s->why));
    return FO_EXIT_OS;
}

/* --- start -------------------------------------------------------------------------------------
 */

bool fo_source_open_process(struct fo_source *s, pid_t pid)
{
    *s = (struct fo_source){.read = read_memory, .read_pieces = read_pieces, .pid = pid};
    read_name(s);
    FILE *file = open_of(pid, "maps");
    if (file == NULL) {
        s->why = errno;
        return false;
    }
    bool has_memory = read_mappings(s, file);
    fclose(file);
    if (!has_memory) {
        s->why = ENOMEM;
        return false;
    }
    uint64_t kilobytes = status_number(pid, "VmRSS:") + status_number(pid, "VmSwap:");
    s->left = LEAST + kilobytes * 2048;
    return true;
}

int fo_source_of_process(struct fo_source *s, pid_t pid)
{
    if (fo_source_open_process(s, pid))
        return FO_EXIT_OK;
    if (s->why != ENOMEM)
        return fo_source_explain(s);
    fo_error("no memory for the mappings of process %d", (int)pid);
    return FO_EXIT_SOFTWARE;
}
