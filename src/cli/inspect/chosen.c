/* See chosen.h.  A unit's processes are those in its control group: /proc/PID/cgroup, which every
 * user may read.  systemctl says which group that is, because a unit can have several names. */
#include "cli/inspect/chosen.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/exit.h"
#include "cli/message.h"
#include "cli/model/clean.h"
#include "cli/systemd/run.h"
#include "cli/systemd/unit.h"

enum { TEXT_MOST = 8192, SHOWN_MOST = 65536, NAME_MOST = 255 };

/* --- of one process ----------------------------------------------------------------------------
 */

/* The beginning of a file of /proc/PID, with a NUL behind it. */
static bool read_of(pid_t pid, const char *name, char text[TEXT_MOST])
{
    char path[64];
    size_t used = 0;
    ssize_t n = 0;

    snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, name);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    while (fd >= 0 && used < TEXT_MOST - 1 && (n = read(fd, text + used, TEXT_MOST - 1 - used)) > 0)
        used += (size_t)n;
    if (fd >= 0)
        close(fd);
    text[used] = '\0';
    return used != 0;
}

static bool has_name(pid_t pid, const char *name)
{
    char text[TEXT_MOST];

    if (read_of(pid, "comm", text)) {
        text[strcspn(text, "\n")] = '\0';
        if (strcmp(text, name) == 0)
            return true;
    }
    return read_of(pid, "cmdline", text) && strcmp(basename(text), name) == 0;
}

/* Is one of the path's folders the unit's? */
static bool has_folder(const char *path, size_t length, const char *name)
{
    for (const char *end = path + length; path < end;) {
        const char *slash = memchr(path, '/', (size_t)(end - path));
        size_t n = (size_t)((slash != NULL ? slash : end) - path);
        if (n == strlen(name) && memcmp(path, name, n) == 0)
            return true;
        path += n + 1;
    }
    return false;
}

static bool is_below(const char *path, size_t length, const char *group)
{
    size_t n = strlen(group);

    return length >= n && memcmp(path, group, n) == 0 && (length == n || path[n] == '/');
}

/* Lines "hierarchy:controllers:/path". */
static bool is_in_unit(const struct fo_chosen *c, pid_t pid)
{
    char text[TEXT_MOST];

    if (!read_of(pid, "cgroup", text))
        return false;
    for (const char *line = text; *line != '\0'; line += *line == '\n') {
        size_t length = strcspn(line, "\n");
        const char *path = memchr(line, '/', length);
        size_t n = path != NULL ? length - (size_t)(path - line) : 0;
        if (path != NULL &&
            (c->group != NULL ? is_below(path, n, c->group) : has_folder(path, n, c->name)))
            return true;
        line += length;
    }
    return false;
}

/* --- of all ------------------------------------------------------------------------------------
 */

static int ascending(const void *left, const void *right)
{
    const pid_t *a = left, *b = right;

    return (*a > *b) - (*a < *b);
}

static void add(struct fo_chosen *c, pid_t pid)
{
    if ((c->count & (c->count - 1)) == 0) {
        pid_t *grown = reallocarray(c->pids, c->count != 0 ? c->count * 2 : 1, sizeof *grown);
        if (grown == NULL) {
            fo_error("there is no memory");
            exit(FO_EXIT_SOFTWARE);
        }
        c->pids = grown;
    }
    c->pids[c->count++] = pid;
}

static bool is_chosen(const struct fo_chosen *c, pid_t pid)
{
    switch (c->kind) {
    case FO_CHOSEN_UNIT:
        return is_in_unit(c, pid);
    case FO_CHOSEN_NAME:
        return has_name(pid, c->name);
    default:
        return true;
    }
}

void fo_chosen_scan(struct fo_chosen *c)
{
    if (c->kind == FO_CHOSEN_PID)
        return;
    DIR *all = opendir("/proc");
    c->count = 0;
    for (const struct dirent *e; all != NULL && (e = readdir(all)) != NULL;) {
        char *end;
        long pid = strtol(e->d_name, &end, 10);
        if (*end != '\0' || pid <= 0 || pid > INT_MAX || pid == getpid())
            continue;
        if (is_chosen(c, (pid_t)pid))
            add(c, (pid_t)pid);
    }
    if (all != NULL)
        closedir(all);
    if (c->count != 0)
        qsort(c->pids, c->count, sizeof *c->pids, ascending);
}

void fo_chosen_free(struct fo_chosen *c)
{
    free(c->pids);
    c->pids = NULL;
    c->count = 0;
}

const char *fo_chosen_words(const struct fo_chosen *c)
{
    static char words[2 * NAME_MOST];

    if (c->kind == FO_CHOSEN_ALL)
        return "all";
    if (c->kind == FO_CHOSEN_PID)
        snprintf(words, sizeof words, "process %d", (int)c->pids[0]);
    else
        snprintf(words, sizeof words, "%s %s", c->kind == FO_CHOSEN_UNIT ? "unit" : "name",
                 c->name);
    fo_clean(words, words);
    return words;
}

/* --- the word ----------------------------------------------------------------------------------
 */

static bool ends_as_unit(const char *word)
{
    static const char *const ends[] = {".service", ".scope", ".slice"};
    size_t length = strlen(word);

    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++)
        if (length > strlen(ends[i]) && strcmp(word + length - strlen(ends[i]), ends[i]) == 0)
            return true;
    return false;
}

static bool can_be_unit(const char *word)
{
    return *word != '-' &&
           word[strspn(word, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                             ":-_.\\@")] == '\0';
}

/* The value of a line "KEY=value"; NULL: it is empty or not there. */
static const char *value_of(const char *text, const char *key)
{
    size_t length = strlen(key);

    for (const char *line = text; line != NULL && *line != '\0'; line = strchr(line, '\n')) {
        line += *line == '\n';
        size_t rest = strncmp(line, key, length) == 0 && line[length] == '='
                          ? strcspn(line + length + 1, "\n")
                          : 0;
        if (rest != 0)
            return fo_string_copy(line + length + 1, rest);
    }
    return NULL;
}

/* By the manager of the system; a user's manager has units that it does not know. */
static void ask_systemctl(struct fo_chosen *c)
{
    const char *const command[] = {"systemctl", "show",  "--property=Id,ControlGroup",
                                   "--",        c->name, NULL};
    struct fo_output output = {0};

    if (fo_run_program(command, SHOWN_MOST, &output) == 0 && output.text != NULL) {
        const char *id = value_of(output.text, "Id");
        c->group = value_of(output.text, "ControlGroup");
        if (c->group != NULL && (*c->group != '/' || c->group[1] == '\0'))
            c->group = NULL;
        if (id != NULL && c->group != NULL)
            c->name = id;
    }
    fo_output_free(&output);
}

bool fo_chosen_unit(struct fo_chosen *c, const char *name)
{
    c->kind = FO_CHOSEN_UNIT;
    c->name = name;
    c->group = NULL;
    if (fo_systemd_is_running())
        ask_systemctl(c);
    fo_chosen_scan(c);
    return c->count != 0;
}

static int explain(const char *word, bool as_unit)
{
    char *clean = fo_clean_copy(word);

    if (as_unit && !fo_systemd_is_running())
        fo_error("%s: systemd does not run here, and no process is in a control group of that "
                 "name: there are no units; give a PID or the name of a program",
                 clean);
    else if (as_unit)
        fo_error("unit %s has no processes: it does not run, or there is no such unit; see "
                 "systemctl status %s",
                 clean, clean);
    else
        fo_error("there is no process of the name %s%s", clean,
                 fo_systemd_is_running() ? ", and no unit of that name runs"
                                         : " (systemd does not run here, so there are no units)");
    free(clean);
    return FO_EXIT_NO_INPUT;
}

int fo_chosen_find(struct fo_chosen *c, pid_t pid, const char *word)
{
    *c = (struct fo_chosen){.kind = FO_CHOSEN_PID};
    if (word == NULL) {
        add(c, pid);
        return FO_EXIT_OK;
    }
    if (strcmp(word, "all") == 0) {
        c->kind = FO_CHOSEN_ALL;
        fo_chosen_scan(c);
        return FO_EXIT_OK;
    }
    bool as_unit = ends_as_unit(word);
    bool fits = strlen(word) <= NAME_MOST;
    if (fits && as_unit && can_be_unit(word) && fo_chosen_unit(c, word))
        return FO_EXIT_OK;
    if (fits && !as_unit && can_be_unit(word) && fo_systemd_is_running() &&
        fo_chosen_unit(c, fo_string_format("%s.service", word)))
        return FO_EXIT_OK;
    if (fits && !as_unit) {
        c->kind = FO_CHOSEN_NAME;
        c->name = word;
        fo_chosen_scan(c);
    }
    return c->count != 0 ? FO_EXIT_OK : explain(word, as_unit);
}
