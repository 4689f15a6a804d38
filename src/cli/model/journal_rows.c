/* See journal_rows.h: whole rows, references, and the tables of strings and modules. */
#include "cli/model/journal_rows.h"

#include <stdio.h>
#include <string.h>

bool fo_row_is_whole(struct fo_model *model, const struct fo_journal_row *row, const void *body,
                     size_t size)
{
    if (row->key == 0 && row->state == FO_JOURNAL_FREE)
        return false;
    if (row->state == FO_JOURNAL_FREE || row->state == FO_JOURNAL_WRITING) {
        model->unfinished++;
        return false;
    }
    if (row->state > FO_JOURNAL_KEPT || row->check != fo_journal_check(body, size)) {
        model->damaged++;
        return false;
    }
    return true;
}

const char *fo_row_text(struct fo_model *model, const char *text, size_t size)
{
    char out[256] = "";

    memcpy(out, text, strnlen(text, size < sizeof out ? size : sizeof out - 1));
    return fo_model_string(model, out);
}

static void read_strings(struct fo_reading *r)
{
    for (size_t i = 0; i < FO_JOURNAL_STRINGS; i++) {
        const struct fo_journal_string *s = &r->journal->strings[i];
        if (fo_row_is_whole(r->model, &s->row, s->text, sizeof s->text))
            r->strings[i] = fo_row_text(r->model, s->text, sizeof s->text);
    }
}

static const char *hexadecimal(struct fo_model *model, const uint8_t *data, size_t size)
{
    char out[65] = "";

    for (size_t i = 0; i < size && i < 32; i++)
        snprintf(out + 2 * i, 3, "%02x", data[i]);
    return fo_model_string(model, out);
}

static void read_modules(struct fo_reading *r)
{
    for (size_t i = 0; i < FO_JOURNAL_MODULES; i++) {
        const struct fo_journal_module *m = &r->journal->modules[i];
        if (!fo_row_is_whole(r->model, &m->row, &m->build_id_length,
                             sizeof *m - offsetof(struct fo_journal_module, build_id_length)))
            continue;
        r->modules[i].module = fo_row_text(r->model, m->path, sizeof m->path);
        if (m->build_id_length != 0)
            r->modules[i].build_id = hexadecimal(r->model, m->build_id, m->build_id_length);
    }
}

const char *fo_row_string(const struct fo_reading *r, struct fo_journal_reference reference)
{
    uint32_t row;

    return fo_journal_refers(reference, FO_JOURNAL_STRINGS, &row) ? r->strings[row] : NULL;
}

struct fo_code fo_row_code(const struct fo_reading *r, const struct fo_journal_code *c)
{
    struct fo_code code = {.module = NULL};
    uint32_t row;

    if (fo_journal_refers(c->module, FO_JOURNAL_MODULES, &row))
        code = r->modules[row];
    code.address = c->address;
    return code;
}

void fo_read_names(struct fo_reading *r)
{
    read_strings(r);
    read_modules(r);
}
