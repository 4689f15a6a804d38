/* The parser of FREEONCE_ variables and of /etc/freeonce.conf, made from options.def.  Called once
 * by the constructor and, for the messages, when OpenSSL is loaded. */
#include "options/options.h"

#include <string.h>

#include "base/nearest.h"
#include "options/values.h"

struct fo_options fo_options;
char fo_run_told[FO_TEXT_MAX + 32];

static const char prefix[] = "FREEONCE_";
enum { PREFIX_LENGTH = sizeof prefix - 1, PROBLEMS_MAX = 16 };

/* What was not understood, kept until messages can be printed. */
static FO_BULKY struct problem {
    char name[48], value[80];
    const char *choices; /* NULL: the name itself is unknown */
    const char *wrong;   /* of a line that cannot be read; else NULL */
    unsigned line;       /* of the file; 0: in the environment */
    bool bare;           /* the name was written without FREEONCE_ */
} problems[PROBLEMS_MAX];
static unsigned problem_count;  /* beyond PROBLEMS_MAX they are only counted */
static unsigned reported_count; /* of the environment, by `freeonce run` */
static unsigned environment_count;

static struct fo_option_source sources[FO_OPTION_COUNT], source; /* and of what is being read */
static const struct fo_conf *conf;                               /* the file read, or NULL */

static void copy(char *out, size_t size, const char *in)
{
    size_t n = strnlen(in, size - 1);
    memcpy(out, in, n);
    out[n] = '\0';
}

static bool set(const char *name, const char *value, const char **choices_of)
{
#define FO_OPTION(member, NAME, kind, choices, fallback, help, ...)                                \
    if (strcmp(name, #NAME) == 0) {                                                                \
        *choices_of = choices;                                                                     \
        if (!fo_parse_##kind(&fo_options.member, value, choices))                                  \
            return false;                                                                          \
        sources[FO_INDEX_##NAME] = source;                                                         \
        return true;                                                                               \
    }
#include "options/options.def"
#undef FO_OPTION
    *choices_of = NULL;
    return false;
}

static struct problem *new_problem(void)
{
    static FO_BULKY struct problem overflow;
    struct problem *p = problem_count < PROBLEMS_MAX ? &problems[problem_count] : &overflow;

    problem_count++;
    *p = (struct problem){.line = source.line};
    return p;
}

static void set_or_record(const char *name, const char *value, bool bare)
{
    const char *choices = NULL;

    if (!bare && set(name, value, &choices))
        return;
    struct problem *p = new_problem();
    copy(p->name, sizeof p->name, name);
    copy(p->value, sizeof p->value, value);
    p->choices = choices;
    p->bare = bare;
}

static void read_one(const char *variable)
{
    const char *equals = strchr(variable, '=');
    char name[48];

    if (equals == NULL)
        return;
    size_t length = (size_t)(equals - variable) - PREFIX_LENGTH;
    if (length >= sizeof name)
        length = sizeof name - 1;
    memcpy(name, variable + PREFIX_LENGTH, length);
    name[length] = '\0';
    if (strcmp(name, "LIBRARY") != 0) /* read by the command; see cli/library.h */
        set_or_record(name, equals + 1, false);
}

static bool is_of_run(const char *variable)
{
    return strncmp(variable, FO_RUN_VARIABLE, sizeof FO_RUN_VARIABLE - 1) == 0;
}

/* "N:NAME:JOURNAL" */
static void read_run(const char *value)
{
    enum { DIGITS_MAX = 3 };

    reported_count = 0;
    for (int i = 0; i < DIGITS_MAX && *value >= '0' && *value <= '9'; i++)
        reported_count = reported_count * 10 + (unsigned)(*value++ - '0');
    if (*value == ':')
        copy(fo_run_told, sizeof fo_run_told, value + 1);
}

void fo_options_read(char *const *envp)
{
    const char *ignored;

    problem_count = reported_count = 0;
    conf = NULL;
    source = (struct fo_option_source){FO_FROM_DEFAULT, 0};
#define FO_OPTION(member, NAME, kind, choices, fallback, help, ...) set(#NAME, fallback, &ignored);
#include "options/options.def"
#undef FO_OPTION
    source.from = FO_FROM_ENVIRONMENT;
    for (; envp != NULL && *envp != NULL; envp++)
        if (strncmp(*envp, prefix, PREFIX_LENGTH) == 0)
            read_one(*envp);
        else if (is_of_run(*envp))
            read_run(*envp + sizeof FO_RUN_VARIABLE - 1);
    environment_count = fo_options_problems();
}

void fo_options_remove(char **envp)
{
    char **kept = envp;

    for (; *envp != NULL; envp++)
        if (strncmp(*envp, prefix, PREFIX_LENGTH) != 0 && !is_of_run(*envp))
            *kept++ = *envp;
    *kept = NULL;
}

static const char *base_name(const char *path)
{
    const char *slash = path != NULL ? strrchr(path, '/') : NULL;

    return slash != NULL ? slash + 1 : path != NULL ? path : "";
}

/* A line of another program's section is skipped.  If all lines are to be checked, it is set, which
 * may fail, and undone.  So is a line for what the environment has set. */
static void read_setting(const struct fo_conf_line *line, bool applies, bool check)
{
    static FO_BULKY struct fo_options kept;
    static FO_BULKY struct fo_option_source kept_sources[FO_OPTION_COUNT];
    bool bare = strncmp(line->name, prefix, PREFIX_LENGTH) != 0;

    if (!applies && !check)
        return;
    kept = fo_options;
    memcpy(kept_sources, sources, sizeof sources);
    set_or_record(bare ? line->name : line->name + PREFIX_LENGTH, line->value, bare);
    for (unsigned i = 0; i < FO_OPTION_COUNT; i++)
        if (kept_sources[i].from == FO_FROM_ENVIRONMENT && sources[i].from == FO_FROM_FILE)
            applies = false;
    if (applies)
        return;
    fo_options = kept;
    memcpy(sources, kept_sources, sizeof sources);
}

void fo_options_read_conf(struct fo_conf *file, const char *program, bool check)
{
    struct fo_conf_line line;
    bool applies = true;

    conf = file;
    source.from = FO_FROM_FILE;
    if (file->state != FO_CONF_GOOD && !check)
        return;
    while (fo_conf_next(file, &line)) {
        source.line = line.number;
        if (line.kind == FO_CONF_SECTION)
            applies = strcmp(line.name, base_name(program)) == 0;
        else if (line.kind == FO_CONF_SETTING)
            read_setting(&line, applies, check);
        else {
            new_problem()->wrong = line.wrong;
            applies &= line.kind != FO_CONF_WRONG_SECTION; /* the next lines have no program */
        }
    }
    source.line = 0;
}

bool fo_options_are_obeyed(void)
{
    return conf == NULL || conf->state == FO_CONF_GOOD || conf->state == FO_CONF_ABSENT;
}

unsigned fo_options_problems(void)
{
    unsigned shown = problem_count <= PROBLEMS_MAX ? problem_count : PROBLEMS_MAX + 1;

    return shown + !fo_options_are_obeyed();
}

bool fo_options_is_reported(unsigned i)
{
    if (!fo_options_are_obeyed() && i-- == 0)
        return false;
    return reported_count == environment_count && i < environment_count;
}

/* Words, or numbers: "8M to 64G", "bytes", "number". */
static void put_needed(struct fo_text *t, const char *choices)
{
    bool is_range = strstr(choices, " to ") != NULL, bytes = fo_counts_bytes(choices);

    if (!is_range && strcmp(choices, "bytes") != 0 && strcmp(choices, "number") != 0) {
        fo_put(t, " is none of ");
        fo_put(t, choices);
        return;
    }
    fo_put(t, bytes ? ": bytes" : ": a number");
    fo_put(t, is_range ? " from " : "");
    fo_put(t, is_range ? choices : "");
    fo_put(t, bytes ? " are needed, as 16M" : " is needed");
}

static void put_what_is_wrong(struct fo_text *t, const struct problem *p, bool ignored)
{
    const char *start = p->bare ? "" : prefix;

    if (p->wrong != NULL) {
        fo_put(t, p->wrong);
    } else if (p->choices == NULL) {
        fo_put(t, "there is no option ");
        fo_put(t, start);
        fo_put(t, p->name);
    } else {
        fo_put(t, start);
        fo_put(t, p->name);
        fo_put(t, "=");
        fo_put(t, p->value);
        put_needed(t, p->choices);
    }
    fo_put(t, ignored ? ", ignored" : "");
}

static void put_suggestion(struct fo_text *t, const struct problem *p)
{
    static const char names[] =
#define FO_OPTION(member, NAME, kind, choices, fallback, help, ...) #NAME "|"
#include "options/options.def"
#undef FO_OPTION
        ;
    char nearest[32];

    if (p->wrong != NULL || (p->choices != NULL && strchr(p->choices, '|') == NULL) ||
        !fo_nearest_choice(p->choices != NULL ? p->value : p->name,
                           p->choices != NULL ? p->choices : names, nearest, sizeof nearest))
        return;
    fo_put(t, "; did you mean FREEONCE_");
    if (p->choices != NULL) {
        fo_put(t, p->name);
        fo_put(t, "=");
    }
    fo_put(t, nearest);
    fo_put(t, "?");
}

static void put_problem(struct fo_text *t, unsigned i, bool ignored)
{
    if (!fo_options_are_obeyed() && i-- == 0) {
        fo_conf_put_reason(t, conf);
        return;
    }
    if (i >= PROBLEMS_MAX) {
        fo_put_dec(t, problem_count - PROBLEMS_MAX);
        fo_put(t, " more options or lines that are wrong, ignored");
        return;
    }
    if (problems[i].line != 0) {
        fo_put(t, conf->path);
        fo_put(t, ":");
        fo_put_dec(t, problems[i].line);
        fo_put(t, ": ");
    }
    put_what_is_wrong(t, &problems[i], ignored);
    put_suggestion(t, &problems[i]);
}

void fo_options_put_problem(struct fo_text *t, unsigned i)
{
    put_problem(t, i, true);
}

void fo_options_put_mistake(struct fo_text *t, unsigned i)
{
    put_problem(t, i, false);
}

struct fo_option_source fo_options_source(enum fo_option_index i)
{
    return sources[i];
}

void fo_options_put_value(struct fo_text *t, enum fo_option_index i)
{
    switch (i) {
#define FO_OPTION(member, NAME, kind, choices, fallback, help, ...)                                \
    case FO_INDEX_##NAME:                                                                          \
        fo_show_##kind(t, &fo_options.member, choices);                                            \
        break;
#include "options/options.def"
#undef FO_OPTION
    default:
        break;
    }
}

static const char *const names[] = {
#define FO_OPTION(member, NAME, kind, choices, fallback, help, ...) #NAME,
#include "options/options.def"
#undef FO_OPTION
};

void fo_options_list(char *out, size_t size)
{
    struct fo_text t = {out, size - 1, 0};

    for (unsigned i = 0; i < FO_OPTION_COUNT; i++) {
        fo_put(&t, " ");
        fo_put(&t, names[i]);
        fo_put(&t, "=");
        fo_options_put_value(&t, i);
    }
    out[t.used] = '\0';
}

bool fo_options_list_file(struct fo_text *t)
{
    const char *before = ": ";

    if (conf == NULL || conf->state != FO_CONF_GOOD)
        return false;
    fo_put(t, conf->path);
    for (unsigned i = 0; i < FO_OPTION_COUNT; i++)
        if (sources[i].from == FO_FROM_FILE) {
            fo_put(t, before);
            fo_put(t, names[i]);
            fo_put(t, " (line ");
            fo_put_dec(t, sources[i].line);
            fo_put(t, ")");
            before = ", ";
        }
    fo_put(t, *before == ':' ? ": nothing for this program" : "");
    return true;
}
