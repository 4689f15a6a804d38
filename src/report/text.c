/* A record as people read it:
 *
 *   freeonce: double free of block 0x7f12a4c01040 (1072 bytes), skipped
 *     allocated    ssl/ssl_lib.c:3168        pid 4120 (nginx)
 *     freed first  ssl/ssl_lib.c:3457        pid 4127 (nginx), forked from 4120
 *     freed again  crypto/mem.c:211          pid 4131 (nginx), forked from 4120
 *     what to do   It was freed before, ...
 *
 * Called on the report path: stack memory only, and every string is checked before it is read. */
#include <link.h>
#include <string.h>

#include "base/elf.h"
#include "base/format.h"
#include "process/process.h"
#include "process/rows.h"
#include "report/advice.h"
#include "report/headline.h"
#include "report/record.h"
#include "report/stacks.h"

enum { LABEL_WIDTH = 13, PLACE_WIDTH = 26, FILE_MAX = 160 };

static void put_site(struct fo_text *t, fo_site site)
{
    char file[FILE_MAX];
    const char *shown = file;

    if (!fo_elf_string(fo_site_file(site), file, sizeof file)) {
        fo_put(t, "?");
        return;
    }
    while (strncmp(shown, "../", 3) == 0) /* Debian builds OpenSSL beside its source */
        shown += 3;
    fo_put(t, shown);
    fo_put(t, ":");
    fo_put_dec(t, (uint64_t)fo_site_line(site));
}

static void put_code(struct fo_text *t, uintptr_t address)
{
    struct fo_module module;

    if (!fo_elf_module(address, &module)) {
        fo_put_hex(t, address);
        return;
    }
    const char *path = module.path, *slash = strrchr(path, '/');
    const char *name = slash != NULL ? slash + 1 : *path != '\0' ? path : fo_program;
    fo_put_clean(t, name, strlen(name));
    fo_put(t, "+");
    fo_put_hex(t, address - module.base);
}

static void put_build_id(struct fo_text *t, const struct fo_module *module)
{
    const unsigned char *id;
    size_t length = fo_elf_build_id(module, &id);

    if (length == 0)
        return;
    fo_put(t, " build-id ");
    for (size_t i = 0; i < length; i++) {
        fo_put_char(t, "0123456789abcdef"[id[i] >> 4]);
        fo_put_char(t, "0123456789abcdef"[id[i] & 15]);
    }
}

static void put_process(struct fo_text *t, uint32_t index, uint32_t thread)
{
    if (index == 0 || index >= FO_PROCESSES) {
        fo_put(t, "pid ?");
        return;
    }
    fo_put(t, "pid ");
    fo_put_dec(t, fo_row_pid(index));
    fo_put(t, " (");
    fo_row_put_name(t, index);
    fo_put(t, ")");
    if (thread != 0) {
        fo_put(t, " thread ");
        fo_put_dec(t, thread);
    }
    uint32_t parent = fo_row_parent(index);
    uintptr_t place = fo_row_place(index);
    if (parent == 0)
        return;
    fo_put(t, ", forked from ");
    fo_put_dec(t, fo_row_pid(parent));
    if (place != 0) {
        fo_put(t, " at ");
        put_code(t, place);
    }
}

static void put_stack(struct fo_text *t, uint32_t stack)
{
    uintptr_t frames[FO_STACK_MAX];
    unsigned count = fo_stack_frames(stack, frames, FO_STACK_MAX);

    for (unsigned i = 0; i < count; i++) {
        struct fo_module module;
        fo_put(t, "    #");
        fo_put_dec(t, i);
        fo_put(t, " ");
        put_code(t, frames[i]);
        if (fo_elf_module(frames[i], &module))
            put_build_id(t, &module);
        fo_put(t, "\n");
    }
}

void fo_place_text(struct fo_text *t, const struct fo_place *place)
{
    if (place->site != 0 || place->caller == 0)
        put_site(t, place->site);
    if (place->caller != 0) {
        fo_put(t, place->site != 0 ? " by " : "by ");
        put_code(t, place->caller);
    }
}

static void put_place(struct fo_text *t, const char *label, const struct fo_place *place)
{
    size_t start = t->used;

    fo_put(t, "  ");
    fo_put(t, label);
    fo_put_pad(t, start, LABEL_WIDTH + 2);
    start = t->used;
    fo_place_text(t, place);
    fo_put_pad(t, start, PLACE_WIDTH);
    put_process(t, place->process, place->thread);
    fo_put(t, "\n");
    put_stack(t, place->stack);
}

static void put_neighbour(struct fo_text *t, const struct fo_record *r)
{
    size_t start = t->used;

    fo_put(t, "  overwritten");
    fo_put_pad(t, start, LABEL_WIDTH + 2);
    fo_put(t, "from block ");
    fo_put_hex(t, r->neighbour.block);
    fo_put(t, " (");
    fo_put_dec(t, r->neighbour.size);
    fo_put(t, " bytes) in front, allocated ");
    put_site(t, r->neighbour.allocated);
    fo_put(t, "\n");
}

static void put_advice(struct fo_text *t, const struct fo_record *r)
{
    size_t start = t->used;

    fo_put(t, "  what to do");
    fo_put_pad(t, start, LABEL_WIDTH + 2);
    fo_advice(t, r->kind, r->object);
    fo_put(t, "\n");
}

void fo_record_text(struct fo_text *t, const struct fo_record *r)
{
    fo_put(t, "freeonce: ");
    fo_record_headline(t, r);
    fo_put(t, ", ");
    fo_put(t, r->answer);
    fo_put(t, "\n");
    if (r->allocated.known)
        put_place(t, "allocated", &r->allocated);
    if (r->racing)
        fo_put(t, "  freed first  at this moment, by another thread or process\n");
    else if (r->first.known)
        put_place(t, "freed first", &r->first);
    if (r->neighbour.block != 0)
        put_neighbour(t, r);
    if (r->now.known)
        put_place(t, fo_record_label(r), &r->now);
    put_advice(t, r);
}
