/* See values.h. */
#include "options/values.h"

#include <string.h>

bool fo_parse_text(fo_option_text *out, const char *value, const char *choices)
{
    (void)choices;
    if (strlen(value) >= FO_TEXT_MAX)
        return false;
    memcpy(*out, value, strlen(value) + 1);
    return true;
}

bool fo_parse_flag(bool *out, const char *value, const char *choices)
{
    (void)choices;
    if ((value[0] != '0' && value[0] != '1') || value[1] != '\0')
        return false;
    *out = value[0] == '1';
    return true;
}

/* Read a number less than 2^40; returns its end.  NULL: there is no number. */
static const char *read_size(uint64_t *out, const char *at)
{
    static const char units[] = "KMG";
    const char *first = at;
    uint64_t n = 0;

    for (; *at >= '0' && *at <= '9'; at++) {
        n = n * 10 + (uint64_t)(*at - '0');
        if (n >> 40 != 0)
            return NULL;
    }
    if (at == first)
        return NULL;
    const char *unit = *at >= 'A' ? strchr(units, *at & ~0x20) : NULL; /* upper or lower case */
    if (unit != NULL) {
        long shift = 10 * (unit - units + 1);
        if (n >> (40 - shift) != 0)
            return NULL;
        n <<= shift;
        at++;
    }
    *out = n;
    return at;
}

/* Choices can be "least to most". */
bool fo_parse_size(size_t *out, const char *value, const char *choices)
{
    uint64_t n = 0, least = 0, most = 0;
    const char *end = read_size(&n, value), *to = read_size(&least, choices);

    if (end == NULL || *end != '\0')
        return false;
    if (to != NULL && strncmp(to, " to ", 4) == 0 && read_size(&most, to + 4) != NULL &&
        (n < least || n > most))
        return false;
    *out = (size_t)n;
    return true;
}

/* 1/N as N, 0 and 1 as they are. */
bool fo_parse_rate(fo_option_rate *out, const char *value, const char *choices)
{
    bool fraction = strncmp(value, "1/", 2) == 0;
    size_t n;

    if (!fo_parse_size(&n, fraction ? value + 2 : value, choices))
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

/* One of the words, or a path, which must have a slash: so a misspelt word is not taken for a file.
 */
bool fo_parse_place(fo_option_place *out, const char *value, const char *choices)
{
    bool word = choice_index(value, strlen(value), choices) >= 0;

    return (word || strchr(value, '/') != NULL) && fo_parse_text(out, value, choices);
}

bool fo_parse_choice(unsigned *out, const char *value, const char *choices)
{
    int index = choice_index(value, strlen(value), choices);
    if (index < 0)
        return false;
    *out = (unsigned)index;
    return true;
}

bool fo_parse_cures(unsigned *out, const char *value, const char *choices)
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

bool fo_parse_action(fo_option_action *out, const char *value, const char *choices)
{
    size_t status;

    (void)choices;
    if (strcmp(value, "skip") == 0)
        *out = (fo_option_action){FO_ON_ERROR_SKIP, 0};
    else if (strcmp(value, "abort") == 0)
        *out = (fo_option_action){FO_ON_ERROR_ABORT, 0};
    else if (strncmp(value, "exit:", 5) == 0 && fo_parse_size(&status, value + 5, "") &&
             status < 256)
        *out = (fo_option_action){FO_ON_ERROR_EXIT, (int)status};
    else
        return false;
    return true;
}

void fo_show_text(struct fo_text *t, const fo_option_text *v, const char *choices)
{
    (void)choices;
    fo_put(t, *v);
}

void fo_show_place(struct fo_text *t, const fo_option_place *v, const char *choices)
{
    fo_show_text(t, v, choices);
}

void fo_show_flag(struct fo_text *t, const bool *v, const char *choices)
{
    (void)choices;
    fo_put_dec(t, *v);
}

bool fo_counts_bytes(const char *choices)
{
    return strcmp(choices, "bytes") == 0 || strpbrk(choices, "KMG") != NULL;
}

/* 16G, not 17179869184; a number of other things has no unit. */
void fo_show_size(struct fo_text *t, const size_t *v, const char *choices)
{
    unsigned shift = 0;

    if (*v != 0 && fo_counts_bytes(choices))
        while (shift < 30 && (*v >> shift & 1023) == 0)
            shift += 10;
    fo_put_dec(t, *v >> shift);
    fo_put(t, shift == 30 ? "G" : shift == 20 ? "M" : shift == 10 ? "K" : "");
}

void fo_show_rate(struct fo_text *t, const fo_option_rate *v, const char *choices)
{
    (void)choices;
    fo_put(t, *v > 1 ? "1/" : "");
    fo_put_dec(t, *v);
}

void fo_show_choice(struct fo_text *t, const unsigned *v, const char *choices)
{
    for (unsigned skip = *v; skip > 0; skip--)
        choices = strchr(choices, '|') + 1;
    while (*choices != '\0' && *choices != '|')
        fo_put_char(t, *choices++);
}

const char *const fo_cure_names[FO_CURE_COUNT] = {"state", "exit", "locks", "identity"};

void fo_show_cures(struct fo_text *t, const unsigned *v, const char *choices)
{
    const char *comma = "";

    (void)choices;
    if (*v == FO_CURES_ALL || *v == 0) {
        fo_put(t, *v == 0 ? "none" : "all");
        return;
    }
    for (unsigned i = 0; i < FO_CURE_COUNT; i++)
        if ((*v & 1u << i) != 0) {
            fo_put(t, comma);
            fo_put(t, fo_cure_names[i]);
            comma = ",";
        }
}

void fo_show_action(struct fo_text *t, const fo_option_action *v, const char *choices)
{
    (void)choices;
    fo_put(t, v->what == FO_ON_ERROR_SKIP    ? "skip"
              : v->what == FO_ON_ERROR_ABORT ? "abort"
                                             : "exit:");
    if (v->what == FO_ON_ERROR_EXIT)
        fo_put_dec(t, (uint64_t)v->status);
}
