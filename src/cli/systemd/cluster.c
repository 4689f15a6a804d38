/* See cluster.h.  The file has the syntax of postgresql.conf: NAME = 'value', the last one of a
 * name counts. */
#include "cli/systemd/cluster.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/message.h"
#include "cli/model/clean.h"
#include "cli/systemd/cluster_file.h"

#define BEGIN     FO_DROPIN_MARKER " "
#define END       "# End of the lines of freeonce systemd"
#define END_ADDED END "; the line in front had no end"

/* --- which cluster ---------------------------------------------------------------------------- */

static bool is_started_by_pg_ctlcluster(const struct fo_unit *unit)
{
    struct fo_list lines = fo_unit_lines(unit, "ExecStart");
    bool found = false;

    for (size_t i = 0; i < lines.count; i++)
        found |= strstr(lines.items[i], "/pg_ctlcluster ") != NULL;
    fo_list_free(&lines);
    return found;
}

/* postgresql@15-main is cluster main of version 15. */
static const char *file_by_name(const struct fo_unit *unit)
{
    size_t version = strspn(unit->instance, "0123456789.");
    const char *cluster = unit->instance + version + 1;

    if (strcmp(unit->prefix, "postgresql") != 0 || version == 0 || unit->instance[version] != '-' ||
        *cluster == '\0' || *cluster == '.' || strpbrk(cluster, "/\\%") != NULL)
        return NULL;
    return fo_string_format("/etc/postgresql/%.*s/%s/environment", (int)version, unit->instance,
                            cluster);
}

const char *fo_cluster_file(const struct fo_unit *unit)
{
    return is_started_by_pg_ctlcluster(unit) ? file_by_name(unit) : NULL;
}

/* --- lines ------------------------------------------------------------------------------------ */

static size_t line_length(const char *line)
{
    size_t length = strcspn(line, "\n");

    return line[length] == '\n' ? length + 1 : length;
}

static bool begins(const char *line, const char *words)
{
    return strncmp(line, words, strlen(words)) == 0;
}

static bool is_name_of_ours(const char *line)
{
    return begins(line, "LD_PRELOAD = ") || begins(line, "FREEONCE_");
}

/* Is there an end to each beginning? */
static bool is_whole(const char *text)
{
    bool inside = false;

    for (const char *line = text; *line != '\0'; line += line_length(line)) {
        if (inside && begins(line, BEGIN))
            return false;
        inside = inside ? !begins(line, END) : begins(line, BEGIN);
    }
    return !inside;
}

/* The text without our lines; what the user wrote between them stays.  The caller frees it. */
static char *without_ours(const char *text, bool *found)
{
    char *rest = malloc(strlen(text) + 1);
    size_t used = 0, before = 0;
    bool inside = false, added = false;

    if (rest == NULL)
        exit(FO_EXIT_SOFTWARE);
    *found = false;
    for (const char *line = text; *line != '\0'; line += line_length(line)) {
        if (!inside && begins(line, BEGIN)) {
            *found = inside = true;
            before = used;
        } else if (inside && begins(line, END)) {
            inside = false;
            added = begins(line, END_ADDED);
        } else if (!inside || !is_name_of_ours(line)) {
            memcpy(rest + used, line, line_length(line));
            used += line_length(line);
        }
    }
    if (added && used == before && used > 0)
        used--; /* the line end that we added */
    rest[used] = '\0';
    return rest;
}

/* The value of the last line that sets `name`; NULL: none does. */
static const char *value_in(const char *text, const char *name)
{
    const char *found = NULL;

    for (const char *line = text; *line != '\0'; line += line_length(line)) {
        const char *at = line + strspn(line, " \t");
        if (!begins(at, name) || strchr(" \t=", at[strlen(name)]) == NULL)
            continue;
        at += strlen(name);
        at += strspn(at, " \t=");
        if (*at == '\'')
            found = fo_string_copy(at + 1, strcspn(at + 1, "'\n"));
        else
            found = fo_string_copy(at, strcspn(at, " \t#\n"));
    }
    return found;
}

static void put_value(FILE *out, const char *assignment)
{
    size_t name = strcspn(assignment, "=");

    fprintf(out, "%.*s = '", (int)name, assignment);
    for (const char *c = assignment + name + 1; *c != '\0'; c++)
        fprintf(out, *c == '\'' ? "''" : *c == '\\' ? "\\\\" : "%c", *c);
    fputs("'\n", out);
}

/* --- our lines -------------------------------------------------------------------------------- */

/* NAME=VALUE of each; false: the file has the library already, or a value cannot be written. */
static bool choose(struct fo_plan *plan, const struct fo_list *set, const char *users,
                   struct fo_list *values)
{
    const char *preload = value_in(users, "LD_PRELOAD"), *own = NULL;

    if (preload != NULL && strstr(preload, "libfreeonce.so") != NULL) {
        fo_error("LD_PRELOAD = '%s' is in the cluster's file already, not put there by this "
                 "command: remove it first",
                 preload);
        return false;
    }
    fo_list_add(values, fo_string_format("LD_PRELOAD=%s", fo_environment_preload(plan, preload)));
    if (plan->journal == NULL && (own = value_in(users, "FREEONCE_JOURNAL")) == NULL)
        plan->journal =
            fo_string_format("/var/log/postgresql/freeonce-%s.journal", plan->unit->instance);
    if (plan->journal != NULL)
        fo_list_add(values, fo_string_format("FREEONCE_JOURNAL=%s", plan->journal));
    else
        plan->journal = own;
    if (plan->log != NULL)
        fo_list_add(values, fo_string_format("FREEONCE_LOG=%s", plan->log));
    for (size_t i = 0; i < set->count; i++)
        fo_list_add(values, set->items[i]);
    for (size_t i = 0; i < values->count; i++)
        if (!fo_is_clean(values->items[i])) {
            fo_error("a value holds a control character: %s", values->items[i]);
            return false;
        }
    return true;
}

/* NULL after a message.  The caller frees it. */
static char *lines_for(struct fo_plan *plan, const struct fo_list *set, const char *users)
{
    size_t length = strlen(users), size;
    bool added = length > 0 && users[length - 1] != '\n';
    struct fo_list values = {0};
    char *text = NULL;
    FILE *out = choose(plan, set, users, &values) ? open_memstream(&text, &size) : NULL;

    if (out != NULL) {
        fprintf(out,
                "%s" BEGIN "%s (freeonce " FREEONCE_VERSION "); freeonce systemd --remove takes "
                "these lines out.\n",
                added ? "\n" : "", plan->unit->name);
        for (size_t i = 0; i < values.count; i++)
            put_value(out, values.items[i]);
        fputs(added ? END_ADDED "\n" : END "\n", out);
        fclose(out);
    }
    fo_list_free(&values);
    return text;
}

/* --- the file --------------------------------------------------------------------------------- */

static enum fo_exit read_users(struct fo_cluster_file *file, char **users, bool *found)
{
    enum fo_exit result = fo_cluster_file_read(file);

    *users = NULL;
    if (result != FO_EXIT_OK)
        return result;
    if (!is_whole(file->text)) {
        fo_error("%s: the line \"" END "\" is missing: remove the lines of freeonce by hand",
                 file->path);
        return FO_EXIT_DATA;
    }
    *users = without_ours(file->text, found);
    return FO_EXIT_OK;
}

static void tell_next(const struct fo_unit *unit)
{
    printf("Next:\n  systemctl restart %s\n", unit->name);
}

enum fo_exit fo_cluster_print(struct fo_plan *plan, const struct fo_list *set)
{
    char *lines = lines_for(plan, set, "");

    if (lines == NULL)
        return FO_EXIT_CONFIG;
    fo_plan_print(plan, true);
    fo_warning("note: pg_ctlcluster empties the environment: these lines belong into %s%s, where "
               "--install writes them",
               plan->root, fo_cluster_file(plan->unit));
    enum fo_exit result =
        fputs(lines, stdout) < 0 || fflush(stdout) != 0 ? FO_EXIT_CANNOT_WRITE : FO_EXIT_OK;
    free(lines);
    return result;
}

enum fo_exit fo_cluster_install(struct fo_plan *plan, const struct fo_list *set)
{
    struct fo_cluster_file file = {
        .path = fo_string_format("%s%s", plan->root, fo_cluster_file(plan->unit))};
    bool found = false;
    char *users, *lines = NULL;
    enum fo_exit result = read_users(&file, &users, &found);

    if (result == FO_EXIT_OK && (lines = lines_for(plan, set, users)) == NULL)
        result = FO_EXIT_CONFIG;
    if (result == FO_EXIT_OK) {
        const char *text = fo_string_format("%s%s", users, lines);
        bool same = strcmp(text, file.text) == 0;
        fo_plan_print(plan, true);
        result = same ? FO_EXIT_OK : fo_cluster_file_write(&file, text);
        if (result == FO_EXIT_OK) {
            printf("%s %s\n", same ? "Already there:" : "Wrote", file.path);
            tell_next(plan->unit);
            printf("  freeonce report %s\n", plan->journal);
        }
    }
    free(lines);
    free(users);
    fo_cluster_file_close(&file);
    return result;
}

enum fo_exit fo_cluster_remove(const struct fo_unit *unit, const char *root, bool *found)
{
    const char *path = file_by_name(unit);
    struct fo_cluster_file file = {.path =
                                       path != NULL ? fo_string_format("%s%s", root, path) : NULL};
    char *users;

    *found = false;
    if (path == NULL || !fo_cluster_file_exists(&file))
        return FO_EXIT_OK;
    enum fo_exit result = read_users(&file, &users, found);
    if (result == FO_EXIT_OK && *found)
        result = fo_cluster_file_write(&file, users);
    if (result == FO_EXIT_OK && *found) {
        const char *journal = value_in(file.text, "FREEONCE_JOURNAL");
        printf("Removed the lines of freeonce from %s\n", file.path);
        tell_next(unit);
        if (journal != NULL)
            printf("The journal was kept: freeonce report %s\n", journal);
    }
    free(users);
    fo_cluster_file_close(&file);
    return result;
}
