/* The rows of doctor.h, and how they are shown. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/doctor/doctor.h"
#include "cli/exit.h"
#include "cli/message.h"
#include "cli/model/clean.h"
#include "cli/output/json_parts.h"
#include "cli/systemd/unit.h"

static const char *const states[] = {"ok", "warning", "failure"};

void fo_row(struct fo_doctor *d, enum fo_row_state state, const char *check, const char *next,
            const char *format, ...)
{
    va_list arguments;
    char *text;

    va_start(arguments, format);
    int length = vasprintf(&text, format, arguments);
    va_end(arguments);
    struct fo_row *rows = length < 0 ? NULL : reallocarray(d->rows, d->count + 1, sizeof *d->rows);
    if (rows == NULL) {
        fo_error("there is no memory");
        exit(FO_EXIT_SOFTWARE);
    }
    fo_clean(text, text); /* it names files, and what others wrote into them */
    d->rows = rows;
    d->rows[d->count++] = (struct fo_row){state, check, fo_string_copy(text, strlen(text)), next};
    free(text);
}

enum fo_row_state fo_doctor_worst(const struct fo_doctor *d)
{
    enum fo_row_state worst = FO_ROW_OK;

    for (size_t i = 0; i < d->count; i++)
        worst = d->rows[i].state > worst ? d->rows[i].state : worst;
    return worst;
}

static size_t count(const struct fo_doctor *d, enum fo_row_state state)
{
    size_t n = 0;

    for (size_t i = 0; i < d->count; i++)
        n += d->rows[i].state == state;
    return n;
}

/* What all rows together mean. */
static const char *verdict(const struct fo_doctor *d)
{
    bool runs = strcmp(d->kind, "process") == 0;

    if (fo_doctor_worst(d) == FO_ROW_FAILURE)
        return runs ? "is not guarded" : "will not be guarded";
    return runs ? "is guarded" : "can be guarded";
}

void fo_doctor_text(const struct fo_doctor *d)
{
    static const char *const colours[] = {"\033[32m", "\033[33m", "\033[31m"};
    bool coloured = fo_colours(stdout);
    char *target = fo_clean_copy(d->target);

    for (size_t i = 0; i < d->count; i++) {
        const struct fo_row *r = &d->rows[i];
        printf("%s%-7s%s  %-11s  %s\n", coloured ? colours[r->state] : "", states[r->state],
               coloured ? "\033[0m" : "", r->check, r->text);
        char *next = r->next != NULL ? fo_clean_copy(r->next) : NULL;
        if (next != NULL)
            printf("%24s%s\n", "next: ", next);
        free(next);
    }
    printf("\n%s %s: %zu ok, %zu warning%s, %zu failure%s\n", target, verdict(d),
           count(d, FO_ROW_OK), count(d, FO_ROW_WARNING), count(d, FO_ROW_WARNING) == 1 ? "" : "s",
           count(d, FO_ROW_FAILURE), count(d, FO_ROW_FAILURE) == 1 ? "" : "s");
    free(target);
}

void fo_doctor_json(const struct fo_doctor *d)
{
    json_t *all = fo_json_object(), *rows = fo_json_array();

    fo_json_set(all, "target", fo_json_text(d->target));
    fo_json_set(all, "kind", fo_json_text(d->kind));
    fo_json_set(all, "state", fo_json_text(states[fo_doctor_worst(d)]));
    for (size_t i = 0; i < d->count; i++) {
        json_t *row = fo_json_object();
        fo_json_set(row, "check", fo_json_text(d->rows[i].check));
        fo_json_set(row, "state", fo_json_text(states[d->rows[i].state]));
        fo_json_set(row, "text", fo_json_text(d->rows[i].text));
        fo_json_set(row, "next", fo_json_text(d->rows[i].next));
        fo_json_add(rows, row);
    }
    fo_json_set(all, "rows", rows);
    json_dumpf(all, stdout, JSON_INDENT(2));
    putchar('\n');
    json_decref(all);
}
