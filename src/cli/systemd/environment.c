/* What does the unit set in the environment, and which lines does the drop-in need, so that the
 * program gets LD_PRELOAD and FREEONCE_...? */
#include <fcntl.h>
#include <glob.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/model/clean.h"
#include "cli/preload.h"
#include "cli/read_all.h"
#include "cli/systemd/notes.h"

enum { ENVIRONMENT_FILE_MAX = 1 << 20 };

/* --- what the unit sets ------------------------------------------------------------------------
 */

static const char *value_of(const char *assignment, const char *name)
{
    size_t length = strlen(name);

    if (strncmp(assignment, name, length) != 0 || assignment[length] != '=')
        return NULL;
    return assignment + length + 1;
}

/* The value in a line NAME=VALUE, with a shell's quotes removed; NULL: another line. */
static const char *value_in_line(struct fo_unit *u, const char *line, const char *name)
{
    const char *start = line + strspn(line, " \t"), *equals = strchr(start, '='), *found = "";
    struct fo_list words = {0};
    struct fo_unit none = {.prefix = "", .instance = "", .name = u->name};

    if (*start == '#' || *start == ';' || equals == NULL || value_of(start, name) == NULL)
        return NULL;
    fo_unit_split(&none, equals + 1, &words);
    for (size_t i = 0; i < words.count; i++)
        found = fo_string_format("%s%s%s", found, i == 0 ? "" : " ", words.items[i]);
    fo_list_free(&none.unexpanded);
    fo_list_free(&words);
    return found;
}

/* The service's user may have made the file: it is read only if it is a regular file. */
static char *read_file(struct fo_plan *plan, const char *path)
{
    struct stat status;
    char *text = NULL;
    size_t length;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

    if (fd < 0)
        return NULL;
    bool regular = fstat(fd, &status) == 0 && S_ISREG(status.st_mode);
    if (!regular || fo_read_all(fd, ENVIRONMENT_FILE_MAX, &text, &length) != FO_EXIT_OK) {
        fo_note(plan, FO_NOTE_WARN, "%s was not read: it is %s.", path,
                regular ? "too large" : "no regular file");
        free(text);
        text = NULL;
    }
    close(fd);
    return text;
}

/* One file of EnvironmentFile=. */
static const char *find_in_file(struct fo_plan *plan, const char *path, const char *name)
{
    const char *found = NULL;
    char *text = read_file(plan, path), *rest = text;

    for (char *line; rest != NULL && (line = strsep(&rest, "\n")) != NULL;) {
        const char *value = value_in_line(plan->unit, line, name);
        found = value != NULL ? value : found;
    }
    free(text);
    return found;
}

static const char *find_in_files(struct fo_plan *plan, const char *name, const char **file)
{
    struct fo_list words = fo_unit_words(plan->unit, "EnvironmentFile");
    const char *found = NULL;

    for (size_t i = 0; i < words.count; i++) {
        const char *pattern = words.items[i] + (words.items[i][0] == '-');
        glob_t matches = {0};
        if (glob(fo_string_format("%s%s", plan->root, pattern), 0, NULL, &matches) == 0)
            for (size_t n = 0; n < matches.gl_pathc; n++) {
                const char *value = find_in_file(plan, matches.gl_pathv[n], name);
                if (value == NULL)
                    continue;
                found = value;
                *file = fo_string_format("%s", matches.gl_pathv[n]);
            }
        globfree(&matches);
    }
    fo_list_free(&words);
    return found;
}

static const char *find_value(struct fo_plan *plan, const char *name, const char **file)
{
    const char *found = find_in_files(plan, name, file);
    if (found != NULL) /* wins over Environment= */
        return found;
    struct fo_list words = fo_unit_words(plan->unit, "Environment");
    for (size_t i = 0; i < words.count; i++) {
        const char *value = value_of(words.items[i], name);
        if (value != NULL)
            found = value;
    }
    fo_list_free(&words);
    return found;
}

/* A line end in the value would begin a new line in a file of root. */
const char *fo_environment_has(struct fo_plan *plan, const char *name, const char **file)
{
    *file = NULL;
    const char *found = find_value(plan, name, file);
    if (found == NULL || fo_is_clean(found))
        return found;
    fo_note(plan, FO_NOTE_FATAL, "%s sets %s to a value with a control character.",
            *file != NULL ? *file : "The unit", name);
    *file = NULL;
    return NULL;
}

/* --- what the drop-in sets ---------------------------------------------------------------------
 */

const char *fo_quoted(const char *text, bool specifiers)
{
    char *result = NULL;
    size_t size;
    bool quote = text[strcspn(text, " ;#'\"\\")] != '\0';
    FILE *out = open_memstream(&result, &size);

    if (out == NULL)
        exit(FO_EXIT_SOFTWARE);
    for (; *text != '\0'; text++) {
        unsigned char c = (unsigned char)*text;
        if (c < ' ' || c == 0x7f)
            fprintf(out, "\\x%02x", c);
        else if (c == '%' && !specifiers)
            fputs("%%", out);
        else
            fprintf(out, c == '"' || c == '\\' ? "\\%c" : "%c", c);
    }
    fclose(out);
    const char *kept = quote ? fo_string_format("\"%s\"", result) : fo_string_copy(result, size);
    free(result);
    return kept;
}

static void set_variable(struct fo_plan *plan, const char *name, const char *value)
{
    bool specifiers =
        plan->unit->is_template && plan->adds_directory && strcmp(name, "FREEONCE_JOURNAL") == 0;
    const char *file, *before = fo_environment_has(plan, name, &file);

    if (file != NULL) {
        if (strcmp(before, value) != 0)
            fo_note(plan, FO_NOTE_WARN,
                    "%s sets %s=%s, which wins over the drop-in's: change it there.", file, name,
                    before);
        return;
    }
    if (before != NULL && strcmp(before, value) == 0)
        return;
    if (before != NULL)
        fo_note(plan, FO_NOTE, "The unit's own %s=%s is replaced.", name, before);
    fo_list_add(&plan->environment,
                fo_string_format("Environment=%s",
                                 fo_quoted(fo_string_format("%s=%s", name, value), specifiers)));
}

/* A sanitizer's runtime must come first, or it ends the program. */
static bool has_sanitizer(const char *libraries)
{
    static const char *const runtimes[] = {"libasan", "libtsan", "liblsan", "libubsan",
                                           "libclang_rt"};

    for (size_t i = 0; i < sizeof runtimes / sizeof runtimes[0]; i++)
        if (strstr(libraries, runtimes[i]) != NULL)
            return true;
    return false;
}

/* Not the short word for another root: there, the folder of libraries may have another name. */
static const char *word_of(const struct fo_plan *plan)
{
    char word[PATH_MAX + FO_PRELOAD_EXTRA];

    if (plan->sandbox.root == NULL && plan->root[0] == '\0')
        fo_preload_short_word(plan->library, word, sizeof word);
    else
        fo_preload_word(plan->library, word, sizeof word);
    return fo_string_copy(word, strlen(word));
}

/* The unit's own LD_PRELOAD with the library in it; a libfreeonce.so that is in it is replaced. */
static const char *preload_with(struct fo_plan *plan, const char *before, const char *word)
{
    const char *others = "", *own = NULL;

    for (const char *at = before; *at != '\0'; at += strcspn(at, " :"), at += strspn(at, " :")) {
        const char *one = fo_string_copy(at, strcspn(at, " :")), *slash = strrchr(one, '/');
        if (strncmp(slash == NULL ? one : slash + 1, "libfreeonce.so", 14) == 0)
            own = one;
        else if (*one != '\0')
            others = fo_string_format("%s%s%s", others, *others == '\0' ? "" : ":", one);
    }
    if (own != NULL && strcmp(own, word) != 0)
        fo_note(plan, FO_NOTE_WARN, "The unit's LD_PRELOAD names %s: replaced by %s.", own, word);
    if (*others == '\0')
        return word;
    fo_note(plan, FO_NOTE, "The unit's own LD_PRELOAD is kept: %s.", others);
    return has_sanitizer(others) ? fo_string_format("%s:%s", others, word)
                                 : fo_string_format("%s:%s", word, others);
}

const char *fo_environment_preload(struct fo_plan *plan, const char *before)
{
    const char *word = word_of(plan);

    return before == NULL ? word : preload_with(plan, before, word);
}

static void set_preload(struct fo_plan *plan)
{
    const char *file, *before = fo_environment_has(plan, "LD_PRELOAD", &file);
    const char *wanted = fo_environment_preload(plan, before);

    if (file == NULL)
        fo_list_add(&plan->environment,
                    fo_string_format("Environment=%s",
                                     fo_quoted(fo_string_format("LD_PRELOAD=%s", wanted), false)));
    else if (strstr(before, "libfreeonce.so") != NULL)
        fo_note(plan, FO_NOTE, "LD_PRELOAD is set in %s, which wins over the drop-in.", file);
    else
        fo_note(
            plan, FO_NOTE_FATAL,
            "%s sets LD_PRELOAD=%s, and an EnvironmentFile= wins over the drop-in. Write this line "
            "there instead, then run this command again: LD_PRELOAD='%s'",
            file, before, wanted);
}

/* UnsetEnvironment= is applied last, so LD_PRELOAD and FREEONCE_... are removed from it. */
static void keep_from_unset(struct fo_plan *plan)
{
    struct fo_list words = fo_unit_words(plan->unit, "UnsetEnvironment");
    const char *others = "", *own = "";

    for (size_t i = 0; i < words.count; i++) {
        const char *w = words.items[i];
        bool is_own = strcmp(fo_string_copy(w, strcspn(w, "=")), "LD_PRELOAD") == 0 ||
                      strncmp(w, "FREEONCE_", 9) == 0;
        if (is_own)
            own = fo_string_format("%s%s%s", own, *own == '\0' ? "" : ", ", w);
        else
            others =
                fo_string_format("%s%s%s", others, *others == '\0' ? "" : " ", fo_quoted(w, false));
    }
    if (*own != '\0') {
        fo_list_add(&plan->environment, "UnsetEnvironment=");
        if (*others != '\0')
            fo_list_add(&plan->environment, fo_string_format("UnsetEnvironment=%s", others));
        fo_note(plan, FO_NOTE,
                "The unit's UnsetEnvironment= takes %s away: the drop-in writes the "
                "list again without.",
                own);
    }
    fo_list_free(&words);
}

void fo_plan_environment(struct fo_plan *plan, const struct fo_list *set)
{
    struct fo_list passed = fo_unit_words(plan->unit, "PassEnvironment");

    set_preload(plan);
    if (plan->journal != NULL)
        set_variable(plan, "FREEONCE_JOURNAL", plan->journal);
    if (plan->log != NULL)
        set_variable(plan, "FREEONCE_LOG", plan->log);
    for (size_t i = 0; i < set->count; i++) {
        const char *equals = strchr(set->items[i], '=');
        set_variable(plan, fo_string_copy(set->items[i], (size_t)(equals - set->items[i])),
                     equals + 1);
    }
    if (fo_list_has(&passed, "LD_PRELOAD"))
        fo_note(plan, FO_NOTE_WARN,
                "PassEnvironment=LD_PRELOAD: what the manager itself has there is "
                "replaced by the drop-in's.");
    fo_list_free(&passed);
    keep_from_unset(plan);
}
