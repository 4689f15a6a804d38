/* See settings.h.  The library says for each option its name, its kind and where its value is; what
 * it calls otherwise than this command is left out. */
#include "cli/inspect/settings.h"

#include <stdlib.h>
#include <string.h>

#include "cli/model/clean.h"
#include "options/values.h"

/* One for each option, so that all of them have the same type. */
#define FO_OPTION(member, NAME, kind, choices, fallback, help, ...)                                \
    static void show_##member(struct fo_text *t, const void *value)                                \
    {                                                                                              \
        fo_show_##kind(t, value, choices);                                                         \
    }
#include "options/options.def"
#undef FO_OPTION

static const struct known {
    const char *name, *kind, *choices;
    size_t size;
    const void *fallback; /* after fo_options_read(NULL) */
    void (*show)(struct fo_text *t, const void *value);
} known[] = {
#define FO_OPTION(member, NAME, kind, choices, fallback, help, ...)                                \
    {#NAME, #kind, choices, sizeof fo_options.member, &fo_options.member, show_##member},
#include "options/options.def"
#undef FO_OPTION
};

union value {
    char text[FO_TEXT_MAX];
    uint64_t number;
    uint32_t choice;
    uint8_t flag;
};

static uint32_t count_choices(const char *choices)
{
    uint32_t count = 1;

    for (; *choices != '\0'; choices++)
        count += *choices == '|';
    return count;
}

/* May it be shown?  The library's functions for that trust its parser. */
static bool is_value(const struct known *k, union value *v)
{
    if (strcmp(k->kind, "flag") == 0)
        return v->flag <= 1;
    if (strcmp(k->kind, "choice") == 0)
        return v->choice < count_choices(k->choices);
    v->text[sizeof v->text - 1] = '\0';
    return true;
}

static void show(const struct known *k, const void *value, char out[FO_TEXT_MAX])
{
    struct fo_text t = {out, FO_TEXT_MAX - 1, 0};

    k->show(&t, value);
    out[t.used] = '\0';
    fo_clean(out, out);
}

static void read_value(struct fo_target *t, const struct known *k, const struct fo_field *place,
                       struct fo_setting *s)
{
    union value value = {{0}};
    char fallback[FO_TEXT_MAX];

    if (place->size != k->size || place->size > sizeof value || place->offset > 1 << 20 ||
        !fo_source_read(t->source, t->d.options + place->offset, &value, place->size) ||
        !is_value(k, &value))
        return;
    show(k, &value, s->value);
    show(k, k->fallback, fallback);
    s->known = true;
    s->changed = strcmp(s->value, fallback) != 0;
}

/* The next text of the library's list, and what follows it; NULL: the list is at its end. */
static const char *next(const char **at, const char *end)
{
    const char *text = *at;
    size_t length = text < end ? strnlen(text, (size_t)(end - text)) : 0;

    if (text >= end || text + length == end)
        return NULL;
    *at = text + length + 1;
    return text;
}

static void match(struct fo_target *t, const char *name, const char *kind,
                  const struct fo_field *place, struct fo_setting *settings)
{
    for (unsigned i = 0; i < FO_OPTION_COUNT; i++)
        if (strcmp(name, known[i].name) == 0 && strcmp(kind, known[i].kind) == 0)
            read_value(t, &known[i], place, &settings[i]);
}

void fo_settings_read(struct fo_target *t, struct fo_setting settings[FO_OPTION_COUNT])
{
    const struct fo_description *d = &t->d;
    size_t size = d->option_count * sizeof(struct fo_field);
    struct fo_field *places = malloc(size);
    char *names = malloc(d->option_names_size);

    fo_options_read(NULL);
    for (unsigned i = 0; i < FO_OPTION_COUNT; i++)
        settings[i] = (struct fo_setting){.name = known[i].name};
    if (places != NULL && names != NULL &&
        fo_source_read(t->source, d->option_places, places, size) &&
        fo_source_read(t->source, d->option_names, names, d->option_names_size)) {
        const char *at = names, *end = names + d->option_names_size;
        for (uint32_t i = 0; i < d->option_count; i++) {
            const char *name = next(&at, end), *kind = next(&at, end), *choices = next(&at, end);
            if (choices != NULL)
                match(t, name, kind, &places[i], settings);
        }
    }
    free(places);
    free(names);
}
