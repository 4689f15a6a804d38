/* See unguarded.h.  A command may start any program: the files that its words name are checked, and
 * scripts among them line by line.  The first problem is the reason. */
#include "cli/run/unguarded.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "cli/program.h"
#include "cli/wrapper.h"
#include "report/journal_format.h"

enum { FILES_MAX = 256, DEPTH_MAX = 3 };

struct search {
    struct fo_model *model;
    unsigned files, depth;
};

static bool has_reason(const struct search *s)
{
    return s->model->unguarded.reason != NULL;
}

__attribute__((format(printf, 3, 4))) static void
set_reason(struct fo_model *model, const char *reason, const char *format, ...)
{
    va_list arguments;
    char *text;

    va_start(arguments, format);
    if (vasprintf(&text, format, arguments) < 0)
        text = NULL;
    va_end(arguments);
    model->unguarded.reason = reason;
    model->unguarded.text = fo_model_string(model, text != NULL ? text : reason);
    free(text);
}

/* --- a file ----------------------------------------------------------------------------------- */

static void check_elf(struct search *s, const char *path, const struct fo_program *program)
{
    bool no_new_privs = prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1;
    const char *reason, *why;
    char text[PATH_MAX];

    if (fo_program_obstacle(program, &reason, text, sizeof text)) {
        set_reason(s->model, reason, "%s %s", path, text);
        return;
    }
    why = fo_program_secure(path, &program->status, getuid(), getgid(), no_new_privs);
    if (why != NULL)
        set_reason(s->model, "setuid", "%s %s: the dynamic linker ignores LD_PRELOAD then", path,
                   why);
}

static void check_words(struct search *s, const char *text);

static void check_file(struct search *s, const char *path)
{
    struct fo_program program;

    if (s->files++ >= FILES_MAX || s->depth >= DEPTH_MAX || access(path, X_OK) != 0)
        return;
    s->depth++;
    if (fo_program_read(&program, path) && program.kind > FO_PROGRAM_SCRIPT) {
        check_elf(s, path, &program);
    } else if (program.kind == FO_PROGRAM_SCRIPT) {
        check_words(s, program.head + 2);
        const char *what = has_reason(s) ? NULL : fo_wrapper_in_script(program.head);
        if (what != NULL)
            set_reason(s->model, "environment", "%s: %s", path, what);
    }
    s->depth--;
    fo_program_free(&program);
}

/* --- words ------------------------------------------------------------------------------------ */

/* Check each word that is a path.  The text is split at a shell's separators. */
static void check_words(struct search *s, const char *text)
{
    static const char separators[] = " \t\n;|&(){}<>\"'`=";
    char path[PATH_MAX];

    for (const char *at = text + strspn(text, separators); *at != '\0' && !has_reason(s);
         at += strspn(at, separators)) {
        size_t length = strcspn(at, separators);
        if (length < sizeof path && memchr(at, '/', length) != NULL) {
            memcpy(path, at, length);
            path[length] = '\0';
            check_file(s, path);
        }
        at += length;
    }
}

/* An argument with a space in it may be a shell command. */
static const char *wrapper_in(char *const *command)
{
    char line[4096] = "";
    size_t used = 0;

    for (char *const *word = command; *word != NULL && used < sizeof line; word++) {
        int n = snprintf(line + used, sizeof line - used, "%s ", *word);
        used += n > 0 ? (size_t)n : 0;
    }
    const char *what = fo_wrapper_starts(line);
    for (char *const *word = command + 1; *word != NULL && what == NULL; word++)
        what = strchr(*word, ' ') != NULL ? fo_wrapper_in(*word) : NULL;
    return what;
}

static void check_command(struct search *s, char *const *command)
{
    char path[PATH_MAX];

    if (fo_program_look_up(command[0], path))
        check_file(s, path);
    const char *what = has_reason(s) ? NULL : wrapper_in(command);
    if (what != NULL)
        set_reason(s->model, "environment", "%s", what);
    for (char *const *word = command + 1; *word != NULL && !has_reason(s); word++)
        check_words(s, *word);
}

/* --- the journal ------------------------------------------------------------------------------ */

static const char *plural(uint64_t n)
{
    return n == 1 ? "" : "es";
}

static uint64_t count_seen(const struct fo_model *model)
{
    uint64_t n = 0;

    for (size_t i = 0; i < model->process_count; i++)
        n += model->processes[i].guard == FO_JOURNAL_SEEN;
    return n;
}

void fo_run_unguarded(struct fo_model *model, char *const *command)
{
    struct search s = {.model = model};
    uint64_t seen = count_seen(model);

    if (model->guarded != 0 || model->left != 0 || model->excluded != 0)
        return;
    if (model->unprotected != 0)
        set_reason(model, "unprotected", "each process that used OpenSSL ran unprotected");
    else if (model->older != 0)
        set_reason(model, "openssl-1.1",
                   "%" PRIu64 " process%s used OpenSSL 1.1, and the library guards OpenSSL 3 and 4",
                   model->older, plural(model->older));
    else if (command != NULL)
        check_command(&s, command);
    if (has_reason(&s))
        return;
    if (seen != 0)
        set_reason(model, "unused", "OpenSSL was loaded in %" PRIu64 " process%s and not used",
                   seen, plural(seen));
    else if (command != NULL)
        set_reason(
            model, "none",
            "no process used OpenSSL 3 or 4 with the library in front (static, 32-bit, setuid and "
            "musl programs do not load it, nor does a program that sudo or env -i starts)");
}
