/* See symbols.h.  All code of a model is sorted by modules and addresses, so that the file of each
 * module is read once. */
#include "cli/symbols/symbols.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/exit.h"
#include "cli/message.h"
#include "cli/symbols/lookup.h"

struct codes {
    struct fo_code **list;
    size_t count, room;
};

static void add(struct codes *codes, struct fo_code *code)
{
    if (code->module == NULL || code->address == 0)
        return;
    if (codes->count == codes->room) {
        codes->room = codes->room == 0 ? 256 : codes->room * 2;
        codes->list = reallocarray(codes->list, codes->room, sizeof(struct fo_code *));
        if (codes->list == NULL) {
            fo_error("no memory for the symbols of %zu addresses", codes->room);
            exit(FO_EXIT_SOFTWARE);
        }
    }
    codes->list[codes->count++] = code;
}

static void add_place(struct codes *codes, struct fo_place_shown *place)
{
    add(codes, &place->caller);
    for (size_t i = 0; i < place->frames; i++)
        add(codes, &place->stack[i]);
}

static void collect(struct codes *codes, struct fo_model *model)
{
    for (size_t i = 0; i < model->process_count; i++)
        add(codes, &model->processes[i].forked);
    for (size_t i = 0; i < model->finding_count; i++) {
        add_place(codes, &model->findings[i].allocated);
        add_place(codes, &model->findings[i].freed);
        add_place(codes, &model->findings[i].now);
    }
}

static int compare_text(const char *a, const char *b)
{
    return strcmp(a == NULL ? "" : a, b == NULL ? "" : b);
}

static int compare_modules(const struct fo_code *a, const struct fo_code *b)
{
    int order = strcmp(a->module, b->module);

    return order != 0 ? order : compare_text(a->build_id, b->build_id);
}

static int compare(const void *a, const void *b)
{
    const struct fo_code *x = *(struct fo_code *const *)a, *y = *(struct fo_code *const *)b;
    int order = compare_modules(x, y);

    return order != 0 ? order : (x->address > y->address) - (x->address < y->address);
}

void fo_symbols_resolve(struct fo_model *model, enum fo_symbols which)
{
    struct codes codes = {NULL, 0, 0};

    if (which == FO_SYMBOLS_NO)
        return;
    collect(&codes, model);
    fo_symbols_resolve_codes(model, codes.list, codes.count, which);
    free(codes.list);
}

void fo_symbols_resolve_codes(struct fo_model *model, struct fo_code **list, size_t count,
                              enum fo_symbols which)
{
    struct fo_lookup_bounds bounds = {.all = which == FO_SYMBOLS_ALL, .text = FO_LOOKUP_TEXT};
    const struct codes codes = {list, count, count};
    struct sigaction before;

    if (which == FO_SYMBOLS_NO)
        return;
    if (codes.count > 0 && access("/proc/self/fd", X_OK) != 0) { /* see trusted_file.c */
        fo_warning("/proc is not mounted here: callers are shown without function and source line, "
                   "as module+address");
        return;
    }
    if (codes.count > 1)
        qsort(codes.list, codes.count, sizeof(struct fo_code *), compare);
    /* While SIGCHLD is ignored, the exit status of a child is lost. */
    sigaction(SIGCHLD, &(struct sigaction){.sa_handler = SIG_DFL}, &before);
    for (size_t i = 0, next; i < codes.count; i = next) {
        for (next = i + 1; next < codes.count; next++)
            if (compare_modules(codes.list[i], codes.list[next]) != 0)
                break;
        fo_lookup(model, &(struct fo_symbols_wanted){codes.list + i, next - i}, &bounds);
    }
    sigaction(SIGCHLD, &before, NULL);
}
