/* Reads the unit and its drop-ins: from systemctl, or without a manager (a container, an image, a
 * chroot, another machine's files) from the directories that systemd reads: systemd.unit(5). */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/nearest.h"
#include "cli/message.h"
#include "cli/read_all.h"
#include "cli/systemd/run.h"
#include "cli/systemd/unit.h"

enum { UNIT_MAX = 4 << 20 }; /* bytes; no unit is larger */

/* The unit is read from the first that has it. */
static const char *const load_path[] = {
    "/etc/systemd/system",     "/run/systemd/system", "/usr/local/lib/systemd/system",
    "/usr/lib/systemd/system", "/lib/systemd/system",
};
enum { LOAD_PATH = sizeof load_path / sizeof load_path[0] };

static enum fo_exit report_too_large(const char *path)
{
    fo_error("%s is no unit file: it is larger than %d MiB", path, UNIT_MAX >> 20);
    return FO_EXIT_DATA;
}

/* The open does not wait for a FIFO's writer; the reads wait for the data of a pipe. */
static enum fo_exit read_file(const char *path, char **text, size_t *length)
{
    struct stat status;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

    *text = NULL;
    if (fd < 0 || fstat(fd, &status) != 0) {
        int error = errno;
        if (error == ENOENT)
            fo_error("%s: no such unit file", path);
        else
            fo_error("%s cannot be read: %s", path, strerror(error));
        return error == EACCES || error == EPERM ? FO_EXIT_NO_PERMISSION : FO_EXIT_NO_INPUT;
    }
    if (S_ISDIR(status.st_mode)) {
        close(fd);
        fo_error("%s is a directory, not a unit file", path);
        return FO_EXIT_DATA;
    }
    fcntl(fd, F_SETFL, 0);
    enum fo_exit result = fo_read_all(fd, UNIT_MAX, text, length);
    close(fd);
    if (result == FO_EXIT_DATA)
        return report_too_large(path);
    if (result != FO_EXIT_OK)
        fo_error("%s cannot be read: %s", path, strerror(errno));
    return result;
}

/* Read one file into the unit; a missing file is an error. */
static enum fo_exit add_file(struct fo_unit *unit, const char *path)
{
    char *text;
    size_t length;
    enum fo_exit result = read_file(path, &text, &length);

    if (result == FO_EXIT_OK)
        result = fo_unit_parse(unit, path, text, length);
    free(text);
    return result;
}

static enum fo_exit check_service(const struct fo_unit *unit)
{
    if (unit->has_service)
        return FO_EXIT_OK;
    fo_error("%s is no service: there is no [Service] section in it",
             unit->file == NULL ? unit->name : unit->file);
    return FO_EXIT_DATA;
}

/* --- drop-ins --------------------------------------------------------------------------------- */

struct dropins {
    struct fo_list names, paths; /* of one file each */
};

static void add_directory(struct dropins *d, const char *directory)
{
    DIR *entries = opendir(directory);
    const struct dirent *e;

    if (entries == NULL)
        return;
    while ((e = readdir(entries)) != NULL) {
        size_t length = strlen(e->d_name);
        if (length <= 5 || e->d_name[0] == '.' || strcmp(e->d_name + length - 5, ".conf") != 0 ||
            fo_list_has(&d->names, e->d_name))
            continue;
        const char *path = fo_string_format("%s/%s", directory, e->d_name);
        struct stat status;
        fo_list_add(&d->names, fo_string_copy(e->d_name, length));
        if (stat(path, &status) != 0 || S_ISREG(status.st_mode)) /* /dev/null masks others */
            fo_list_add(&d->paths, path);
    }
    closedir(entries);
}

static int by_base_name(const void *a, const void *b)
{
    const char *const *left = a, *const *right = b;

    return strcmp(strrchr(*left, '/'), strrchr(*right, '/'));
}

static enum fo_exit add_dropins(struct fo_unit *unit, struct dropins *d)
{
    enum fo_exit result = FO_EXIT_OK;

    if (d->paths.count > 0)
        qsort((void *)d->paths.items, d->paths.count, sizeof d->paths.items[0], by_base_name);
    for (size_t i = 0; i < d->paths.count && result == FO_EXIT_OK; i++)
        result = add_file(unit, d->paths.items[i]);
    fo_list_free(&d->names);
    fo_list_free(&d->paths);
    return result;
}

enum fo_exit fo_unit_load_file(struct fo_unit *unit, const char *path)
{
    struct dropins dropins = {0};

    unit->file = path;
    enum fo_exit result = add_file(unit, path);
    if (result != FO_EXIT_OK)
        return result;
    add_directory(&dropins, fo_string_format("%s.d", path));
    result = add_dropins(unit, &dropins);
    return result == FO_EXIT_OK ? check_service(unit) : result;
}

/* --- the load path ---------------------------------------------------------------------------- */

/* Every NAME whose directory NAME.d is read: the unit's, its template's, for "a-b-c" those of
 * "a-b-" and "a-", and that for all services. */
static void names_of(const struct fo_unit *unit, struct fo_list *names)
{
    fo_list_add(names, unit->name);
    if (*unit->instance != '\0')
        fo_list_add(names, fo_string_format("%s@.service", unit->prefix));
    for (size_t n = strlen(unit->prefix); n > 1; n--)
        if (unit->prefix[n - 1] == '-')
            fo_list_add(names, fo_string_format("%.*s%s.service", (int)n, unit->prefix,
                                                strchr(unit->name, '@') == NULL ? "" : "@"));
    fo_list_add(names, "service");
}

static void put_services(FILE *out, const char *directory)
{
    DIR *entries = opendir(directory);
    const struct dirent *e;

    if (entries == NULL)
        return;
    while ((e = readdir(entries)) != NULL) {
        size_t length = strlen(e->d_name), end = strlen(".service");
        if (length > end && strcmp(e->d_name + length - end, ".service") == 0 &&
            strchr(e->d_name, '|') == NULL)
            fprintf(out, "%.*s|", (int)(length - end), e->d_name);
    }
    closedir(entries);
}

/* "; did you mean nginx?", or nothing. */
static const char *suggestion(const struct fo_unit *unit, const char *root)
{
    const char *name = fo_string_copy(unit->name, strlen(unit->name) - strlen(".service"));
    char *names = NULL, nearest[32];
    size_t size;
    FILE *out = open_memstream(&names, &size);

    if (out == NULL)
        exit(FO_EXIT_SOFTWARE);
    for (int i = 0; i < LOAD_PATH; i++)
        put_services(out, fo_string_format("%s%s", root, load_path[i]));
    fclose(out);
    bool near = fo_nearest_choice(name, names, nearest, sizeof nearest);
    free(names);
    return near && strcmp(name, nearest) != 0 ? fo_string_format("; did you mean %s?", nearest)
                                              : "";
}

static enum fo_exit find_file(struct fo_unit *unit, const struct fo_list *names, const char *root)
{
    for (size_t n = 0; n < names->count && n < 2; n++) /* its own name, then its template's */
        for (int i = 0; i < LOAD_PATH; i++) {
            const char *path = fo_string_format("%s%s/%s", root, load_path[i], names->items[n]);
            struct stat status;
            if (stat(path, &status) != 0)
                continue;
            if (S_ISCHR(status.st_mode) || status.st_size == 0) {
                fo_error("%s is masked (%s is %s); systemctl unmask %s", unit->name, path,
                         S_ISCHR(status.st_mode) ? "/dev/null" : "empty", unit->name);
                return FO_EXIT_DATA;
            }
            unit->file = path;
            return add_file(unit, path);
        }
    const char *looked = fo_string_format("%s%s", root, load_path[0]);
    for (int i = 1; i < LOAD_PATH; i++)
        looked = fo_string_format("%s, %s%s", looked, root, load_path[i]);
    fo_error("there is no unit %s; looked in %s%s", unit->name, looked, suggestion(unit, root));
    return FO_EXIT_NO_INPUT;
}

static enum fo_exit load_from_path(struct fo_unit *unit, const char *root)
{
    struct fo_list names = {0};
    struct dropins dropins = {0};

    names_of(unit, &names);
    enum fo_exit result = find_file(unit, &names, root);
    if (result == FO_EXIT_OK) {
        char real[PATH_MAX]; /* sshd.service is a link to ssh.service, whose drop-ins count too */
        const char *target = realpath(unit->file, real) == NULL ? NULL : strrchr(real, '/') + 1;
        if (target != NULL && !fo_list_has(&names, target))
            fo_list_add(&names, fo_string_copy(target, strlen(target)));
        for (size_t n = 0; n < names.count; n++)
            for (int i = 0; i < LOAD_PATH; i++)
                add_directory(&dropins,
                              fo_string_format("%s%s/%s.d", root, load_path[i], names.items[n]));
        result = add_dropins(unit, &dropins);
    }
    fo_list_free(&names);
    return result == FO_EXIT_OK ? check_service(unit) : result;
}

/* --- systemctl -------------------------------------------------------------------------------- */

enum fo_exit fo_unit_load(struct fo_unit *unit, const char *root)
{
    const char *const command[] = {"systemctl", "cat", "--no-pager", "--", unit->name, NULL};
    struct fo_output output = {0};
    enum fo_exit result;

    if (root != NULL)
        return load_from_path(unit, root);
    int status = fo_run_program(command, UNIT_MAX, &output);
    if (status == 0) {
        result = fo_unit_parse(unit, unit->name, output.text, output.length);
        if (result == FO_EXIT_OK)
            result = check_service(unit);
    } else if (!fo_systemd_is_running()) { /* systemctl needs a running systemd */
        result = load_from_path(unit, "");
    } else if (status == FO_EXIT_NOT_FOUND) {
        fo_error("systemctl is not there; give the unit file: freeonce systemd FILE");
        result = FO_EXIT_NO_INPUT;
    } else if (status == FO_RUN_TOO_MUCH) {
        result = report_too_large(unit->name);
    } else {
        const char *errors = output.errors == NULL ? "" : output.errors;
        fo_error("systemctl cat %s ended with status %d%s%.*s%s", unit->name, status,
                 *errors == '\0' ? "" : ": ", (int)strcspn(errors, "\n"), errors,
                 suggestion(unit, ""));
        result = FO_EXIT_NO_INPUT;
    }
    fo_output_free(&output);
    return result;
}
