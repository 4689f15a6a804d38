/* Function, file and line of addresses.  All code of a model is put in the order of its modules;
 * each module's file is opened once, checked against the build-id that was loaded, and asked for
 * all of its addresses. */
#include "cli/model/symbols.h"

#include <dwarf.h>
#include <elfutils/libdw.h>
#include <elfutils/libdwfl.h>
#include <gelf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cli/exit.h"
#include "cli/message.h"
#include "cli/model/source_path.h"

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
    return compare_modules(*(struct fo_code *const *)a, *(struct fo_code *const *)b);
}

/* Is this the file that was loaded?  One without a build-id is taken for the same only if none was
 * recorded either. */
static bool same_build(Dwfl_Module *module, const char *recorded)
{
    const unsigned char *bits;
    GElf_Addr address;
    /* Only of a file that is open is it known. */
    Elf *elf = dwfl_module_getelf(module, &address);
    int length = elf != NULL ? dwfl_module_build_id(module, &bits, &address) : 0;
    char text[2 * 64 + 1] = "";

    for (int i = 0; i < length && i < 64; i++)
        snprintf(text + 2 * (size_t)i, 3, "%02x", bits[i]);
    return strcmp(text, recorded == NULL ? "" : recorded) == 0;
}

/* The name of the innermost function that was inlined at this place; NULL: none was. */
static const char *inlined(Dwfl_Module *module, Dwarf_Addr pc)
{
    const char *name = NULL;
    Dwarf_Addr bias = 0;
    Dwarf_Die *unit = dwfl_module_addrdie(module, pc, &bias), *scopes = NULL;
    int count = unit != NULL ? dwarf_getscopes(unit, pc - bias, &scopes) : 0;

    for (int i = 0; i < count; i++) {
        int tag = dwarf_tag(&scopes[i]);
        if (tag == DW_TAG_inlined_subroutine)
            name = dwarf_diename(&scopes[i]);
        if (tag == DW_TAG_inlined_subroutine || tag == DW_TAG_subprogram)
            break;
    }
    free(scopes);
    return name;
}

static const char *function(Dwfl_Module *module, Dwarf_Addr pc)
{
    const char *name = inlined(module, pc);
    GElf_Off offset = 0;
    GElf_Sym symbol;

    if (name != NULL)
        return name;
    name = dwfl_module_addrinfo(module, pc, &offset, &symbol, NULL, NULL, NULL);
    /* The nearest exported name is not the function's if that ends before. */
    return name != NULL && (symbol.st_size == 0 || offset < symbol.st_size) ? name : NULL;
}

static void resolve(struct fo_model *model, Dwfl_Module *module, struct fo_code *code)
{
    GElf_Addr bias = 0;
    Dwarf_Addr pc;
    Dwfl_Line *at;
    int line = 0;

    if (dwfl_module_getelf(module, &bias) == NULL)
        return;
    pc = code->address - 1 + bias; /* the call is before the address it returns to */
    char *name = fo_model_string(model, function(module, pc));
    if (name != NULL)
        name[strcspn(name, "@")] = '\0'; /* a symbol's version */
    code->function = name;
    at = dwfl_module_getsrc(module, pc);
    if (at == NULL)
        return;
    const char *file = dwfl_lineinfo(at, NULL, &line, NULL, NULL, NULL);
    if (file == NULL || line <= 0)
        return;
    char *path = fo_source_path(dwfl_line_comp_dir(at), file);
    code->file = fo_model_string(model, path);
    code->line = (unsigned)line;
    free(path);
}

/* What dwfl uses when nothing else is set: .debug beside the file, /usr/lib/debug, and debuginfod
 * if the user configured one. */
static const Dwfl_Callbacks callbacks = {
    .find_elf = dwfl_build_id_find_elf,
    .find_debuginfo = dwfl_standard_find_debuginfo,
    .section_address = dwfl_offline_section_address,
};

static void resolve_module(struct fo_model *model, struct fo_code **codes, size_t count)
{
    struct stat file;
    Dwfl_Module *module;
    Dwfl *dwfl;

    /* What a journal names may be anything by now: opening a pipe would wait for ever. */
    if (stat(codes[0]->module, &file) != 0 || !S_ISREG(file.st_mode))
        return;
    dwfl = dwfl_begin(&callbacks);

    if (dwfl == NULL)
        return;
    dwfl_report_begin(dwfl);
    module = dwfl_report_offline(dwfl, codes[0]->module, codes[0]->module, -1);
    dwfl_report_end(dwfl, NULL, NULL);
    if (module != NULL && same_build(module, codes[0]->build_id))
        for (size_t i = 0; i < count; i++)
            resolve(model, module, codes[i]);
    dwfl_end(dwfl);
}

void fo_symbols_resolve(struct fo_model *model)
{
    struct codes codes = {NULL, 0, 0};

    collect(&codes, model);
    if (codes.count > 1)
        qsort(codes.list, codes.count, sizeof(struct fo_code *), compare);
    for (size_t i = 0, next; i < codes.count; i = next) {
        for (next = i + 1; next < codes.count; next++)
            if (compare_modules(codes.list[i], codes.list[next]) != 0)
                break;
        resolve_module(model, codes.list + i, next - i);
    }
    free(codes.list);
}
