/* The parser of FREEONCE_ variables, made from options.def.  Called once by the constructor and,
 * for the messages, when OpenSSL shows up. */
#include "core/options.h"

#include <string.h>

#include "core/nearest.h"
#include "report/format.h"
#include "report/output.h"

struct fo_options fo_options;

static const char prefix[] = "FREEONCE_";
enum { PREFIX_LENGTH = sizeof prefix - 1, PROBLEMS_MAX = 8 };

/* What was not understood, kept until somebody may be told. */
static struct problem {
    char name[48], value[80];
    const char *choices; /* NULL: the name itself is unknown */
} problems[PROBLEMS_MAX];
static unsigned problem_count;

static void copy(char *out, size_t size, const char *in)
{
    size_t n = strnlen(in, size - 1);
    memcpy(out, in, n);
    out[n] = '\0';
}

static bool parse_text(fo_option_text *out, const char *value, const char *choices)
{
    (void)choices;
    if (strlen(value) >= FO_TEXT_MAX)
        return false;
    copy(*out, FO_TEXT_MAX, value);
    return true;
}

static bool parse_flag(bool *out, const char *value, const char *choices)
{
    (void)choices;
    if ((value[0] != '0' && value[0] != '1') || value[1] != '\0')
        return false;
    *out = value[0] == '1';
    return true;
}

static bool parse_size(size_t *out, const char *value, const char *choices)
{
    uint64_t n = 0;
    const char *at = value;

    (void)choices;
    for (; *at >= '0' && *at <= '9'; at++) {
        n = n * 10 + (uint64_t)(*at - '0');
        if (n >> 40 != 0)
            return false;
    }
    if (at == value)
        return false;
    static const char units[] = "KMG";
    const char *unit = *at >= 'A' ? strchr(units, *at & ~0x20) : NULL; /* in either case */
    if (unit != NULL) {
        long shift = 10 * (unit - units + 1);
        if (n >> (40 - shift) != 0)
            return false;
        n <<= shift;
        at++;
    }
    if (*at != '\0' || n >> 40 != 0)
        return false;
    *out = (size_t)n;
    return true;
}

/* 1/N as N, 0 and 1 as they are. */
static bool parse_rate(fo_option_rate *out, const char *value, const char *choices)
{
    bool fraction = strncmp(value, "1/", 2) == 0;
    size_t n;

    if (!parse_size(&n, fraction ? value + 2 : value, choices))
        return false;
    if (fraction ? n == 0 || n > FO_RATE_MAX : n > 1)
        return false;
    *out = (fo_option_rate)n;
    return true;
}

/* The index of value among the '|'-separated choices, or -1. */
static int choice_index(const char *value, size_t length, const char *choices)
{
    for (int index = 0; *choices != '\0'; index++) {
        size_t n = strcspn(choices, "|");
        if (n == length && memcmp(value, choices, n) == 0)
            return index;
        choices += n + (choices[n] == '|');
    }
    return -1;
}

static bool parse_choice(unsigned *out, const char *value, const char *choices)
{
    int index = choice_index(value, strlen(value), choices);
    if (index < 0)
        return false;
    *out = (unsigned)index;
    return true;
}

static bool parse_cures(unsigned *out, const char *value, const char *choices)
{
    unsigned cures = 0;

    (void)choices;
    if (strcmp(value, "all") == 0)
        cures = FO_CURES_ALL;
    else if (strcmp(value, "none") != 0 && strcmp(value, "0") != 0)
        for (const char *at = value; *at != '\0';) {
            size_t n = strcspn(at, ",");
            int index = choice_index(at, n, "state|exit|locks|identity");
            if (index < 0)
                return false;
            cures |= 1u << index;
            at += n + (at[n] == ',');
        }
    *out = cures;
    return true;
}

static bool parse_action(fo_option_action *out, const char *value, const char *choices)
{
    size_t status;

    (void)choices;
    if (strcmp(value, "skip") == 0)
        *out = (fo_option_action){FO_ON_ERROR_SKIP, 0};
    else if (strcmp(value, "abort") == 0)
        *out = (fo_option_action){FO_ON_ERROR_ABORT, 0};
    else if (strncmp(value, "exit:", 5) == 0 && parse_size(&status, value + 5, "") && status < 256)
        *out = (fo_option_action){FO_ON_ERROR_EXIT, (int)status};
    else
        return false;
    return true;
}

static bool set(const char *name, const char *value, const char **choices_of)
{
#define FO_OPTION(member, NAME, kind, choices, fallback, help)                                     \
    if (strcmp(name, #NAME) == 0) {                                                                \
        *choices_of = choices;                                                                     \
        return parse_##kind(&fo_options.member, value, choices);                                   \
    }
#include "core/options.def"
#undef FO_OPTION
    *choices_of = NULL;
    return false;
}

static void read_one(const char *variable)
{
    const char *equals = strchr(variable, '=');
    char name[48];
    const char *choices;

    if (equals == NULL)
        return;
    size_t length = (size_t)(equals - variable) - PREFIX_LENGTH;
    if (length >= sizeof name)
        length = sizeof name - 1;
    memcpy(name, variable + PREFIX_LENGTH, length);
    name[length] = '\0';
    if (set(name, equals + 1, &choices) || problem_count == PROBLEMS_MAX)
        return;
    struct problem *p = &problems[problem_count++];
    copy(p->name, sizeof p->name, name);
    copy(p->value, sizeof p->value, equals + 1);
    p->choices = choices;
}

void fo_options_read(char *const *envp)
{
    const char *ignored;

    problem_count = 0;
#define FO_OPTION(member, NAME, kind, choices, fallback, help) set(#NAME, fallback, &ignored);
#include "core/options.def"
#undef FO_OPTION
    for (; envp != NULL && *envp != NULL; envp++)
        if (strncmp(*envp, prefix, PREFIX_LENGTH) == 0)
            read_one(*envp);
}

static void complain_one(const struct problem *p)
{
    static const char names[] =
#define FO_OPTION(member, NAME, kind, choices, fallback, help) #NAME "|"
#include "core/options.def"
#undef FO_OPTION
        ;
    char line[400], nearest[32];
    struct fo_text t = FO_TEXT(line);
    bool near = fo_nearest_choice(p->choices != NULL ? p->value : p->name,
                                  p->choices != NULL ? p->choices : names, nearest, sizeof nearest);

    if (p->choices == NULL) {
        fo_put(&t, "there is no option FREEONCE_");
        fo_put(&t, p->name);
    } else {
        fo_put(&t, "FREEONCE_");
        fo_put(&t, p->name);
        fo_put(&t, "=");
        fo_put(&t, p->value);
        fo_put(&t, " is none of ");
        fo_put(&t, p->choices);
    }
    fo_put(&t, ", ignored");
    if (near) {
        fo_put(&t, "; did you mean FREEONCE_");
        if (p->choices != NULL) {
            fo_put(&t, p->name);
            fo_put(&t, "=");
        }
        fo_put(&t, nearest);
        fo_put(&t, "?");
    }
    fo_say(&t);
}

unsigned fo_options_complain(void)
{
    for (unsigned i = 0; i < problem_count; i++)
        complain_one(&problems[i]);
    return problem_count;
}

static void list_text(struct fo_text *t, const fo_option_text *v, const char *choices)
{
    (void)choices;
    fo_put(t, *v);
}

static void list_flag(struct fo_text *t, const bool *v, const char *choices)
{
    (void)choices;
    fo_put_dec(t, *v);
}

static void list_size(struct fo_text *t, const size_t *v, const char *choices)
{
    (void)choices;
    fo_put_dec(t, *v);
}

static void list_rate(struct fo_text *t, const fo_option_rate *v, const char *choices)
{
    (void)choices;
    fo_put(t, *v > 1 ? "1/" : "");
    fo_put_dec(t, *v);
}

static void list_choice(struct fo_text *t, const unsigned *v, const char *choices)
{
    for (unsigned skip = *v; skip > 0; skip--)
        choices = strchr(choices, '|') + 1;
    while (*choices != '\0' && *choices != '|')
        fo_put_char(t, *choices++);
}

static void list_cures(struct fo_text *t, const unsigned *v, const char *choices)
{
    static const char *const names[] = {"state", "exit", "locks", "identity"};
    const char *comma = "";

    (void)choices;
    if (*v == FO_CURES_ALL || *v == 0) {
        fo_put(t, *v == 0 ? "none" : "all");
        return;
    }
    for (unsigned i = 0; i < 4; i++)
        if ((*v & 1u << i) != 0) {
            fo_put(t, comma);
            fo_put(t, names[i]);
            comma = ",";
        }
}

static void list_action(struct fo_text *t, const fo_option_action *v, const char *choices)
{
    (void)choices;
    fo_put(t, v->what == FO_ON_ERROR_SKIP    ? "skip"
              : v->what == FO_ON_ERROR_ABORT ? "abort"
                                             : "exit:");
    if (v->what == FO_ON_ERROR_EXIT)
        fo_put_dec(t, (uint64_t)v->status);
}

void fo_options_list(char *out, size_t size)
{
    struct fo_text t = {out, size - 1, 0};

#define FO_OPTION(member, NAME, kind, choices, fallback, help)                                     \
    fo_put(&t, " " #NAME "=");                                                                     \
    list_##kind(&t, &fo_options.member, choices);
#include "core/options.def"
#undef FO_OPTION
    out[t.used] = '\0';
}
