/* What /proc says of a process: its unit, and which of its mappings it shares.  See metrics.h. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "cli/metrics/metrics.h"
#include "cli/model/clean.h"

static FILE *open_of(pid_t pid, const char *name)
{
    char path[64];

    snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, name);
    return fopen(path, "re");
}

/* --- unit --------------------------------------------------------------------------------------
 */

static bool ends_with(const char *text, size_t length, const char *end)
{
    size_t size = strlen(end);

    return length > size && memcmp(text + length - size, end, size) == 0;
}

/* The last part of a path that is the name of a service or scope; else the last part.  A service
 * may divide its group into others. */
static void name_of(const char *path, char name[FO_METRICS_NAME])
{
    const char *found = NULL, *last = path;
    size_t found_length = 0, last_length = 0;

    for (const char *at = path; *at != '\0'; at += strcspn(at, "/")) {
        at += strspn(at, "/");
        size_t length = strcspn(at, "/");
        if (length == 0)
            break;
        last = at, last_length = length;
        if (ends_with(at, length, ".service") || ends_with(at, length, ".scope"))
            found = at, found_length = length;
    }
    if (found == NULL)
        found = last, found_length = last_length;
    snprintf(name, FO_METRICS_NAME, "%.*s", (int)found_length, found);
}

void fo_metrics_unit_of(pid_t pid, char name[FO_METRICS_NAME])
{
    FILE *file = open_of(pid, "cgroup");
    char *line = NULL;
    size_t room = 0;

    *name = '\0';
    while (file != NULL && getline(&line, &room, file) > 0) {
        line[strcspn(line, "\n")] = '\0';
        /* "0::/path" of cgroup v2; of v1 the group that systemd has made. */
        const char *path = strncmp(line, "0::", 3) == 0             ? line + 3
                           : strstr(line, ":name=systemd:") != NULL ? strchr(line, '/')
                                                                    : NULL;
        if (path != NULL && *name == '\0')
            name_of(path, name);
    }
    free(line);
    if (file != NULL)
        fclose(file);
    if (*name == '\0')
        snprintf(name, FO_METRICS_NAME, "none");
    fo_clean(name, name);
}

/* --- mappings ----------------------------------------------------------------------------------
 */

/* "start-end rw-s offset major:minor inode   path" */
bool fo_metrics_shared_at(pid_t pid, uint64_t address, struct fo_metrics_shared *out)
{
    FILE *file = address != 0 ? open_of(pid, "maps") : NULL;
    char *line = NULL, access[5];
    size_t room = 0;
    bool found = false;
    uint64_t start, end, offset, inode;
    unsigned major, minor;

    while (file != NULL && !found && getline(&line, &room, file) > 0) {
        found = sscanf(line, "%" SCNx64 "-%" SCNx64 " %4s %" SCNx64 " %x:%x %" SCNu64, &start, &end,
                       access, &offset, &major, &minor, &inode) == 7 &&
                address >= start && address < end && access[3] == 's';
        if (found)
            *out = (struct fo_metrics_shared){makedev(major, minor), inode};
    }
    free(line);
    if (file != NULL)
        fclose(file);
    return found;
}
